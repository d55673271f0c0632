"""The scoreboards of runs beside each other, with the difference of each run from the first one.

Where both answered the same questions its interval is by a paired bootstrap over questions, in
which cancels out how hard they are; else it is the root of the sum of the squares of both half
intervals, as in a run's own report. Either is about the questions, not about other seeds.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from r1trl.compare.runs import ComparedRun, stage_names
from r1trl.generation.metrics import pass_rates
from r1trl.intervals import bootstrap_interval
from r1trl.report.report import scores_of
from r1trl.report.state import StageState
from r1trl.variants import REFERENCE

CLOSE = 1e-9  # between the mean over questions and pass@1, if they are of the same samples
VARIANT = "variant"
Rates = dict[Any, float]  # by question


@dataclass(frozen=True)
class Change:
    """How far pass@1 is from the first run's, with the ends of its 95 % interval."""

    by: float
    low: float
    high: float
    paired: bool


@dataclass(frozen=True)
class Score:
    """The metrics of a model of a run on a benchmark; no change of the first run that has it."""

    run: int
    model: str
    metrics: Mapping[str, float]
    change: Change | None


@dataclass(frozen=True)
class Board:
    """The scores of all runs on a benchmark of a stage, model by model."""

    stage: str
    benchmark: str
    scores: Sequence[Score]

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)


def boards(runs: Sequence[ComparedRun]) -> list[Board]:
    """Return the scoreboards of all finished stages that score, one for each benchmark."""
    found = []
    for name in stage_names(runs):
        stages = {i: stage for i, run in enumerate(runs) if (stage := _scored(run.stage(name)))}
        metrics = {i: scores_of(stage.result.metrics) for i, stage in stages.items()}  # type: ignore[union-attr]
        rates = {i: _rates(stage) for i, stage in stages.items()}
        places = dict.fromkeys(place for each in metrics.values() for place in each)
        for benchmark in dict.fromkeys(benchmark for _, benchmark in places):
            models = [model for model, other in places if other == benchmark]
            scores = [s for model in models for s in _scores((model, benchmark), metrics, rates)]
            found += [Board(name, benchmark, scores)] if scores else []
    return found


def _scored(stage: StageState | None) -> StageState | None:
    """Return a stage if it has finished and feeds a scoreboard."""
    return stage if stage and stage.result and stage.spec and stage.spec.scores else None


def _scores(
    place: tuple[str, str],
    metrics: Mapping[int, Mapping[tuple[str, str], Mapping[str, float]]],
    rates: Mapping[int, Mapping[tuple[str, str], Rates]],
) -> Iterator[Score]:
    """Yield the scores of the runs that have a model on a benchmark, in the order of runs."""
    here = {i: each[place] for i, each in metrics.items() if "pass@1" in each.get(place, {})}
    first = next(iter(here), None)
    for i, own in here.items():
        change = None
        if first is not None and i != first:
            both = (rates[first].get(place, {}), rates[i].get(place, {}))
            change = _change(here[first], own, *both)
        yield Score(i, place[0], own, change)


def _change(
    first: Mapping[str, float], own: Mapping[str, float], then: Rates, now: Rates
) -> Change | None:
    """Return how far a model's pass@1 is from that in the first run; None without an interval."""
    by = own["pass@1"] - first["pass@1"]
    if then and then.keys() == now.keys():
        low, high = bootstrap_interval([now[question] - rate for question, rate in then.items()])
        return Change(by, low, high, paired=True)
    ends = [(each.get("pass@1_low"), each.get("pass@1_high")) for each in (first, own)]
    halves = [(high - low) / 2 for low, high in ends if low is not None and high is not None]
    half = math.hypot(*halves)
    return Change(by, by - half, by + half, paired=False) if len(halves) == len(ends) else None


def _rates(stage: StageState) -> dict[tuple[str, str], Rates]:
    """Return the pass rate of each question by model and benchmark, where they make pass@1."""
    file = stage.folder / "rollouts.parquet"
    columns = _columns(file, stage.right) if stage.right and file.exists() else {}
    places: dict[tuple[str, str], list[int]] = {}
    for i, (model, benchmark, variant) in enumerate(
        zip(*(columns.get(name, ()) for name in ("model", "benchmark", VARIANT)), strict=True)
    ):
        if variant == REFERENCE:
            places.setdefault((model, benchmark), []).append(i)
    found = {}
    assert stage.result
    for place, rows in places.items():
        questions, values, outcomes = (
            [columns[name][i] for i in rows] for name in ("question", "value", "outcome")
        )
        rates = pass_rates(questions, values, outcomes)
        known = {question: rate for question, rate in rates.items() if rate is not None}
        score = scores_of(stage.result.metrics).get(place, {}).get("pass@1", math.nan)
        if known and abs(sum(known.values()) / len(known) - score) < CLOSE:
            found[place] = known
    return found


def _columns(file: Any, right: str) -> dict[str, list[Any]]:
    """Return what pass rates are made of, with a question in one piece; nothing if it is not there.

    A question is its number, its text before it was rendered, and its solution.
    """
    from pyarrow.parquet import read_schema, read_table

    names = set(read_schema(file).names)
    text = "question" if "question" in names else "prompt"
    needed = {"model", "benchmark", "problem", text, f"rewards/{right}", f"outcome/{right}"}
    if not needed <= names:
        return {}
    also = sorted({"solution", VARIANT} & names)
    table = read_table(file, columns=[*sorted(needed), *also]).to_pydict()
    count = len(table["model"])
    solutions = table.get("solution", [None] * count)
    whole = zip(table["problem"], table[text], solutions, strict=True)
    return {
        "model": table["model"],
        "benchmark": table["benchmark"],
        VARIANT: table.get(VARIANT, [REFERENCE] * count),
        "question": [repr(question) for question in whole],
        "value": table[f"rewards/{right}"],
        "outcome": table[f"outcome/{right}"],
    }
