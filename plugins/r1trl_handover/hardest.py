"""Find the problems with the lowest pass rates, for a last stage on them alone."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from r1trl import StageResult, new_file

COMPLETION_COLUMNS = (
    *("completion", "completion_tokens", "tokens_spent", "finished", "reward", "label"),
)
OWN = "row/"  # before the names of the rows' own columns that are called as one of rollouts'
COMPLETION_PREFIXES = ("rewards/", "outcome/", "answer/")


def hardest_problems(
    result: StageResult,
    *,
    reward: str = "accuracy",
    min_rate: float = 0.0,
    max_rate: float = 0.5,
    count: int | None = None,
) -> StageResult:
    """Write hardest.parquet: the problems with a pass rate from `min_rate` to `max_rate`.

    It has one row per problem of a sample stage, hardest first, at most `count`: the problem's
    columns, by the names that they had, and `pass_rate`, the mean of `reward` over its completions.
    A later stage trains on it with `path: stage:<name>/hardest.parquet`. Problems without a value
    are left out. The metrics `hardest` and `hardest_unknown` are the numbers of problems written
    and without a value. Raises ValueError if there are no rollouts, no such reward or no such
    problems.
    """
    from datasets import Dataset

    if result.dataset is None:
        raise ValueError(f"stage '{result.stage}' has no rollouts to look for problems in")
    rows = Dataset.from_parquet(str(result.dataset))
    all_rates = pass_rates(rows, reward)
    rates = {index: rate for index, rate in all_rates.items() if rate is not None}
    inside = [index for index, rate in rates.items() if min_rate <= rate <= max_rate]
    chosen = sorted(inside, key=rates.__getitem__)[:count]
    if not chosen:
        lowest = ", ".join(f"{rate:.2f}" for rate in sorted(rates.values())[:5]) or "none"
        raise ValueError(
            f"no problem has a pass rate from {min_rate:g} to {max_rate:g}; the lowest are: "
            f"{lowest}"
        )
    hardest = rows.select(chosen).remove_columns(completion_columns(rows.column_names))
    own = {n: n.removeprefix(OWN) for n in hardest.column_names if n.startswith(OWN)}
    own.pop(f"{OWN}source", None)  # it stays: `source` is that of this run
    hidden = [name for name in own.values() if name in hardest.column_names]
    hardest = hardest.remove_columns(hidden).rename_columns(own)
    hardest = hardest.add_column("pass_rate", [rates[index] for index in chosen])
    with new_file(result.folder / "hardest.parquet") as part:
        hardest.to_parquet(part)
    metrics = {"hardest": len(chosen), "hardest_unknown": len(all_rates) - len(rates)}
    return replace(result, metrics={**result.metrics, **metrics})


def pass_rates(rows: Any, reward: str) -> dict[int, float | None]:
    """Return each problem's mean reward by the index of its first row; None without any value.

    Raises ValueError if the rows lack the reward's column.
    """
    column = f"rewards/{reward}"
    if column not in rows.column_names:
        available = ", ".join(name for name in rows.column_names if name.startswith("rewards/"))
        raise ValueError(f"there is no column '{column}'; there are: {available or 'none'}")
    first_row: dict[Any, int] = {}
    scores: defaultdict[int, list[float]] = defaultdict(list)
    for index, (problem, value) in enumerate(zip(rows["problem"], rows[column], strict=True)):
        first = first_row.setdefault(problem, index)
        scores[first] += [] if value is None else [value]
    return {i: sum(scores[i]) / len(scores[i]) if scores[i] else None for i in first_row.values()}


def completion_columns(names: Sequence[str]) -> list[str]:
    """Return those of the columns that belong to a completion and not to its problem."""
    return [n for n in names if n in COMPLETION_COLUMNS or n.startswith(COMPLETION_PREFIXES)]
