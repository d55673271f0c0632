"""`r1trl check`: what is a note and what a failure, for offers of every role."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from r1trl.config.kinds import load_plugins
from r1trl.plugins.values import check_options
from r1trl.trust.check import CheckResult, check

HEAD = """
from dataclasses import dataclass, replace
import datasets
import numpy
import r1trl
"""
VALUES = "return [1.0 for _ in completions]"
FORM = "prompts, completions, completion_ids"


def offered(source: str, role: str, name: str = "mine") -> str:
    """Return the source of a plugin that offers `mine`."""
    head = "import r1trl" if role == "kind" else HEAD  # what a kind imports must be light
    hook = f"@r1trl.hookimpl\ndef r1trl_{role}s():\n    return {{'mine': {name}}}\n"
    return f"{head}\n{source}\n\n{hook}"


@pytest.fixture
def results(plugin_file: Any) -> Callable[..., list[CheckResult]]:
    """Return a function that checks a plugin which offers `mine`."""

    def results_(source: str, role: str = "reward", *options: str) -> list[CheckResult]:
        return check(plugin_file(offered(source, role)), list(options), None)

    return results_


def of_status(results: list[CheckResult], status: str) -> dict[str, str]:
    """Return the details of the tests with a status, by test."""
    return {result.test: result.detail for result in results if result.status == status}


def test_an_option_that_the_docstring_does_not_name_is_a_note(results: Any) -> None:
    found = results(
        f'def mine({FORM}, *, scale: float = 1.0, **columns):\n    "Score."\n    {VALUES}'
    )
    assert of_status(found, "FAILED") == {}
    noted = {"is documented": "the docstring does not name the option 'scale'"}
    assert of_status(found, "note") == noted


def test_notes_leave_the_exit_status_at_0(plugin_file: Any) -> None:
    source = f'def mine({FORM}, *, scale: float = 1.0, **columns):\n    "Score."\n    {VALUES}'
    command = [sys.executable, "-m", "r1trl.cli", "check", plugin_file(offered(source, "reward"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "note  the docstring does not name the option 'scale'" in done.stdout
    assert "FAILED" not in done.stdout


POSITIONAL = {
    "a function": f"def mine({FORM}, limit=100, **columns):\n    'Score.'\n    {VALUES}",
    "a verifier": "@r1trl.verifier\ndef mine(completion, limit=100):\n    'Score.'\n    return 1.0",
    "a call": (
        "class mine:\n    'Score.'\n"
        f"    def __call__(self, {FORM}, limit=100, **columns):\n        {VALUES}"
    ),
}


@pytest.mark.parametrize("form", POSITIONAL)
def test_a_positional_parameter_with_a_default_is_told_to_be_a_column(
    form: str, results: Any
) -> None:
    found = results(POSITIONAL[form])
    assert of_status(found, "FAILED") == {}
    detail = (
        "'limit' is a column, 100 if the rows lack it; if it is meant as an option, put it after *"
    )
    assert of_status(found, "note") == {"reads columns": detail}


@pytest.mark.parametrize("form", ["a function", "a verifier"])
def test_a_positional_parameter_that_is_given_as_an_option_is_refused_with_the_remedy(
    form: str, results: Any, plugin_file: Any
) -> None:
    failed = of_status(results(POSITIONAL[form], "reward", "mine.limit=5"), "FAILED")
    message = (
        "reward 'mine' has no option 'limit': it is a positional parameter, which is read from a "
        "column; put it after * to make it an option; its options: none"
    )
    assert failed == {"takes options": f"mine: {message}"}
    plugins = load_plugins([plugin_file(offered(POSITIONAL[form], "reward"))])
    planned = check_options(
        plugins.find("reward", "mine"), {"limit": 5}, "stages.zero.rewards.mine"
    )
    assert planned == [f"stages.zero.rewards.mine: {message}"]


UNFILLED = {
    "reward": f"class mine:\n    '.'\n    def __init__(self, limit=1): ...\n"
    f"    def __call__(self, {FORM}, **columns):\n        {VALUES}",
    "filter": "def mine(rows, limit=1):\n    '.'\n    return rows",
    "transition": "def mine(result, limit=1):\n    '.'\n    return result",
    "dataset": "def mine(limit=1):\n    '.'\n    return datasets.Dataset.from_dict({'a': [1]})",
    "sampler": "class mine:\n    '.'\n    def __init__(self, limit=1): ...\n"
    "    def admit(self, group):\n        return True",
}


@pytest.mark.parametrize("role", UNFILLED)
def test_a_positional_parameter_that_nothing_fills_is_a_failure(role: str, results: Any) -> None:
    message = "nothing fills the positional parameter 'limit'; put it after * to make it an option"
    assert of_status(results(UNFILLED[role], role), "FAILED") == {"takes options": message}


# What is offered, its role, the test that fails, and a part of its detail.
BROKEN = {
    "a class that cannot be called": (
        "class mine:\n    '.'\n    def score(self): ...",
        "reward",
        "can be called",
        "cannot be called; a class needs __call__(self, prompts, completions, completion_ids, **",
    ),
    "a reward that takes no columns": (
        f"def mine({FORM}):\n    '.'\n    {VALUES}",
        "reward",
        "can be called",
        "cannot be called as (prompts, completions, completion_ids, **columns): got an unexpected",
    ),
    "a reward that returns None": (
        f"def mine({FORM}, **columns):\n    '.'",
        "reward",
        "gives one value each",
        "returned None; it must return a list",
    ),
    "a reward that returns texts": (
        f"def mine({FORM}, **columns):\n    '.'\n    return ['1' for _ in prompts]",
        "reward",
        "gives one value each",
        "returned '1' for row 0; it must be a finite number or None",
    ),
    "a reward on columns that the check makes up": (
        f"def mine({FORM}, tests, **columns):\n    '.'\n    return [float(t['x']) for t in tests]",
        "reward",
        "gives one value each",
        "(the values of tests are made up: give rows with --rows FILE)",
    ),
    "an async verifier": (
        "@r1trl.verifier\nasync def mine(completion):\n    '.'\n    return 1.0",
        "reward",
        "can be called",
        "make it a plain function",
    ),
    "a transition that returns None": (
        "def mine(result):\n    '.'",
        "transition",
        "passes a result on",
        "returned None; a transition returns a StageResult",
    ),
    "a transition that returns a part of the result": (
        "def mine(result):\n    '.'\n    return result.metrics",
        "transition",
        "passes a result on",
        "returned {'reward': 0.5, ",
    ),
    "an async transition": (
        "async def mine(result):\n    '.'\n    return result",
        "transition",
        "passes a result on",
        "it must be a plain function",
    ),
    "a transition that hangs": (
        "def mine(result):\n    '.'\n    while True: ...",
        "transition",
        "passes a result on",
        "takes more than",
    ),
    "a transition that stops without a reason": (
        "class mine:\n    '.'\n    def __call__(self, result):\n        return result\n"
        "    def should_stop(self, progress):\n        return progress.step > 3",
        "transition",
        "stops with a reason",
        "should_stop returned False; it returns None, or the reason to stop as a text",
    ),
    "a transition that cannot be called": (
        "class mine:\n    '.'\n    def should_stop(self, progress): ...",
        "transition",
        "can be called",
        "a class needs __call__(self, result)",
    ),
    "a dataset that returns None": (
        "def mine():\n    '.'",
        "dataset",
        "makes rows",
        "dataset 'mine' returned None; it returns a datasets.Dataset, such as",
    ),
    "a dataset that returns a list": (
        "def mine():\n    '.'\n    return [{'prompt': 'a'}]",
        "dataset",
        "makes rows",
        "dataset 'mine' returned a list; it returns",
    ),
    "a filter that returns None": (
        "def mine(rows):\n    '.'",
        "filter",
        "filters rows",
        "returned a NoneType for 6 rows; a filter returns a Dataset, or one entry per row",
    ),
    "a filter that returns too few": (
        "def mine(rows):\n    '.'\n    return [None]",
        "filter",
        "filters rows",
        "returned a list of 1 entries for 6 rows",
    ),
    "a filter that returns a mask": (
        "def mine(rows):\n    '.'\n    return [True] * len(rows)",
        "filter",
        "filters rows",
        "returned True for a row; a filter returns None for each row that stays",
    ),
    "a filter that returns an array": (
        "def mine(rows):\n    '.'\n    return numpy.zeros(len(rows))",
        "filter",
        "filters rows",
        "returned a ndarray for 6 rows",
    ),
    "a sampler without a method": (
        "class mine:\n    '.'\n    def pick(self): ...",
        "sampler",
        "can be called",
        "has none of the methods choose, observe, admit, generate",
    ),
    "a sampler that chooses nothing": (
        "class mine:\n    '.'\n    def choose(self, rows, count, step, seed): ...",
        "sampler",
        "chooses prompts",
        "choose returned None; it returns 4 row numbers, whole ones from 0 to 5",
    ),
    "a sampler that chooses without a seed": (
        "class mine:\n    '.'\n    def choose(self, rows, count):\n        return [0] * count",
        "sampler",
        "chooses prompts",
        "takes 3 positional arguments but 5 were given",
    ),
    "a sampler that admits with None": (
        "class mine:\n    '.'\n    def admit(self, group): ...",
        "sampler",
        "judges groups",
        "admit returned None; it returns True for a group that may be trained on, else False",
    ),
    "a sampler that generates nothing": (
        "class mine:\n    '.'\n    def generate(self, completions, policy): ...",
        "sampler",
        "continues completions",
        "generate returned None; it returns a list of completions",
    ),
    "a sampler that loses completions": (
        "class mine:\n    '.'\n    def generate(self, completions, policy):\n"
        "        return policy.generate(completions[1:])",
        "sampler",
        "continues completions",
        "generate returned completions of the rows [1, 2, 3, 4, 5]",
    ),
    "a kind that returns no metrics": (
        "def run(work):\n    'Run.'\n    def inner():\n        return 1\n    work.rows()\n"
        "mine = r1trl.Kind(run=run)",
        "kind",
        "returns metrics",
        "run returns None; it returns its metrics, numbers by name, {} if there are none",
    ),
    "an async kind": (
        "async def run(work):\n    'Run.'\n    return {}\nmine = r1trl.Kind(run=run)",
        "kind",
        "returns metrics",
        "run must be a plain function",
    ),
    "a kind whose run takes more": (
        "def run(work, rank):\n    'Run.'\n    return {}\nmine = r1trl.Kind(run=run)",
        "kind",
        "returns metrics",
        "run cannot be called as run(work): missing a required argument: 'rank'",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_offer_fails_the_test_that_says_what_to_do(
    fault: str, results: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("r1trl.trust.candidate.SECONDS", 1.0)
    source, role, test, detail = BROKEN[fault]
    failed = of_status(results(source, role), "FAILED")
    assert test in failed
    assert detail in failed[test]


# Unusual offers that a run takes, and their roles.
SOUND = {
    "a generator of values": (
        f"def mine({FORM}, **columns):\n    '.'\n    yield from map(len, prompts)",
        "reward",
    ),
    "truth values": (
        f"def mine({FORM}, **columns):\n    '.'\n    return [p > '' for p in prompts]",
        "reward",
    ),
    "an array of doubles": (
        f"def mine({FORM}, **columns):\n    '.'\n    return numpy.ones(len(prompts))",
        "reward",
    ),
    "a coroutine": (f"async def mine({FORM}, **columns):\n    '.'\n    {VALUES}", "reward"),
    "a transition with another result": (
        "def mine(result):\n    '.'\n    return replace(result, stop='enough')",
        "transition",
    ),
    "a transition with a reason": (
        "class mine:\n    '.'\n    def __call__(self, result):\n        return result\n"
        "    def should_stop(self, progress):\n        return 'done' if progress.step else None",
        "transition",
    ),
    "a filter with reasons": (
        "def mine(rows):\n    '.'\n    return [None if '1' in p else 'no' for p in rows['prompt']]",
        "filter",
    ),
    "a sampler that generates": (
        "class mine:\n    '.'\n    def generate(self, completions, policy):\n"
        "        return [policy.append(c, 'x') for c in policy.generate(completions)]",
        "sampler",
    ),
    "a kind that only refuses": (
        "def run(work):\n    'Run.'\n    raise RuntimeError('not yet')\nmine = r1trl.Kind(run=run)",
        "kind",
    ),
}


@pytest.mark.parametrize("form", SOUND)
def test_an_unusual_offer_that_a_run_takes_passes_without_a_note(form: str, results: Any) -> None:
    found = results(*SOUND[form])
    assert of_status(found, "FAILED") == of_status(found, "note") == {}


def test_a_transition_that_wants_a_whole_model_could_not_be_tried(results: Any) -> None:
    source = """
def mine(result):
    '.'
    if not list(result.model.glob("*.safetensors")):
        raise FileNotFoundError("no weights")
    return result
"""
    found = results(source, "transition")
    assert of_status(found, "FAILED") == {}
    detail = "could not be tried on a stage without weights: FileNotFoundError: no weights"
    assert of_status(found, "note") == {"passes a result on": detail}


GIVEN = {
    "handover": [
        "threshold.above=0.5",
        "budget.hours=1",
        "require.metric=reward",
        "require.min_value=0",
    ],
    "alarms": ["reward_hacking.canary=entropy"],
    "search": [
        "budget_forcing.num_waits=1",
        "best_of_n.reward=accuracy",
        "beam_search.reward=accuracy",
        "tree_search.reward=accuracy",
    ],
    "guards": ["retry.rewards=[accuracy]"],
    "sampling": [
        "curriculum.steps=10",
        "curriculum.by=row",
        "phases.start_steps={en: 0}",
        "phases.by=language",
        "reward_range.min_mean=0.1",
    ],
    "tiny": [],
}


@pytest.mark.parametrize(
    "plugin", [pytest.param(p, marks=[pytest.mark.slow] if p == "handover" else []) for p in GIVEN]
)
def test_built_in_offers_of_other_roles_keep_the_contract(plugin: str, tmp_path: Path) -> None:
    rows = None
    if plugin == "guards":  # whose reward takes two requests alone
        rows = tmp_path / "rows.jsonl"
        rows.write_text(
            "".join(
                json.dumps(
                    {"prompt": "2+2?", "completion": "4", "solution": "4", "request": request}
                )
                + "\n"
                for request in ("safe", "unsafe")
            )
        )
    failed = [result for result in check(plugin, GIVEN[plugin], rows) if not result.passed]
    assert failed == []
