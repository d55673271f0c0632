"""The rewards and datasets of r1trl_regress; tests/plugins/test_gains.py compares models."""

import json
from pathlib import Path

import pytest
from bfcl_answers import right_calls, written, wrong_calls
from machine import require
from r1trl_regress.bfcl import CATEGORIES, bfcl, missing_requirements
from r1trl_regress.calls import Call, calls_in
from r1trl_regress.instructions import CHECKS, instructions
from r1trl_regress.requests import requests
from r1trl_regress.rewards import FirstOf, function_call, json_schema
from regress_rows import FUNCTIONS, bfcl_folder


def score(row: dict[str, str], completion: str) -> float | None:
    """Score a completion of a row of `bfcl` in this process."""
    return function_call.function(
        completion, row["calls"], row["functions"], row["prompt"], row.get("syntax")
    )


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """Rows of an unpacked wheel written by hand, one or more of each category."""
    return list(bfcl(path=str(bfcl_folder(tmp_path_factory.mktemp("wheel")))))


def check_all(rows: list[dict[str, str]]) -> tuple[int, int]:
    """Hold the matcher to the answers of rows; return how many right and wrong ones were tried."""
    right, wrong = 0, 0
    for row in rows:
        answers = [] if row["calls"] in ("[]", '"any"') else json.loads(row["calls"])
        for full in (False, True) if answers else ():
            for text in written(right_calls(row, full), row["syntax"]):
                assert score(row, text) == 1, (row["problem_key"], text)
                right += 1
        for calls in wrong_calls(row) if answers else ():
            for text in written(calls, row["syntax"]):
                assert score(row, text) == 0, (row["problem_key"], text)
                wrong += 1
        if row["calls"] == "[]":
            assert score(row, "None of these functions can answer that.") == 1
            names = [function["name"] for function in json.loads(row["functions"])]
            assert score(row, f"[{(names or ['f'])[0]}(x=1)]") == 0
            right, wrong = right + 1, wrong + 1
        if row["calls"] == '"any"':
            some = json.loads(row["functions"])[0]["name"]
            assert score(row, f"[{some}(x=1)]") == 1
            assert score(row, "I cannot do that.") == score(row, "[no_such_function(x=1)]") == 0
            right, wrong = right + 1, wrong + 2
    return right, wrong


def test_possible_answers_of_every_category_are_right_and_changed_ones_wrong(rows) -> None:
    assert {row["category"] for row in rows} == set(CATEGORIES)
    right, wrong = check_all(rows)
    assert right > 40 and wrong > 100


@pytest.mark.long
def test_all_of_bfcls_own_answers_are_right_and_changed_ones_wrong(bfcl_wheel: Path) -> None:
    rows = list(bfcl(path=str(bfcl_wheel)))
    assert {row["category"] for row in rows} == set(CATEGORIES) and len(rows) > 3500
    right, wrong = check_all(rows)
    assert right > 10_000 and wrong > 40_000


@pytest.fixture(scope="session")
def bfcl_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked wheel of bfcl-eval, which R1TRL_BFCL names, or the installed package."""
    import os

    path = os.environ.get("R1TRL_BFCL")
    missing = missing_requirements(path=path)
    require("bfcl", missing is None, f"R1TRL_BFCL=FOLDER names it; {missing}")
    return Path(path or "")


CALL = [Call("f", {"a": 1, "b": ["x"]})]
FORMS = [
    'f(a=1, b=["x"])',
    '[f(a=1, b=["x"])]',
    '```python\nf(a=1, b=["x"])\n```',
    '{"name": "f", "arguments": {"a": 1, "b": ["x"]}}',
    '[{"name": "f", "arguments": {"a": 1, "b": ["x"]}}]',
    '{"name": "f", "parameters": {"a": 1, "b": ["x"]}}',
    '<|python_tag|>{"name": "f", "parameters": {"a": 1, "b": ["x"]}}',
    '```json\n{"name": "f", "arguments": {"a": 1, "b": ["x"]}}\n```',
    json.dumps(
        {"type": "function", "function": {"name": "f", "arguments": '{"a": 1, "b": ["x"]}'}}
    ),
    'Let me call it.\n<tool_call>\n{"name": "f", "arguments": {"a": 1, "b": ["x"]}}\n</tool_call>',
    '<tool_call>[{"name": "f", "arguments": {"a": 1, "b": ["x"]}}]</tool_call>',
    '<|tool_call_start|>[f(a=1, b=["x"])]<|tool_call_end|>',
    '[TOOL_CALLS] [{"name": "f", "arguments": {"a": 1, "b": ["x"]}}]',
    "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n"
    '{"a": 1, "b": ["x"]}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
]


@pytest.mark.parametrize("text", FORMS)
def test_a_call_is_read_in_every_form(text: str) -> None:
    assert calls_in(text) == CALL


@pytest.mark.parametrize(
    "text",
    ["", "f", "f(a=1", "I would call f(a=1).", "x = f(a=1)", "f(**{})", "{}", "[]", "((((" * 9999],
)
def test_what_is_no_call_is_none(text: str) -> None:
    assert calls_in(text) == []


def test_a_marked_block_that_is_no_call_is_an_attempt_that_failed() -> None:
    assert calls_in("<tool_call>f(</tool_call>") is None
    row = {"calls": "[]", "functions": "[]", "prompt": ""}
    assert score(row, "<tool_call>f(</tool_call>") == score(row, "") == 0
    assert score(row, "There is none for that.") == 1


def one(value: str, options: list, declared: str) -> float | None:
    """Score a call of f with one argument, written as a value of Python."""
    function = {
        "name": "f",
        "parameters": {"properties": {"a": {"type": declared}}, "required": ["a"]},
    }
    return function_call.function(
        f"f(a={value})", json.dumps([{"f": {"a": options}}]), json.dumps([function])
    )


@pytest.mark.parametrize(
    ("value", "options", "declared", "right"),
    [
        ("5", [5], "integer", 1),
        ("5.0", [5], "integer", 0),
        ("5", [5.0], "float", 1),
        ("'5'", [5], "integer", 0),
        ("True", [1], "integer", 0),
        ("1", [True], "boolean", 0),
        ("'April 1, 2024'", ["april 1 2024"], "string", 1),
        ("'April 2, 2024'", ["april 1 2024"], "string", 0),
        ("(1, 2)", [[1, 2]], "tuple", 1),
        ("[2, 1]", [[1, 2]], "array", 0),
        ("my_data", ["my_data"], "any", 1),
        ("-3", [-3], "integer", 1),
        ("{'x': 1}", [{"x": [1, 2], "y": ["", 3]}], "dict", 1),
        ("{'x': 1, 'y': 4}", [{"x": [1, 2], "y": ["", 3]}], "dict", 0),
        ("{'y': 3}", [{"x": [1, 2], "y": ["", 3]}], "dict", 0),
        ("None", ["", None], "string", 1),
    ],
)
def test_a_value_is_compared_as_bfcl_compares_it(value, options, declared, right) -> None:
    assert one(value, options, declared) == right


def test_positional_arguments_are_those_of_the_description_in_order() -> None:
    row = {"calls": '[{"add": {"a": [1], "b": [2]}}]', "functions": json.dumps(FUNCTIONS)}
    row["prompt"] = ""
    assert score(row, "add(1, 2)") == score(row, "add(1, b=2)") == 1
    assert score(row, "add(2, 1)") == score(row, "add(1, 2, 3)") == score(row, "add(1, a=1)") == 0


def test_only_the_answer_after_the_thinking_counts() -> None:
    row = {"calls": '[{"add": {"a": [1], "b": [2]}}]', "functions": json.dumps(FUNCTIONS)}
    row["prompt"] = "Add them."
    for text in ("add(1, 2)", "<think>add(3, 4)</think>add(1, 2)"):
        assert score(row, text) == 1
    assert score(row, "<think>so</think> <answer>add(1, 2)</answer>") == 1
    assert score(row, "<think>add(1, 2)") == 0
    assert score({**row, "prompt": "Add them.<think>\n"}, "add(1, 2)") == 0


def test_the_dataset_says_how_the_wheel_is_got(tmp_path: Path) -> None:
    told = missing_requirements(path=str(tmp_path))
    assert (
        told
        and f"at {tmp_path}" in told
        and "pip install --no-deps --target bfcl bfcl-eval" in told
    )
    with pytest.raises(FileNotFoundError, match="pip install --no-deps"):
        bfcl(path=str(tmp_path))


def test_json_schema_takes_json_alone() -> None:
    schema = json.dumps({"type": "object", "required": ["a"], "properties": {"a": {"minimum": 1}}})
    values = {
        '{"a": 1}': 1,
        '```json\n{"a": 1}\n```': 1,
        '<think>hm</think><answer>\n{"a": 2}\n</answer>': 1,
        '{"a": 0}': 0,
        '{"a": NaN}': 0,
        '{"b": 1}': 0,
        'Here: {"a": 1}': 0,
        "": 0,
        "<think>" + '{"a": 1}': 0,
    }
    assert {text: json_schema.function(text, schema) for text in values} == values
    assert json_schema.function("{}", None) is None


def test_a_schema_that_is_none_is_an_error() -> None:
    with pytest.raises(Exception, match="'texts' is not valid"):
        json_schema.function("{}", '{"type": "texts"}')


def test_first_of_takes_the_first_value_and_names_a_missing_reward() -> None:
    given = {"a": [None, 0.0, None], "b": [1.0, 1.0, None]}
    assert FirstOf(of=["a", "b"])([], [], [], rewards=given) == [1.0, 0.0, None]
    with pytest.raises(ValueError, match="no reward 'c'; it has: a, b"):
        FirstOf(of=["c"])([], [], [], rewards=given)


# instruction -> its arguments, texts that follow it, texts that do not
CASES: dict[str, tuple[dict, list[str], list[str]]] = {
    "keywords:existence": ({"keywords": ["sun", "sea"]}, ["The Sun, the sea."], ["Sunday, sea."]),
    "keywords:frequency": (
        {"keyword": "go", "frequency": 2, "relation": "at least"},
        ["Go, go."],
        ["Go, goal."],
    ),
    "keywords:forbidden_words": ({"forbidden_words": ["no"]}, ["Nothing."], ["No."]),
    "keywords:letter_frequency": (
        {"letter": "a", "let_frequency": 3, "let_relation": "less than"},
        ["Aa"],
        ["Aaa"],
    ),
    "language:response_language": (
        {"language": "de"},
        ["Das ist ein schöner Tag, und wir gehen heute spazieren."],
        ["This is a beautiful day, and we are going for a walk today."],
    ),
    "length_constraints:number_sentences": (
        {"num_sentences": 2, "relation": "at least"},
        ["One. Two!", "Dr. No came. He left", "一。二。"],
        ["One, e.g. this.", "3.14 is pi."],
    ),
    "length_constraints:number_paragraphs": (
        {"num_paragraphs": 2},
        ["a\n***\nb", "a\n\n***\n\nb\n***"],
        ["a\n\nb", "a\n***\nb\n***\nc"],
    ),
    "length_constraints:number_words": (
        {"num_words": 3, "relation": "less than"},
        ["don't stop", "你好"],
        ["one two three", "你好吗"],
    ),
    "length_constraints:nth_paragraph_first_word": (
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Then"},
        ["a\n\n'then' b"],
        ["then\n\nb", "a\n\nb\n\nthen"],
    ),
    "detectable_content:number_placeholders": ({"num_placeholders": 2}, ["[a] [b]"], ["[a] b"]),
    "detectable_content:postscript": (
        {"postscript_marker": "P.P.S"},
        ["a\nP.P.S b", "a\np. p. s. b"],
        ["a P.P.S", "a\nP.S. b"],
    ),
    "detectable_format:number_bullet_lists": (
        {"num_bullets": 2},
        ["* a\n* b", "- a\n- b"],
        ["* a", "* a\n* b\n* c", "**a**\n**b**"],
    ),
    "detectable_format:constrained_response": ({}, ["My answer is maybe."], ["Maybe."]),
    "detectable_format:number_highlighted_sections": (
        {"num_highlights": 2},
        ["*a* and **b**"],
        ["*a* and * b"],
    ),
    "detectable_format:multiple_sections": (
        {"section_spliter": "PART", "num_sections": 2},
        ["PART 1\na\nPART 2\nb"],
        ["PART 1\na"],
    ),
    "detectable_format:json_format": ({}, ['{"a": 1}', "```json\n[1]\n```"], ["a: 1"]),
    "detectable_format:title": ({}, ["<<Rain>>\nIt rains."], ["<< >>", "Rain"]),
    "combination:two_responses": ({}, ["a\n******\nb"], ["a ****** a", "a", "a******b******c"]),
    "combination:repeat_prompt": ({"prompt_to_repeat": "Why?"}, ["why? So."], ["So. Why?"]),
    "startend:start_checker": ({"start_phrase": "Well"}, ["well, so"], ["So, well"]),
    "startend:end_checker": ({"end_phrase": "The end."}, ["It was. The end."], ["The end. Or?"]),
    "startend:quotation": ({}, ['"Yes."'], ["Yes.", '"Yes', '"']),
    "change_case:capital_word_frequency": (
        {"capital_frequency": 2, "capital_relation": "at least"},
        ["SO it IS"],
        ["So IT is"],
    ),
    "change_case:english_capital": ({}, ["YES, 5."], ["Yes."]),
    "change_case:english_lowercase": ({}, ["yes, 5."], ["Yes."]),
    "punctuation:no_comma": ({}, ["a b"], ["a, b", "一，二"]),
}


def test_every_instruction_has_its_cases() -> None:
    assert set(CASES) == set(CHECKS)


@pytest.mark.parametrize("name", CASES)
def test_an_instruction_is_followed_or_not(name: str) -> None:
    arguments, followed, broken = CASES[name]
    full = [{**arguments, "of_another": None}]  # as in a table of rows that differ
    for value, texts in ((1.0, followed), (0.0, [*broken, "", "<think>"])):
        for text in texts:
            assert instructions.function(text, [name], full) == value, text
            assert instructions.function(f"<think>,A</think>{text}", [name], full) == value, text


def test_all_of_several_instructions_count_or_their_share() -> None:
    names = ["punctuation:no_comma", "change_case:english_lowercase"]
    assert instructions.function("so, it is", names, [{}, {}]) == 0
    assert instructions.function("so, it is", names, "[{}, {}]", partial=True) == 0.5
    assert instructions.function("so", None, None) is None


def test_an_unknown_instruction_and_a_wrong_argument_are_errors() -> None:
    with pytest.raises(ValueError, match=r"did you mean 'punctuation:no_comma'"):
        instructions.function("a", ["punctuation:no_commas"], [{}])
    with pytest.raises(TypeError, match="num_bullets"):
        instructions.function("a", ["detectable_format:number_bullet_lists"], [{}])
    given = [{"num_words": 3, "relation": "exactly"}]
    with pytest.raises(ValueError, match="relation 'exactly' is not possible"):
        instructions.function("a", ["length_constraints:number_words"], given)


@pytest.mark.parametrize("kind", ["calls", "instructions", "json"])
def test_requests_are_the_same_for_a_seed_and_others_for_another(kind) -> None:
    rows = requests(kind=kind, count=40, seed=3)
    assert rows[:] == requests(kind=kind, count=40, seed=3)[:]
    assert rows[:] != requests(kind=kind, count=40, seed=4)[:]
    assert set(rows["domain"]) == {kind} and max(map(len, rows["prompt"])) < 300


def test_requested_calls_are_right_as_they_are_given() -> None:
    rows = [dict(row, problem_key="", syntax="python") for row in requests(kind="calls", count=40)]
    counts = {len(json.loads(row["calls"])) for row in rows}
    right, wrong = check_all(rows)
    assert counts == {0, 1, 2} and right >= 100 and wrong > 100


def test_requested_instructions_are_known() -> None:
    rows = requests(kind="instructions", count=60)
    assert {n for names in rows["instruction_id_list"] for n in names} <= set(CHECKS)
    for row in rows:
        instructions.function("a", row["instruction_id_list"], row["kwargs"])


def test_requested_json_has_an_answer() -> None:
    person = {"name": "A", "age": 3, "city": "B", "married": True, "hobbies": [], "colour": "red"}
    for row in requests(kind="json", count=40):
        fields = json.loads(row["schema"])["required"]
        answer = json.dumps({name: person[name] for name in fields})
        assert json_schema.function(answer, row["schema"]) == 1
        assert json_schema.function(json.dumps({**person, "x": 1}), row["schema"]) == 0
