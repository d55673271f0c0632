"""Find the problems that a model solves least often, for a last stage on them alone."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from r1trl import StageResult

OF_A_COMPLETION = ("completion", "completion_tokens", "tokens_spent", "finished", "reward", "label")
PARTS = ("rewards/", "outcome/", "answer/")


def hardest_problems(
    result: StageResult,
    *,
    reward: str = "accuracy",
    least: float = 0.0,
    most: float = 0.5,
    count: int | None = None,
) -> StageResult:
    """Write hardest.parquet: the problems of which a share from `least` to `most` is solved.

    One row per problem of a sample stage, with its columns and `pass_rate`, the mean over its
    completions of `reward`; hardest first, at most `count`. A later stage trains on
    `path: stage:<name>/hardest.parquet`. Problems without a verdict are left out; their number and
    that of the others are the metrics `hardest` and `hardest_unknown`. Raises ValueError where
    there are no rollouts, no such reward or no such problems.
    """
    from datasets import Dataset

    if result.dataset is None:
        raise ValueError(f"stage '{result.stage}' has no rollouts to look for problems in")
    rows = Dataset.from_parquet(str(result.dataset))
    rates = pass_rates(rows, reward)
    known = {index: rate for index, rate in rates.items() if rate is not None}
    inside = [index for index, rate in known.items() if least <= rate <= most]
    chosen = sorted(inside, key=known.__getitem__)[:count]
    if not chosen:
        told = ", ".join(f"{rate:.2f}" for rate in sorted(known.values())[:5]) or "none"
        raise ValueError(
            f"no problem has a pass rate from {least:g} to {most:g}; the lowest are: {told}"
        )
    hardest = rows.select(chosen).remove_columns(others(rows.column_names))
    hardest = hardest.add_column("pass_rate", [known[index] for index in chosen])
    hardest.to_parquet(str(result.folder / "hardest.parquet"))
    found = {"hardest": len(chosen), "hardest_unknown": len(rates) - len(known)}
    return replace(result, metrics={**result.metrics, **found})


def pass_rates(rows: Any, reward: str) -> dict[int, float | None]:
    """Return the mean reward of each problem, by its first row; None where nothing has a value."""
    column = f"rewards/{reward}"
    if column not in rows.column_names:
        there = ", ".join(name for name in rows.column_names if name.startswith("rewards/"))
        raise ValueError(f"there is no column '{column}'; there are: {there or 'none'}")
    first: dict[Any, int] = {}
    scores: defaultdict[int, list[float]] = defaultdict(list)
    for index, (problem, value) in enumerate(zip(rows["problem"], rows[column], strict=True)):
        at = first.setdefault(problem, index)
        scores[at] += [] if value is None else [value]
    return {at: sum(scores[at]) / len(scores[at]) if scores[at] else None for at in first.values()}


def others(names: Sequence[str]) -> list[str]:
    """Return the columns that are of a completion and not of its problem."""
    return [name for name in names if name in OF_A_COMPLETION or name.startswith(PARTS)]
