"""In what the configs of runs differ, key by key.

A config is compared as it was composed, with its references, so that a value which many stages
refer to is one difference; a reference beside a plain value is compared by what it stands for.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from r1trl.compare.names import told_apart
from r1trl.compare.runs import NOT_COMPARED, ComparedRun
from r1trl.process.terminal import short

MISSING = "–"
WIDTH = 300  # characters of a value that is shown
REFERENCE = re.compile(r"\$\{([\w.]+)\}")
ABSENT = object()  # in place of the value of a key that a config lacks


@dataclass(frozen=True)
class Difference:
    """A key that configs do not agree on: as it is, as short as can be, and each run's value."""

    key: str
    name: str
    values: Sequence[str]


def differences(runs: Sequence[ComparedRun]) -> list[Difference]:
    """Return the keys in which the configs of runs differ, with the values as text."""
    configs = [run.config for run in runs]
    found = dict(_differing(configs, configs, ""))
    names = told_apart(list(found), ".")
    return [
        Difference(key, name, values)
        for (key, values), name in zip(found.items(), names, strict=True)
    ]


def _differing(
    values: Sequence[Any], configs: Sequence[Mapping[str, Any]], key: str
) -> Iterator[tuple[str, list[str]]]:
    """Yield the keys in nested values that differ, each with its values as text."""
    if all(isinstance(value, Mapping) for value in values):
        for name in dict.fromkeys(name for value in values for name in value):
            if key or name not in NOT_COMPARED:
                inner = [value.get(name, ABSENT) for value in values]
                yield from _differing(inner, configs, f"{key}.{name}" if key else str(name))
        return
    if all(value == values[0] for value in values):
        return
    meant = [_meant(value, config) for value, config in zip(values, configs, strict=True)]
    if any(value != meant[0] for value in meant):
        yield key, list(map(_text, meant))


def _meant(value: Any, config: Mapping[str, Any]) -> Any:
    """Return what a reference to a key of a config stands for; any other value as it is."""
    seen = set[str]()
    while isinstance(value, str) and (found := REFERENCE.fullmatch(value)) and value not in seen:
        seen.add(value)
        inner: Any = config
        for part in found[1].split("."):
            inner = inner.get(part, ABSENT) if isinstance(inner, Mapping) else ABSENT
        if inner is ABSENT:
            break
        value = inner
    return value


def _text(value: Any) -> str:
    if value is ABSENT:
        return MISSING
    if isinstance(value, Mapping) and "kind" in value:
        return f"a stage of the kind {value['kind']}"
    return short(value if isinstance(value, str) else json.dumps(value, default=str), WIDTH)
