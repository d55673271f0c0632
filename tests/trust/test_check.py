"""`r1trl check`: the contract run on a plugin of one's own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from r1trl.errors import ConfigError
from r1trl.trust.check import check, results_table

ROOT = Path(__file__).parents[2]
HEAD = "import random\nimport r1trl\nfrom r1trl import hookimpl\n"
TAIL = "\n@hookimpl\ndef r1trl_rewards():\n    return {'mine': mine}\n"
SIGNATURE = (
    "def mine(prompts, completions, completion_ids, solution, *, scale: float = 1.0, **columns):"
)
DOC = '    """Score by `scale`."""\n'
# A broken plugin, the test that finds it, and a part of its detail.
BROKEN = {
    "too few values": (f"{SIGNATURE}\n{DOC}    return [1.0]", "gives one value each", "returned 1"),
    "not a number": (
        f"{SIGNATURE}\n{DOC}    return [float('nan') for _ in prompts]",
        "gives one value each",
        "nan for row 0; it must be a finite number or None",
    ),
    "random": (
        f"{SIGNATURE}\n{DOC}    return [random.random() for _ in prompts]",
        "is deterministic",
        "the same samples got",
    ),
    "compares with the batch": (
        f"{SIGNATURE}\n{DOC}    most = max(map(len, completions))\n"
        "    return [len(c) / max(most, 1) for c in completions]",
        "ignores company",
        "in a batch and",
    ),
    "counts the rows before": (
        f"{SIGNATURE}\n{DOC}    return [float(i) for i, _ in enumerate(prompts)]",
        "ignores order",
        "in another order",
    ),
    "crashes on None": (
        f"{SIGNATURE}\n{DOC}    return [float(len(one)) for one in solution]",
        "copes with none",
        "rows of other sources have None in columns that they lack",
    ),
    "crashes on an empty text": (
        f"{SIGNATURE}\n{DOC}    return [float(c[0] == 'a') for c in completions]",
        "copes with odd texts",
        "IndexError",
    ),
    "no docstring": (
        f"{SIGNATURE}\n    return [1.0 for _ in prompts]",
        "is documented",
        "docstring",
    ),
    "an option without a type": (
        f"{SIGNATURE.replace(': float', '')}\n{DOC}    return [1.0 for _ in prompts]",
        "takes options",
        "the option 'scale' has no type",
    ),
    "a closure": (
        "def make():\n"
        + "".join(
            f"    {line}\n"
            for line in f"{SIGNATURE}\n{DOC}    return [1.0 for _ in prompts]".splitlines()
        )
        + "    return mine\nmine = make()",
        "can be pickled",
        "define it at the top of its module",
    ),
    "cannot be loaded": (
        f"class mine:\n{DOC}    def __init__(self, *, scale: float = 1.0) -> None: ...\n"
        "    def load(self) -> None:\n        raise FileNotFoundError('no weights')\n"
        "    def __call__(self, prompts, completions, completion_ids, **columns):\n"
        "        return [1.0 for _ in prompts]",
        "loads what it needs",
        "FileNotFoundError: no weights",
    ),
    "hangs": (
        f"{SIGNATURE}\n{DOC}    while len(completions[0]) == 0:\n        pass\n"
        "    return [1.0 for _ in prompts]",
        "copes with odd texts",
        "takes more than",
    ),
    "a verifier that raises": (
        "@r1trl.verifier\ndef mine(completion: str, solution: str) -> float:\n"
        '    """Divide."""\n    return 1 / (int(solution) - 2)',
        "gives one value each",
        "ZeroDivisionError",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_reward_fails_the_test_that_names_its_fault(
    fault: str, plugin_file: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("r1trl.trust.candidate.SECONDS", 4.0)
    source, test, detail = BROKEN[fault]
    results = check(plugin_file(HEAD + source + TAIL), [], None)
    failed = {result.test: result.detail for result in results if not result.passed}
    assert test in failed
    assert detail in failed[test]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import nonsense_that_is_not_there", "No module named 'nonsense_that_is_not_there'"),
        (f"{HEAD}\n@hookimpl\ndef r1trl_reward():\n    return {{}}\n", "no hook 'r1trl_reward'"),
        (HEAD, "offers nothing"),
    ],
)
def test_a_plugin_that_does_not_load_is_an_error(
    source: str, message: str, plugin_file: Any
) -> None:
    with pytest.raises(ConfigError) as caught:
        check(plugin_file(source), [], None)
    assert message in "\n".join(caught.value.problems)


def test_the_ten_line_example_passes_as_a_file_from_the_command_line() -> None:
    command = [sys.executable, "-m", "r1trl.cli", "check", "examples/brevity.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAILED" not in done.stdout
    assert "reward brevity  ignores company" in done.stdout


def test_the_command_exits_with_1_if_a_test_fails(plugin_file: Any) -> None:
    file = plugin_file(HEAD + BROKEN["random"][0] + TAIL)
    command = [sys.executable, "-m", "r1trl.cli", "check", file]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "is deterministic      FAILED  the same samples got" in done.stdout


@pytest.mark.parametrize("plugin", ["math", "r1trl_math", "format", "language", "length"])
def test_built_in_rewards_keep_the_contract(plugin: str) -> None:
    options = {
        "length": [
            "soft_overlong.max_tokens=40",
            "soft_overlong.cache=10",
            "cosine_length.max_tokens=40",
        ],
        "language": ["in_language.languages=[en]"],
    }
    results = check(plugin, options.get(plugin, []), None)
    assert [result for result in results if not result.passed] == []
    assert any(result.test == "speed" for result in results)


def test_built_in_variants_keep_the_contract() -> None:
    results = check("variants", [], None)
    assert [result for result in results if not result.passed] == []
    assert sum(result.test == "keeps the answer" for result in results) == 14


def test_built_in_trackers_keep_the_contract() -> None:
    results = check("trackers", [], None)
    assert [result for result in results if not result.passed] == []
    assert sum(result.test == "has the methods of a tracker" for result in results) == 3


def test_a_tracker_that_lacks_a_method_or_a_parameter_is_told_so(plugin_file: Any) -> None:
    source = """
    import r1trl

    class Half:
        'Start and end alone.'
        def start(self, stage, run_id, resumed): ...
        def metrics(self, row): ...

    @r1trl.hookimpl
    def r1trl_trackers():
        return {"half": Half}
    """
    (wrong,) = [each for each in check(plugin_file(source), [], None) if not each.passed]
    assert "metrics is called with step, row" in wrong.detail


def test_filters_samplers_transitions_and_datasets_are_checked_too(plugin_file: Any) -> None:
    source = """
    import itertools
    import r1trl
    from datasets import Dataset

    turns = itertools.cycle(range(6))

    def some(rows):
        '''Keep another row each time.'''
        return rows.select([next(turns)])

    class First:
        '''Choose rows that do not exist.'''

        def choose(self, rows, count, step, seed):
            return [len(rows)] * count

    def after(result, other):
        '''Have one parameter too many.'''

    def empty(*, seed: int = 0):
        '''Return no rows, whatever the `seed`.'''
        return Dataset.from_dict({"prompt": []})

    @r1trl.hookimpl
    def r1trl_filters():
        return {"some": some}

    @r1trl.hookimpl
    def r1trl_samplers():
        return {"first": First}

    @r1trl.hookimpl
    def r1trl_transitions():
        return {"after": after}

    @r1trl.hookimpl
    def r1trl_datasets():
        return {"empty": empty}
    """
    results = check(plugin_file(source), [], None)
    failed = {result.offer: result.detail for result in results if not result.passed}
    assert failed["filter some"] == "keeps other rows the second time"
    assert failed["sampler first"].startswith("choose returned [6, 6, 6, 6]")
    assert "nothing fills the positional parameter 'other'" in failed["transition after"]
    assert failed["dataset empty"] == "has no rows"


KIND = """
from dataclasses import dataclass
import r1trl

@dataclass
class ExamSettings:
    rounds: int

def run(work):
    \'\'\'Sit an exam.\'\'\'
    return {}

KIND = r1trl.Kind(run=run, settings=ExamSettings, size=lambda stage: f"{stage.rounds} rounds")

@r1trl.hookimpl
def r1trl_kinds():
    return {"exam": KIND}
"""


def test_kinds_of_stages_are_checked_too(plugin_file: Any) -> None:
    results = check(plugin_file(KIND), [], None)
    assert [result for result in results if not result.passed] == []
    assert {"is light to import", "describes stages"} <= {result.test for result in results}
    heavy = check(plugin_file(f"import torch\n{KIND}", "heavy.py"), [], None)
    failed = {result.test: result.detail for result in heavy if not result.passed}
    assert failed == {"is light to import": "its module imports torch; import them inside run"}
    wrong = check(plugin_file(KIND), ["exam.rounds=many"], None)
    (detail,) = [result.detail for result in wrong if not result.passed]
    assert detail == "its settings as options: rounds: value 'many' of type 'str' is not an int"


def test_built_in_kinds_keep_the_contract() -> None:
    results = check("kinds", [], None)
    assert [result for result in results if not result.passed] == []


def test_rows_and_options_of_ones_own_are_used(plugin_file: Any, tmp_path: Path) -> None:
    source = """
    import r1trl

    @r1trl.verifier
    def mine(completion: str, key: dict, *, need: int) -> float:
        '''Count up to `need`.'''
        return float(key["number"] == need)

    @r1trl.hookimpl
    def r1trl_rewards():
        return {"mine": mine}
    """
    rows = tmp_path / "rows.jsonl"
    row = {"prompt": "q", "completion": "a", "key": {"number": 3}}
    rows.write_text(f"{json.dumps(row)}\n" * 2)
    file = plugin_file(source)
    results = {result.test: result for result in check(file, ["mine.need=3"], rows)}
    assert results["gives one value each"].passed and results["ignores order"].passed
    rows.write_text(json.dumps({"prompt": "q", "completion": "a"}))
    lacking = {result.test: result for result in check(file, ["mine.need=3"], rows)}
    assert lacking["gives one value each"].detail == "the rows have no column 'key'"
    without = check(file, [], rows)
    assert [result.detail for result in without if not result.passed] == [
        "mine: reward 'mine' needs the option 'need'"
    ]
    with pytest.raises(ConfigError, match="did you mean 'mine'"):
        check(file, ["mien.need=3"], rows)


def test_the_table_has_a_line_for_every_test() -> None:
    results = check(str(ROOT / "examples" / "brevity.py"), [], None)
    assert len(results_table(results).splitlines()) == len(results) == 13
