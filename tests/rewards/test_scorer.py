"""A sample ends as a value, an abstention, a timeout or an error, and none is a silent zero."""

import json
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import r1trl
from r1trl.config.stage_parts import ScoringConfig
from r1trl.description import Description
from r1trl.errors import StageError
from r1trl.plugins.loading import load
from r1trl.plugins.offer import Offer
from r1trl.process.pulse import pulse
from r1trl.rewards.outcomes import Scores
from r1trl.rewards.pool import Failure, Pool
from r1trl.rewards.scorer import Scorer, make_scorer

PLUGIN = """\
import asyncio, os, time
import r1trl

CALLS = []

def length(prompts, completions, completion_ids, *, scale: float = 1.0, **columns):
    CALLS.append(len(completions))
    return [scale * len(c) for c in completions]

def right(prompts, completions, completion_ids, solution, **columns):
    return [float(c == s) for c, s in zip(completions, solution, strict=True)]

def shy(prompts, completions, completion_ids, **columns):
    return [None if c == "?" else 1.0 for c in completions]

def short(prompts, completions, completion_ids, **columns):
    return [1.0]

def nothing(prompts, completions, completion_ids, **columns):
    return None

def odd(prompts, completions, completion_ids, *, value: str, **columns):
    return [1.0, {"nan": float("nan"), "inf": float("inf"), "text": "1"}[value]]

def crash(prompts, completions, completion_ids, **columns):
    raise ZeroDivisionError("division by zero")

async def slow(prompts, completions, completion_ids, **columns):
    await asyncio.sleep(0.3)
    return [2.0 for _ in completions]

class Counting:
    def __init__(self, *, start: int = 0):
        self.count = start
    def __call__(self, prompts, completions, completion_ids, **columns):
        self.count += 1
        return [float(self.count) for _ in completions]

class Loading:
    def __init__(self):
        self.loads = 0
    def load(self):
        self.loads += 1
    def __call__(self, prompts, completions, completion_ids, **columns):
        return [float(self.loads) for _ in completions]

@r1trl.verifier
def verdict(completion: str, solution: str = "none", *, bonus: float = 0.0):
    if completion == "hang":
        while True:
            pass
    if completion == "crash":
        raise ValueError("bad answer")
    if completion == "die":
        os._exit(1)
    if completion == "nap":
        time.sleep(0.5)
    if completion == "pid":
        return float(os.getpid())
    return None if solution == "unknown" else float(completion == solution) + bonus

def bonus(prompts, completions, completion_ids, rewards, *, of: r1trl.RewardName, **columns):
    return [None if value is None else 2 * value for value in rewards[of]]

def failing(prompts, completions, completion_ids, **columns):
    return [1.0 if c == "a" else r1trl.Failure("error", "no answer") for c in completions]

def sleepy(prompts, completions, completion_ids, **columns):
    time.sleep(0.3)
    return [3.0] * len(completions)

@r1trl.hookimpl
def r1trl_rewards():
    return {"length": length, "right": right, "shy": shy, "short": short, "nothing": nothing,
            "odd": odd, "crash": crash, "slow": slow, "counting": Counting, "verdict": verdict,
            "bonus": bonus, "failing": failing, "sleepy": sleepy,
            "loading": Loading}
"""
SCORING = ScoringConfig(deadline=1.0, processes=2, max_failure_rate=1.0)
Made = Callable[..., Scorer]


@pytest.fixture
def scorer(plugin_file: Any) -> Iterator[Made]:
    """Return a function that makes the scorer of a `rewards:` mapping."""
    plugins, made = load([plugin_file(PLUGIN)]), []

    def make(rewards: dict[str, Any], **scoring: Any) -> Scorer:
        made.append(make_scorer(rewards, replace(SCORING, **scoring), plugins))
        return made[-1]

    yield make
    for one in made:
        one.close()


def score(scorer: Scorer, completions: list[str], step: int | None = None, **more: Any) -> Scores:
    """Score completions."""
    count = len(completions)
    columns = {"prompt": ["p"] * count, "completion": completions, "completion_ids": [[1]] * count}
    return scorer.score({**columns, **more}, step)


def test_totals_are_weighted_sums(scorer: Made) -> None:
    made = scorer({"length": {"weight": 0.5, "scale": 2.0}, "right": {"weight": 10}})
    found = score(made, ["a", "bb"], solution=["a", "a"])
    assert found.values == {"length": [2.0, 4.0], "right": [1.0, 0.0]}
    assert found.totals == [11.0, 2.0]
    assert found.outcomes == {"length": ["value"] * 2, "right": ["value"] * 2}


def test_a_weight_is_1_unless_given_and_a_dropped_reward_is_not_called(scorer: Made) -> None:
    made = scorer({"length": {}, "crash": None})
    assert made.names == ["length"]
    assert score(made, ["abc"]).totals == [3.0]


def test_a_reward_of_weight_0_makes_no_total_where_the_others_have_none(scorer: Made) -> None:
    recorded = {"weight": 0, "scale": 3.0}
    made = scorer({"right": {"where": {"kind": "sum"}}, "length": recorded})
    found = score(made, ["a", "bb"], solution=["a", "a"], kind=["sum", "other"])
    assert found.values == {"right": [1.0, None], "length": [3.0, 6.0]}
    assert found.totals == [1.0, None]
    assert score(scorer({"length": recorded}), ["a"]).totals == [0.0]


def test_a_reward_can_be_used_twice_under_names_of_ones_own(scorer: Made) -> None:
    made = scorer({"once": {"reward": "length"}, "twice": {"reward": "length", "scale": 2.0}})
    assert score(made, ["abc"]).values == {"once": [3.0], "twice": [6.0]}


def test_a_reward_that_abstains_takes_no_part_in_the_total(scorer: Made) -> None:
    found = score(scorer({"shy": {"weight": 2.0}, "length": {"weight": 0.5}}), ["?", "a"])
    assert found.values["shy"] == [None, 1.0] and found.outcomes["shy"] == ["abstain", "value"]
    assert found.totals == [0.5, 2.5]


def test_where_no_reward_applies_there_is_no_total(scorer: Made) -> None:
    assert score(scorer({"shy": {}}), ["?", "a"]).totals == [None, 1.0]


def test_requires_counts_a_reward_only_where_the_others_scored_1(scorer: Made) -> None:
    made = scorer({"length": {"requires": ["right", "shy"]}, "right": {}, "shy": {}})
    found = score(made, ["a", "a", "?"], solution=["a", "b", "?"])
    assert found.values["length"] == [1.0, 0.0, 0.0]
    assert found.values["right"] == [1.0, 0.0, 1.0]


def test_where_limits_a_reward_to_matching_rows(scorer: Made) -> None:
    made = scorer({"length": {"where": {"source": "math", "language": "en"}}})
    found = score(
        made, ["a", "bb", "ccc"], source=["math", "chat", "math"], language=["en", "en", "zh"]
    )
    assert found.values["length"] == [1.0, None, None]


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ({"where": {"source": ["math", "code"]}}, [1.0, None, 3.0, None]),
        ({"unless": {"source": ["math", "code"]}}, [None, 2.0, None, 4.0]),
        ({"unless": {"source": "chat"}}, [1.0, None, 3.0, 4.0]),
        ({"unless": {"source": "chat", "tags": ["a"]}}, [1.0, None, 3.0, 4.0]),
        ({"where": {"tags": ["b"]}}, [None, None, 3.0, None]),
        ({"where": {"source": ["math", "chat"]}, "unless": {"tags": ["a"]}}, [None] * 4),
        ({"where": {"source": []}}, [None] * 4),
    ],
)
def test_where_and_unless_take_a_value_or_a_list_of_them(
    option: dict[str, Any], values: list[float | None], scorer: Made
) -> None:
    columns = {"source": ["math", "chat", "code", "new"], "tags": [["a"], ["a"], ["b"], []]}
    found = score(scorer({"length": option}), ["a", "bb", "ccc", "dddd"], **columns)
    assert found.values["length"] == values


@pytest.mark.parametrize("option", ["where", "unless"])
def test_a_condition_on_a_column_that_the_rows_lack_is_an_error(option: str, scorer: Made) -> None:
    made = scorer({"length": {option: {"sourse": "math"}}})
    message = f"reward 'length': {option} names the column 'sourse'.*did you mean 'source'"
    with pytest.raises(StageError, match=message):
        score(made, ["a"], source=["math"])


@pytest.mark.parametrize(
    ("step", "applies"), [(0, False), (9, False), (10, True), (19, True), (20, False), (None, True)]
)
def test_a_reward_counts_from_a_step_and_until_another(
    step: int | None, applies: bool, scorer: Made
) -> None:
    found = score(scorer({"length": {"from_step": 10, "until_step": 20}}), ["a"], step)
    assert found.totals == [1.0 if applies else None]


def test_a_class_is_made_once_and_keeps_its_state(scorer: Made) -> None:
    made = scorer({"counting": {"start": 5}})
    assert [score(made, ["a"]).totals for _ in range(2)] == [[6.0], [7.0]]


@pytest.mark.parametrize("early", [True, False])
def test_a_reward_is_loaded_once_before_it_is_first_asked(scorer: Made, early: bool) -> None:
    made = scorer({"loading": {"from_step": 1000}})
    for _ in range(2 * early):
        made.load()
    assert made.rewards[0].reward.loads == early, "whatever from_step says"
    for _ in range(2):
        assert score(made, ["a"], 1000).totals == [1.0]


def test_coroutines_are_awaited_side_by_side(scorer: Made) -> None:
    made = scorer({"one": {"reward": "slow"}, "two": {"reward": "slow"}, "length": {}})
    began = time.monotonic()
    found = score(made, ["a"])
    assert found.values == {"one": [2.0], "two": [2.0], "length": [1.0]}
    assert time.monotonic() - began < 0.55


@pytest.mark.parametrize(
    ("rewards", "message"),
    [
        ({"short": {}}, "reward 'short' returned 1 values for 2 completions"),
        ({"nothing": {}}, "reward 'nothing' returned None; it must return a list"),
        (
            {"mine": {"reward": "odd", "value": "nan"}},
            "reward 'mine' returned nan for row 1; it must be a finite number or None",
        ),
        ({"odd": {"value": "inf"}}, "reward 'odd' returned inf for row 1"),
        ({"odd": {"value": "text"}}, "reward 'odd' returned '1' for row 1"),
        ({"crash": {}}, "reward 'crash' failed: ZeroDivisionError: division by zero"),
        ({"right": {}}, "reward 'right' failed: TypeError"),
    ],
)
def test_a_reward_that_misbehaves_is_named(
    rewards: dict[str, Any], message: str, scorer: Made
) -> None:
    with pytest.raises(StageError) as caught:
        score(scorer(rewards), ["a", "b"])
    assert str(caught.value).startswith(message)


def test_a_verifier_separates_options_from_columns(scorer: Made) -> None:
    found = score(scorer({"verdict": {"bonus": 0.5}}), ["a", "b"], solution=["a", "a"])
    assert found.values["verdict"] == [1.5, 0.5]
    assert score(scorer({"verdict": {}}), ["none", "b"]).values["verdict"] == [1.0, 0.0]


def test_a_verifier_can_be_called_as_trl_calls_a_reward(plugin_file: Any) -> None:
    verdict = load([plugin_file(PLUGIN)]).find("reward", "verdict").target
    columns = {"solution": ["a", "b", "unknown"], "language": ["en"] * 3, "bonus": 2.0}
    assert verdict(["p"] * 3, ["a", "a", "a"], [[1]] * 3, **columns) == [3.0, 2.0, None]


def test_a_verifier_has_a_description() -> None:
    def missing(**options: Any) -> str | None:
        return None

    def score(completion: str, *, bonus: float = 0.0) -> float:
        return bonus

    described = r1trl.verifier(missing_requirements=missing, aliases={"extra": "bonus"})(score)
    expected = Description(None, missing, aliases={"extra": "bonus"})
    assert Offer("reward", "score", "mine", described).description == expected


def test_a_right_answer_must_get_1_from_a_verifier_that_reads_a_column_of_the_rows() -> None:
    def compares(completion: str, solution: str) -> float:
        return float(completion == solution)

    def measures(completion: str, prompt: str, completion_ids: list[int]) -> float:
        return float(len(completion_ids))

    assert r1trl.verifier(compares).__r1trl__.full_score == 1.0
    assert r1trl.verifier(full_score=None)(compares).__r1trl__.full_score is None
    assert r1trl.verifier(measures).__r1trl__.full_score is None
    assert r1trl.verifier(full_score=2.0)(measures).__r1trl__.full_score == 2.0


def test_a_verifier_scores_equal_samples_once(plugin_file: Any) -> None:
    verdict = load([plugin_file(PLUGIN)]).find("reward", "verdict").target

    class Counted(Pool):
        def score(self, jobs: Any) -> Any:
            scored.extend(job.arguments for job in jobs)
            return super().score(jobs)

    scored: list[Any] = []
    pool = Counted(1, 5.0)
    rows = {"completion": ["a", "b", "a", "a"], "solution": ["a", "a", "a", "b"]}
    assert verdict.score(rows, {}, pool) == [1.0, 0.0, 1.0, 0.0]
    assert sorted(scored) == [("a", "a"), ("a", "b"), ("b", "a")]
    pool.close()


HOSTILE = ["a", "hang", "crash", "a", "b"]
SOLUTIONS = ["a", "hang", "x", "b", "b"]


def test_a_hanging_answer_ends_at_its_deadline_and_its_neighbours_are_scored_right(
    scorer: Made, capfd: pytest.CaptureFixture[str]
) -> None:
    made = scorer({"verdict": {}, "length": {}})
    began = time.monotonic()
    found = score(made, HOSTILE, solution=SOLUTIONS)
    assert 1.0 <= time.monotonic() - began < 10
    assert found.outcomes["verdict"] == ["value", "timeout", "error", "value", "value"]
    assert found.values["verdict"] == [1.0, None, None, 0.0, 1.0]
    assert found.values["length"] == [1.0, None, None, 1.0, 1.0], "a masked sample counts nowhere"
    assert found.totals == [2.0, None, None, 1.0, 2.0]
    output = capfd.readouterr().out
    assert "2 of 5 samples without a verdict" in output
    assert "reward 'verdict': timeout on row 1 (no verdict within 1 s): 'hang'" in output
    shares = {"outcome/verdict/timeout": 0.2, "outcome/verdict/error": 0.2}
    metrics = found.metrics("verdict")
    assert {k: v for k, v in metrics.items() if k.startswith("outcome")} == shares


def test_on_failure_zero_counts_failures_as_0(scorer: Made) -> None:
    made = scorer({"verdict": {}, "length": {}}, on_failure="zero")
    found = score(made, ["crash", "a"], solution=["x", "a"])
    assert found.values == {"verdict": [0.0, 1.0], "length": [5.0, 1.0]}
    assert found.outcomes["verdict"] == ["error", "value"]
    assert found.totals == [5.0, 2.0]


def test_on_failure_raise_stops_at_the_first_failure(scorer: Made) -> None:
    made = scorer({"verdict": {}}, on_failure="raise")
    with pytest.raises(StageError) as caught:
        score(made, ["a", "crash"], solution=["a", "x"])
    assert "reward 'verdict': error on row 1 (ValueError: bad answer): 'crash'" in str(caught.value)


@pytest.mark.parametrize(("limit", "stops"), [(0.5, False), (0.4, True)])
def test_more_failures_than_the_limit_stop_the_stage(
    limit: float, stops: bool, scorer: Made
) -> None:
    made = scorer({"verdict": {}}, max_failure_rate=limit)
    if stops:
        with pytest.raises(StageError, match=r"1 of 2 samples failed .*max_failure_rate=0\.4"):
            score(made, ["a", "crash"], solution=["a", "x"])
    else:
        assert score(made, ["a", "crash"], solution=["a", "x"]).totals == [1.0, None]


def test_an_answer_that_kills_its_scoring_process_is_an_error_and_takes_no_other_along(
    scorer: Made,
) -> None:
    found = score(scorer({"verdict": {}}), ["a", "die", "b"], solution=["a", "die", "b"])
    assert found.values["verdict"] == [1.0, None, 1.0]
    assert found.outcomes["verdict"] == ["value", "error", "value"]


def test_killing_the_scoring_processes_loses_nothing(scorer: Made) -> None:
    made = scorer({"verdict": {}}, deadline=20.0)
    first = score(made, ["pid"], solution=["1"]).values["verdict"][0]
    assert first is not None and not math.isnan(first)

    def kill() -> None:
        time.sleep(0.25)
        os.kill(int(first), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    completions = ["nap"] * 3 + ["a"] * 3
    solutions = ["nap", "b", "nap2", "a", "b", "c"]
    found = score(made, completions, solution=solutions)
    killer.join()
    assert found.values["verdict"] == [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]
    assert found.outcomes["verdict"] == ["value"] * 6
    again = score(made, ["pid"], solution=["1"]).values["verdict"][0]
    assert again not in (None, first)


def test_a_reward_with_a_parameter_rewards_is_called_after_the_others_with_their_values(
    scorer: Made,
) -> None:
    made = scorer({"bonus": {"of": "verdict"}, "verdict": {"where": {"source": "math"}}})
    sources = ["math", "math", "chat"]
    found = score(made, ["a", "crash", "a"], solution=["a", "x", "b"], source=sources)
    assert list(found.values) == ["bonus", "verdict"], "in the order of the config"
    assert found.values["bonus"] == [2.0, None, None]
    assert found.outcomes["bonus"] == ["value", "abstain", "abstain"]


def test_a_reward_may_return_a_failure_in_place_of_a_value(scorer: Made) -> None:
    found = score(scorer({"failing": {}, "length": {}}), ["a", "b"])
    assert found.outcomes["failing"] == ["value", "error"]
    assert found.totals == [2.0, None]


def test_rewards_of_a_batch_run_at_the_same_time(scorer: Made) -> None:
    made = scorer({"verdict": {}, "slow": {}, "sleepy": {}}, deadline=5.0, processes=1)
    score(made, ["a"], solution=["a"])  # starts the process
    began = time.monotonic()
    found = score(made, ["nap"], solution=["nap"])
    assert time.monotonic() - began < 0.9, "0.5 s in the pool, 0.3 s here, 0.3 s awaited"
    assert found.totals == [1.0 + 2.0 + 3.0]


def test_metrics_have_the_seconds_of_a_reward_and_its_samples(scorer: Made) -> None:
    made = scorer({"verdict": {}, "length": {}}, deadline=5.0)
    found = score(made, ["nap", "a", "b"], solution=["nap", "a", "b"])
    metrics = found.metrics("verdict", period=10.0)
    seconds = metrics["seconds/verdict"]
    assert 0.5 <= metrics["seconds/verdict/max"] <= seconds
    assert metrics["seconds/verdict/p50"] < 0.4 < metrics["seconds/verdict/p95"]
    assert metrics["seconds/verdict/share"] == pytest.approx(seconds / 10)
    assert set(found.metrics("length")) == {"seconds/length"}, "no seconds per sample"


def test_the_statistics_have_outcomes_the_slowest_and_the_failed_samples(
    scorer: Made, tmp_path: Path
) -> None:
    made = scorer({"verdict": {}}, deadline=5.0)
    score(made, ["nap", "a"] + ["b"] * 20, solution=["nap", "a", *map(str, range(20))])
    score(made, ["crash", "x"], solution=["a", "unknown"])
    made.close(tmp_path)
    stats = json.loads((tmp_path / "scoring.json").read_text())["verdict"]
    assert stats["outcomes"] == {"value": 22, "error": 1, "abstain": 1}
    assert stats["slowest"][0]["completion"] == "nap" and len(stats["slowest"]) == 10
    assert stats["slowest"][0]["seconds"] >= 0.5
    message = "ValueError: bad answer"
    assert stats["failed"] == [{"outcome": "error", "message": message, "completion": "crash"}]


def test_a_failure_has_its_kind_and_a_message(plugin_file: Any) -> None:
    verdict = load([plugin_file(PLUGIN)]).find("reward", "verdict").target
    pool = Pool(1, 5.0)
    found = verdict.score({"completion": ["crash", "die"]}, {}, pool)
    pool.close()
    assert found == [
        Failure("error", "ValueError: bad answer"),
        Failure("error", "the scoring process died twice on this sample"),
    ]


def test_a_reward_without_any_verdict_is_told_once_with_a_gold_and_the_mend(
    scorer: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    made = scorer({"shy": {}, "length": {}})
    columns = {"solution": ["Two and two. #### 4"] * 6}
    for _ in range(3):
        score(made, ["?"] * 6, **columns)
    told = capsys.readouterr().out
    assert told.count("reward 'shy' has no verdict on any of 12 samples") == 1
    assert "'Two and two. #### 4'" in told and "dataset=gsm8k" in told


def test_a_reward_is_not_without_verdict_on_rows_that_it_does_not_apply_to(
    scorer: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    made = scorer({"shy": {"where": {"domain": "math"}}})
    found = score(made, ["?"] * 20, domain=["chat"] * 20)
    assert "no verdict" not in capsys.readouterr().out
    assert not [name for name in found.metrics("shy") if name.startswith("outcome/")]
    assert (
        score(made, ["?", "a"], domain=["math", "chat"]).metrics("shy")["outcome/shy/abstain"]
        == 1.0
    )


HANGING = """
import asyncio
import time

import r1trl

def hangs(prompts, completions, completion_ids):
    try:
        time.sleep(60)
    except Exception:
        return [0.0] * len(completions)

def loops(prompts, completions, completion_ids):
    values = []
    for completion in completions:
        try:
            while True:
                pass
        except Exception:
            values.append(0.0)
    return values

async def awaits(prompts, completions, completion_ids):
    await asyncio.sleep(60)

async def gives_up(prompts, completions, completion_ids):
    raise TimeoutError("the judge")

@r1trl.hookimpl
def r1trl_rewards():
    return {"hangs": hangs, "loops": loops, "awaits": awaits, "gives_up": gives_up}
"""


@pytest.mark.parametrize("name", ["hangs", "loops", "awaits"])
def test_a_reward_of_a_batch_that_hangs_is_bounded_and_named(name: str, plugin_file: Any) -> None:
    plugins = load([plugin_file(HANGING)])
    made = make_scorer({name: {}}, replace(SCORING, patience=0.5), plugins, "stages.x")
    began, before = time.monotonic(), signal.getsignal(signal.SIGVTALRM)
    with pytest.raises(StageError) as raised:
        score(made, ["a", "b"])
    late = f"reward '{name}': no values for 2 completions within scoring.patience=0.5 s"
    assert str(raised.value) == f"stages.x.rewards.{name}: {late}"
    assert time.monotonic() - began < 3 and signal.getsignal(signal.SIGVTALRM) == before
    assert pulse.overdue is None and pulse.elsewhere == 0


def test_a_rewards_own_time_out_is_not_taken_for_patience(plugin_file: Any) -> None:
    made = make_scorer({"gives_up": {}}, SCORING, load([plugin_file(HANGING)]))
    with pytest.raises(StageError, match="failed: TimeoutError: the judge"):
        score(made, ["a"])
