"""What rescoring has changed, as a table: means, samples, and the signs of advantages."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from r1trl.report.tables import aligned
from r1trl.rescore.rollouts import Rollouts

Values = Sequence[float | None]


def changes(rollouts: Rollouts, values: dict[str, list[float | None]]) -> str:
    """Return what changed: means, samples, and groups in which an advantage changes its sign.

    `values` are the new values by the names of the old ones, the total as `reward`.
    """
    table = [["reward", "mean before", "mean now", "samples changed", "without a value"]]
    for name, now in values.items():
        before, none = rollouts.before(name), sum(value is None for value in now)
        changed = sum(b != n for b, n in zip(before or (), now, strict=before is not None))
        known = before is not None
        old = [_mean(before or ()), f"{changed} of {len(now)}" if known else "–"]
        table.append([name, old[0], _mean(now), old[1], f"{none} of {len(now)}"])
    before, keys = rollouts.before("reward"), _groups(rollouts)
    if before is None or not keys:
        return aligned(table)
    turned, groups = turned_groups(before, values["reward"], keys)
    summary = f"{turned} of {groups} groups have a sample whose advantage changes its sign"
    return f"{aligned(table)}\n\n{summary}"


def _groups(rollouts: Rollouts) -> list[str]:
    """Return a key for the group of each row; empty if the rows do not number their problems."""
    columns = rollouts.saved.column_names
    if "problem" not in columns:
        return []
    names = [name for name in ("model", "benchmark", "problem") if name in columns]
    keys = rollouts.saved.select(names).to_pylist()
    return [repr(key) for key in keys]


def turned_groups(before: Values, now: Values, keys: Sequence[Any]) -> tuple[int, int]:
    """Count groups in which some sample's reward moves to the other side of the group's mean.

    `keys` are those of each sample's group.
    """
    groups: dict[Any, list[int]] = defaultdict(list)
    for i, key in enumerate(keys):
        groups[key].append(i)
    turned = sum(
        any(a != b for a, b in zip(_signs(before, group), _signs(now, group), strict=True))
        for group in groups.values()
    )
    return turned, len(groups)


def _signs(rewards: Values, group: Sequence[int]) -> list[int]:
    """Return the sign of each sample's advantage; a sample without a reward has none."""
    present = [value for i in group if (value := rewards[i]) is not None]
    mean = sum(present) / len(present) if present else 0.0
    shifts = [(mean if (value := rewards[i]) is None else value) - mean for i in group]
    return [0 if abs(shift) < 1e-9 else 1 if shift > 0 else -1 for shift in shifts]


def _mean(values: Values) -> str:
    present = [value for value in values if value is not None]
    return f"{sum(present) / len(present):.4f}" if present else "–"
