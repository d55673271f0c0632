"""Rows of every usual shape become texts or messages under the names that later code reads."""

import json
from pathlib import Path
from typing import Any

import pytest

from r1trl.config.schema import SourceConfig
from r1trl.data.rows import load_data, load_stage_rows
from r1trl.errors import StageError
from r1trl.plugins.loading import load

PLUGINS = load()


def loaded(
    rows: list[dict[str, Any]], folder: Path, needed: tuple[str, ...] = (), **source: Any
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return rows of a file as later code sees them, without their source, and what was said."""
    path, said = folder / "rows.jsonl", list[str]()
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    sources = {"a": SourceConfig(path=str(path), **source)}
    found, _ = load_data(sources, {}, PLUGINS, 1, "stages.x", needed=needed, say=said.append)
    return found.remove_columns("source").to_list(), said


def user(content: Any) -> dict[str, Any]:
    """Return a message of the user."""
    return {"role": "user", "content": content}


def assistant(content: Any, **more: Any) -> dict[str, Any]:
    """Return a message of the assistant."""
    return {"role": "assistant", "content": content, **more}


TOOL_CALL = {"type": "function", "function": {"name": "add", "arguments": {"a": 1}}}
TALK = [user("q"), assistant("a")]
QUESTION, ANSWER = {"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}
SHAPES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "ShareGPT": ({"conversations": [QUESTION, ANSWER]}, {"messages": TALK}),
    "ShareGPT with a system prompt": (
        {"conversations": [QUESTION, ANSWER], "system": "s"},
        {"messages": [{"role": "system", "content": "s"}, *TALK], "system": "s"},
    ),
    "ShareGPT with roles": ({"conversations": TALK}, {"messages": TALK}),
    "ShareGPT with tools": (
        {
            "conversations": [
                QUESTION,
                {"from": "function_call", "value": '{"name": "add", "arguments": {"a": 1}}'},
                {"from": "observation", "value": "2"},
                {"from": "bing", "value": "a"},
            ]
        },
        {
            "messages": [
                user("q"),
                assistant(None, tool_calls=[TOOL_CALL]),
                {"role": "tool", "content": "2"},
                assistant("a"),
            ]
        },
    ),
    "messages as JSON text": ({"messages": json.dumps(TALK)}, {"messages": TALK}),
    "messages with parts": (
        {"messages": [user([{"type": "text", "text": "q"}, {"text": "?"}, "!"]), assistant("a")]},
        {"messages": [user("q?!"), assistant("a")]},
    ),
    "messages with thinking as a part": (
        {"messages": [user("q"), assistant([{"type": "thinking", "thinking": "t"}, "a"])]},
        {"messages": [user("q"), assistant("a", reasoning_content="t")]},
    ),
    "messages with more keys": (
        {"messages": [user("q"), assistant("a", reasoning_content="r", name="n")], "tools": "[]"},
        {"messages": [user("q"), assistant("a", reasoning_content="r", name="n")], "tools": "[]"},
    ),
    "one message": (
        {"prompt": user("q"), "solution": "a"},
        {"prompt": [user("q")], "solution": "a"},
    ),
    "prompt and completion": (
        {"prompt": "q", "completion": "a"},
        {"prompt": "q", "completion": "a"},
    ),
    "prompt and completion of messages": (
        {"prompt": [user("q")], "completion": [assistant("a")]},
        {"prompt": [user("q")], "completion": [assistant("a")]},
    ),
    "a completion that repeats the prompt": (
        {"prompt": [user("q")], "completion": TALK},
        {"prompt": [user("q")], "completion": [assistant("a")]},
    ),
    "a pair": (
        {"prompt": "q", "chosen": "a", "rejected": "b"},
        {"prompt": "q", "chosen": "a", "rejected": "b"},
    ),
    "a pair that repeats the prompt": (
        {"prompt": "q", "chosen": TALK, "rejected": [user("q"), assistant("b")]},
        {"prompt": "q", "chosen": [assistant("a")], "rejected": [assistant("b")]},
    ),
    "a pair without a prompt": (
        {"chosen": TALK, "rejected": [user("q"), assistant("b")]},
        {"prompt": [user("q")], "chosen": [assistant("a")], "rejected": [assistant("b")]},
    ),
    "a pair of texts without a prompt": (
        {"chosen": "The sky is blue.", "rejected": "The sky is green."},
        {"prompt": "The sky is", "chosen": " blue.", "rejected": " green."},
    ),
    "a pair with a question": (
        {"question": "q", "chosen": "a", "rejected": "b"},
        {"question": "q", "prompt": "q", "chosen": "a", "rejected": "b"},
    ),
    "Alpaca": (
        {"instruction": "i", "input": "x", "output": "o"},
        {"instruction": "i", "input": "x", "output": "o", "prompt": "i\n\nx", "completion": "o"},
    ),
    "Alpaca without an input": (
        {"instruction": "i", "input": "", "output": "o"},
        {"instruction": "i", "input": "", "output": "o", "prompt": "i", "completion": "o"},
    ),
    "a question and its answer": (
        {"problem": "q", "final_answer": 3},
        {"problem": "q", "final_answer": 3, "prompt": "q", "solution": 3},
    ),
    "a question and its response": (
        {"query": "q", "response": "a"},
        {"query": "q", "response": "a", "prompt": "q", "completion": "a"},
    ),
    "a prompt that is a number": ({"prompt": 7, "solution": 8}, {"prompt": "7", "solution": 8}),
    "no pictures": ({"prompt": "q", "images": []}, {"prompt": "q"}),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_becomes_the_one_that_later_code_reads(name: str, tmp_path: Path) -> None:
    given, expected = SHAPES[name]
    rows, _ = loaded([given], tmp_path)
    assert rows == [expected]


def test_shapes_that_differ_fit_together(tmp_path: Path) -> None:
    sources = {}
    for i, (given, _) in enumerate(SHAPES.values()):
        path = tmp_path / f"{i}.jsonl"
        path.write_text(json.dumps(given))
        sources[f"s{i}"] = SourceConfig(path=str(path))
    rows = load_stage_rows(sources, {}, PLUGINS, 1, "stages.x", tmp_path / "data")
    assert len(rows) == len(SHAPES)
    for row, (_, expected) in zip(rows, SHAPES.values(), strict=True):
        messages = expected.get("messages")
        assert row["messages"] == messages
        for name, role in (("prompt", "user"), ("completion", "assistant")):
            value = expected.get(name)
            as_messages = [{"role": role, "content": value}] if isinstance(value, str) else value
            assert row[name] == as_messages


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"question": "q", "answer": "a"}, "prompt is the column 'question', solution is"),
        ({"instruction": "i", "input": "", "output": "o"}, "prompt is the column 'instruction+in"),
        ({"conversations": [QUESTION, ANSWER]}, "messages is the column 'conversations'"),
        ({"chosen": "a b", "rejected": "a c"}, "prompt is what chosen and rejected begin with"),
    ],
)
def test_what_is_found_is_said(row: dict[str, Any], said: str, tmp_path: Path) -> None:
    assert loaded([row], tmp_path)[1][0].startswith(f"stages.x.data.a: {said}")


@pytest.mark.parametrize(
    "row",
    [
        {"question": "q", "problem": "p", "answer": "a"},  # which is the prompt?
        {"data": {"q": "q"}},
        {"text": "t"},
    ],
)
def test_what_is_not_clear_is_not_guessed(row: dict[str, Any], tmp_path: Path) -> None:
    assert loaded([row], tmp_path) == ([row], [])


def test_columns_that_are_named_are_not_guessed(tmp_path: Path) -> None:
    rows, _ = loaded([{"question": "q", "answer": "a"}], tmp_path, columns={"gold": "answer"})
    assert rows == [{"gold": "a"}]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"messages": [user([{"type": "image_url", "image_url": "x"}])]}, "type 'image_url'; only"),
        (
            {"prompt": [user({"type": "input_audio"})]},
            "a part of the type 'input_audio'; only texts",
        ),
        ({"messages": ["hello"]}, "hello is no message; one has a role and a content"),
        ({"messages": "hello"}, "'hello' is neither messages nor JSON of them"),
        ({"conversations": [{"value": "q"}]}, "is no message; one has a role and a content"),
    ],
)
def test_a_message_that_cannot_be_read_is_named_with_its_row(
    row: dict[str, Any], message: str, tmp_path: Path
) -> None:
    good = {next(iter(row)): TALK}
    with pytest.raises(StageError, match=rf"stages.x.data.a: row 2 \(from 0\): .*{message}"):
        loaded([good, good, row], tmp_path)


def test_pictures_are_refused_by_the_name_of_their_column(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="the column 'image' has pictures, and only texts are"):
        loaded([{"prompt": "q", "image": "a.png"}], tmp_path)


GOOD = {"prompt": "q", "completion": "a", "solution": "s"}


@pytest.mark.parametrize(
    "bad",
    [
        {"prompt": None, "completion": "a"},
        {"completion": "a"},
        {"prompt": "q", "completion": None},
    ],
)
def test_a_few_rows_without_what_is_read_are_left_out_and_counted(
    bad: dict[str, Any], tmp_path: Path
) -> None:
    rows, said = loaded([*[GOOD] * 9, bad, *[GOOD] * 9], tmp_path)
    assert rows == [GOOD] * 18
    name = next(name for name in ("prompt", "completion") if bad.get(name) is None)
    where = "in 1 of 19 rows, first in row 9 (from 0); left out"
    assert said == [f"stages.x.data.a: {name} is null or empty {where}"]


@pytest.mark.parametrize("empty", [[], None, [assistant(None)]])
def test_conversations_that_say_nothing_are_left_out(empty: Any, tmp_path: Path) -> None:
    rows, _ = loaded([*[{"messages": TALK}] * 10, {"messages": empty}], tmp_path)
    assert rows == [{"messages": TALK}] * 10


def test_many_rows_without_what_is_read_are_refused(tmp_path: Path) -> None:
    message = r"prompt is null or empty in 2 of 10 rows, first in row 8 \(from 0\); leave them out"
    with pytest.raises(StageError, match=message):
        loaded([*[GOOD] * 8, *[{**GOOD, "prompt": None}] * 2], tmp_path)


def test_what_a_kind_does_not_read_may_be_null(tmp_path: Path) -> None:
    row = {**GOOD, "completion": None}
    assert loaded([GOOD, row], tmp_path, ("prompt",))[0] == [GOOD, row]


@pytest.mark.parametrize(
    "template",
    ["{{ a }}", "{{ a | int }}", "{{ a.split('#')[-1] }}", "{{ a ~ '!' }}", "{{ row.a }}"],
)
def test_a_null_gold_is_missing_and_never_a_text(template: str, tmp_path: Path) -> None:
    rows = [{"q": "1", "a": None}, {"q": "2", "a": "7"}]
    columns = {"prompt": "q", "solution": template}
    solutions = [row["solution"] for row in loaded(rows, tmp_path, columns=columns)[0]]
    assert solutions[0] is None and str(solutions[1]).startswith("7")


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ q }}{% if x %} {{ x }}{% endif %}", "1"),
        ("{{ q }}{{ x or '' }}", "1"),
        ("{{ q }}{{ x | default('-') }}", "1-"),
        ("{{ 'none' if x is none else x }}", "none"),
        ("{{ x == none }}", "True"),
    ],
)
def test_a_template_may_test_what_is_null(template: str, expected: str, tmp_path: Path) -> None:
    rows, _ = loaded([{"q": "1", "x": None}], tmp_path, columns={"prompt": template})
    assert rows == [{"prompt": expected}]


@pytest.mark.parametrize("template", ["{{ n + 1 }}", "{{ n / 0 }}", "{{ n.m() }}", "{{ n"])
def test_a_template_that_fails_is_named_with_its_row(template: str, tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"stages.x.data.a: row 0 \(from 0\): template "):
        loaded([{"n": "1"}], tmp_path, columns={"prompt": template})


def test_a_date_stays_the_text_that_it_is(tmp_path: Path) -> None:
    row = {"prompt": "When?", "solution": "2024-01-05"}
    assert loaded([row], tmp_path)[0] == [row]
