"""`r1trl rescore` of a file: any rows with completions, without stage, model or tokenizer."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from r1trl.errors import ConfigError, R1trlError
from r1trl.rescore.rescore import rescore

RIGHT, WRONG = r"<think>a</think>So \boxed{4}", r"<think>a</think>So \boxed{5}"
ACCURACY = "rewards={accuracy: {answer: boxed}}"
TWELVE = (
    "rewards={accuracy: {answer: boxed, where: {domain: math}}, "
    "any_number: {reward: accuracy, answer: last_number}, code: {where: {domain: code}}, "
    "think_format: {profile: think}, boxed: {reward: think_format, profile: boxed}, "
    "tag_count: {}, reasoning_steps: {}, language_consistency: {}, "
    "repetition: {units: words, n: 2}, pairs: {reward: repetition, units: words, n: 3}, "
    "trl_accuracy: {weight: 0}, trl_think_format: {}}"
)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes rows, or the text of a file, and returns its path."""

    def write_(content: Any, name: str = "rows.jsonl") -> Path:
        path = tmp_path / name
        text = (
            content if isinstance(content, str) else "".join(f"{json.dumps(r)}\n" for r in content)
        )
        path.write_text(text, encoding="utf-8")
        return path

    return write_


def columns_of(path: Path) -> dict[str, Any]:
    """Return the columns of a Parquet file."""
    columns: dict[str, Any] = Dataset.from_parquet(str(path)).to_dict()
    return columns


def test_three_hundred_rows_are_scored_by_twelve_rewards_in_seconds(
    write: Callable[..., Path],
) -> None:
    math = {"prompt": "2 + 2?", "completion": RIGHT, "solution": "4", "domain": "math"}
    program = "<think>a</think>\n```python\nprint(4)\n```"
    tests = [{"input": "", "output": "4"}]
    code = {"prompt": "print 4", "completion": program, "solution": "4", "domain": "code"}
    rows = [{**math, "tests": None}, {**math, "completion": WRONG}, {**code, "tests": tests}] * 100
    table, file = rescore(write(rows), [TWELVE])
    columns = columns_of(file)
    assert columns["rescored/rewards/accuracy"] == [1.0, 0.0, None] * 100
    assert columns["rescored/rewards/code"] == [None, None, 1.0] * 100
    assert columns["rescored/outcome/code"] == ["abstain", "abstain", "value"] * 100
    assert len([name for name in columns if name.startswith("rescored/rewards/")]) == 12
    assert None not in columns["rescored/reward"]
    assert [columns[name] for name in math] == [[row[name] for row in rows] for name in math]
    assert len(table.splitlines()) == 14 and "100 of 300" in table


def test_only_a_completion_and_what_the_reward_reads_are_needed(write: Callable[..., Path]) -> None:
    text, file = rescore(
        write([{"completion": RIGHT}]), ["rewards={think_format: {profile: think}}"]
    )
    assert columns_of(file)["rescored/reward"] == [1.0]
    assert text.startswith("note: there is no column 'prompt': rewards get empty ones")


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_messages_count_by_the_text_of_the_last_one(
    suffix: str, write: Callable[..., Path], tmp_path: Path
) -> None:
    parts = [{"type": "text", "text": RIGHT}]
    rows = [
        {"completion": [{"role": "assistant", "content": RIGHT}], "solution": "4"},
        {"completion": [{"role": "assistant", "content": WRONG}], "solution": "4"},
    ]
    if suffix == ".jsonl":
        user = {"role": "user", "content": WRONG}
        more = [{"completion": RIGHT}, {"completion": [{"content": parts}, user]}]
        path = write([*rows, *({**row, "solution": "4"} for row in more)])
    else:
        path = tmp_path / "rows.parquet"
        Dataset.from_list([*rows, rows[0], rows[0]]).to_parquet(path)
    _, file = rescore(path, [ACCURACY])
    assert columns_of(file)["rescored/reward"] == [1.0, 0.0, 1.0, 1.0]


def test_the_question_is_the_last_message_of_a_prompt(write: Callable[..., Path]) -> None:
    chat = [
        {"role": "system", "content": "你好"},
        {"role": "user", "content": "How many are there?"},
    ]
    rows = [{"prompt": chat, "completion": "<think>There are four of them.</think>4"}]
    _, file = rescore(write(rows), ["rewards={language_consistency: {}}"])
    assert columns_of(file)["rescored/reward"] == [1.0]


def test_values_of_mixed_types_reach_the_rewards_as_they_are(
    write: Callable[..., Path], plugin_file: Any
) -> None:
    file = plugin_file("""
    import r1trl

    def kinds(prompts, completions, completion_ids, solution, **columns):
        names = ["NoneType", "int", "float", "str", "list", "dict"]
        return [names.index(type(one).__name__) for one in solution]

    @r1trl.hookimpl
    def r1trl_rewards():
        return {"kinds": kinds}
    """)
    solutions = [4, "4", 0.5, ["4"], {}, None]
    rows = [{"completion": "x", "solution": solution} for solution in solutions]
    text, out = rescore(write(rows), [f"plugins.load=[{file}]", "rewards={kinds: {}}"])
    columns = columns_of(out)
    assert columns["rescored/reward"] == [1, 3, 2, 4, 5, 0]
    assert columns["solution"] == ["4", '"4"', "0.5", '["4"]', "{}", None]
    assert "note: the column 'solution' is JSON text in rescored.parquet" in text


def test_what_parquet_cannot_hold_is_json_text(write: Callable[..., Path]) -> None:
    rows = [{"completion": RIGHT, "solution": "4", "empty": {}, "big": 10**30, "half": "\ud800"}]
    _, file = rescore(write(rows), [ACCURACY])
    columns = columns_of(file)
    assert columns["rescored/reward"] == [1.0]
    assert [columns[n] for n in ("empty", "big", "half")] == [
        ["{}"],
        ["1" + "0" * 30],
        ["\ufffd"],
    ]


def test_types_of_a_parquet_file_stay_and_a_second_rescoring_replaces_the_first(
    tmp_path: Path,
) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    path = tmp_path / "rescored.parquet"  # what it writes is what it has read
    columns = {"completion": [RIGHT], "solution": pa.array([4], pa.int16()), "rescored/old": ["x"]}
    parquet.write_table(pa.table(columns), path)
    for answer, value in (("boxed", 1.0), ("answer_tag", 0.0)):
        rescore(path, [f"rewards={{accuracy: {{answer: {answer}}}}}"])
        table = parquet.read_table(path)
        assert table.schema.field("solution").type == pa.int16()
        assert table["rescored/reward"].to_pylist() == [value]
        assert "rescored/old" not in table.column_names


def test_saved_values_are_compared_with_the_new_ones_if_they_are_numbers(
    write: Callable[..., Path],
) -> None:
    row = {"completion": RIGHT, "solution": "4", "problem": ["not", "a", "number"]}
    rows = [{**row, "reward": "good", "rewards/accuracy": 0.0}, {**row, "rewards/accuracy": 1}]
    text, _ = rescore(write(rows), [ACCURACY])
    assert "rewards/accuracy  0.5000       1.0000    1 of 2" in text
    assert "reward            –            1.0000    –" in text
    assert "groups" not in text
    numbers = [{**row, "reward": 0.0}, {**row, "completion": WRONG, "reward": 1.0}]
    assert "1 of 1 groups have" in rescore(write(numbers), [ACCURACY])[0]


IDS = "rewards={repetition: {n: 1}}"


def test_token_ids_of_the_file_are_used(write: Callable[..., Path]) -> None:
    rows = [{"completion": "a", "completion_ids": ids} for ids in ([1, 2], [1, 1], [])]
    _, file = rescore(write(rows), [IDS])
    assert columns_of(file)["rescored/reward"] == [0.0, -0.5, 0.0]


@pytest.mark.parametrize("ids", [{}, {"completion_ids": None}, {"completion_ids": "[1, 2]"}])
@pytest.mark.parametrize(
    "reward",
    [
        "soft_overlong={max_tokens: 9, cache: 3}",
        "repetition={}",
        "trl_repetition_penalty={}",
        "trl_soft_overlong_punishment={max_completion_len: 9, soft_punish_cache: 3}",
        "trl_cosine_scaled={max_len: 9}",
    ],
)
def test_a_reward_that_wants_token_ids_says_so(
    reward: str, ids: dict[str, Any], write: Callable[..., Path]
) -> None:
    name = reward.partition("=")[0]
    message = f"reward '{name}' failed: NoTokenIds: .*has no column completion_ids, a list of token"
    with pytest.raises(R1trlError, match=message):
        rescore(write([{"completion": RIGHT, "solution": "4", **ids}]), [f"rewards.{reward}"])


OWN = """
import r1trl

@r1trl.verifier
def short(completion: str, completion_ids: list) -> float:
    return float(len(completion_ids) < 3)

def paired(prompts, completions, completion_ids, **columns):
    return [float(len(c)) for p, c, ids in zip(prompts, completions, completion_ids, strict=True)]

def inside(prompts, completions, completion_ids, **columns):
    return [float(s) for s in columns["soluton"]]

def profiled(prompts, completions, completion_ids, *, profile: str = "x", **columns):
    return [1.0] * len(prompts)

@r1trl.verifier
def graded(completion: str, solution: str, *, profile: str = "x") -> float:
    return float(profile == "x")

@r1trl.hookimpl
def r1trl_rewards():
    return dict(short=short, paired=paired, inside=inside, profiled=profiled, graded=graded)
"""


@pytest.mark.parametrize(
    ("rewards", "message"),
    [
        ("short: {}", "rewards.short: wants token ids: .*has no column completion_ids"),
        (
            "accuracy: {}",
            "rewards.accuracy: reads the column 'solution', which .*rows.jsonl does not have "
            r"\(did you mean 'solutions'\?\); it has: completion, solutions, profile$",
        ),
        (
            "accuracy: {where: {solutons: 4}}",
            r"where names the column 'solutons', which the rows do not have \(did you mean",
        ),
        (
            "inside: {}",
            "reward 'inside' failed: KeyError: 'soluton'; .*rows.jsonl has the columns completion,",
        ),
        ("profiled: {}", "rewards.profiled: the column 'profile' would hide the reward's option"),
        (
            "group_length: {correct: paired}, paired: {}",
            "rewards.group_length: compares the completions of a prompt, and .* no column 'prompt'",
        ),
    ],
)
def test_what_a_reward_wants_and_a_file_lacks_is_told(
    rewards: str, message: str, write: Callable[..., Path], plugin_file: Any
) -> None:
    load = f"plugins.load=[{plugin_file(OWN)}]"
    path = write([{"completion": RIGHT, "solutions": "4", "profile": "y"}])
    with pytest.raises(R1trlError, match=message):
        rescore(path, [load, f"rewards={{{rewards}}}"])
    assert not (path.parent / "rescored.parquet").exists()


def test_all_rewards_say_at_once_what_they_lack(write: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError) as caught:
        rescore(write([{"completion": RIGHT}]), ["rewards={accuracy: {}, code: {}}"])
    assert [line.partition(",")[0] for line in caught.value.problems] == [
        "rewards.accuracy: reads the column 'solution'",
        "rewards.code: reads the column 'tests'",
    ]


def test_rewards_that_ignore_what_is_missing_are_scored(
    write: Callable[..., Path], plugin_file: Any
) -> None:
    row = {"completion": RIGHT, "solution": "4", "profile": "y", "completions": 1, "prompts": "z"}
    load = f"plugins.load=[{plugin_file(OWN)}]"
    text, file = rescore(write([row]), [load, "rewards={paired: {}, graded: {}}"])
    columns = columns_of(file)
    assert columns["rescored/rewards/paired"] == [float(len(RIGHT))]
    assert columns["rescored/rewards/graded"] == [1.0]
    assert columns["completions"] == [1]
    assert "rewards do not get the column 'completions'" in text


ROW = json.dumps({"completion": RIGHT, "solution": "4"})


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("", "rows.jsonl", "there are no rows in it"),
        ("\n\n", "rows.jsonl", "there are no rows in it"),
        ("{}\n", "rows.jsonl", "there are no rows in it"),
        (ROW, "rows.csv", r"is no file of rows; possible are .jsonl and .parquet$"),
        (ROW, "rows.json", "possible are .jsonl and .parquet$"),
        ("no parquet", "rows.parquet", "rows.parquet: cannot be read: "),
        (f"{ROW}\n\n{ROW[:-3]}\n", "rows.jsonl", "cannot be read: line 3 is no JSON: "),
        (f"{ROW}\n[1]\n", "rows.jsonl", "line 2 is a list; each line must be an object"),
        ("[" * 100_000, "rows.jsonl", "line 1 is no JSON"),
        ('{"gold": "4"}', "rows.jsonl", "has no column 'completion'; it has: gold"),
        (
            '{"completions": "4"}',
            "rows.jsonl",
            r"no column 'completion' \(did you mean 'completions'\?\); it has: completions",
        ),
        (
            f'{ROW}\n{{"completion": null}}\n{{"completion": 3}}\n',
            "rows.jsonl",
            "the completion of row 1 is neither a text nor messages but None, as are those of 2 "
            "of 3 rows; leave them out",
        ),
    ],
)
def test_a_file_that_cannot_be_scored_says_why(
    content: str, name: str, message: str, write: Callable[..., Path]
) -> None:
    with pytest.raises(ConfigError, match=message):
        rescore(write(content, name), [ACCURACY])


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"completion": "\xff"}\n')
    with pytest.raises(ConfigError, match=r"rows.jsonl: cannot be read: line 1 is not UTF-8"):
        rescore(path, [ACCURACY])


def test_lines_end_at_newlines_alone_and_a_mark_of_windows_is_no_text(tmp_path: Path) -> None:
    row = {"completion": f"a\u2028b\x85{RIGHT}", "solution": "4"}
    path = tmp_path / "rows.JSONL"
    line = json.dumps(row, ensure_ascii=False)
    path.write_text(f"\ufeff{line}\r\n{line}", encoding="utf-8")
    _, file = rescore(path, [ACCURACY])
    assert columns_of(file)["rescored/reward"] == [1.0, 1.0]


def test_a_file_needs_rewards(write: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError, match="rewards: there are none to score with; give 'rewards="):
        rescore(write([{"completion": RIGHT}]), [])


def test_the_command_scores_a_file_and_exits_with_2_if_a_column_is_missing(
    write: Callable[..., Path],
) -> None:
    path = write(ROW)
    command = [sys.executable, "-m", "r1trl.cli", "rescore", str(path)]
    done = subprocess.run([*command, ACCURACY], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"\n{path.parent / 'rescored.parquet'}\n")
    code = [*command, "rewards={code: {}}"]
    done = subprocess.run(code, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: rewards.code: reads the column 'tests', which ")
