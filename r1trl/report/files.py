"""What the small files of a run say, for its page, and what plugins add to it.

A stage's transition or kind adds sections, `report/*.json` in the stage's folder: a title and
parts, of which each has one of KINDS. docs/PLUGINS.md says how to write one.
"""

import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from r1trl.process.terminal import short
from r1trl.process.texts import printable
from r1trl.report.state import tell
from r1trl.types import OUTCOMES

SHOWN = 2_000  # characters of a sample of scoring

# What a part may be, with what each of its rows must have.
KINDS: Mapping[str, tuple[str, ...]] = {
    "bars": ("name", "value"),
    "curves": ("series", "step", "value"),
    "heat_map": ("x", "y", "value"),
    "points": ("x", "y", "series"),
    "table": (),
    "text": (),
}


def sections_of(folder: Path) -> list[dict[str, Any]]:
    """Return the sections that a stage's folder has; one that is not as it must be is told."""
    sections = []
    for path in sorted((folder / "report").glob("*.json")):
        try:
            section = json.loads(path.read_text(encoding="utf-8"))
            check_section(section)
        except ValueError as error:
            tell(f"{path} is left out of the report: {error}")
        else:
            sections.append(section)
    return sections


def check_section(section: Any) -> None:
    """Raise ValueError with a sentence if a section is not what a report can show."""
    if not isinstance(section, dict) or not isinstance(section.get("title"), str):
        raise ValueError("a section is an object with a title and parts")
    if not isinstance(section.get("parts"), list):
        raise ValueError("parts is no list")
    for number, part in enumerate(section["parts"]):
        _check_part(part, f"parts[{number}]")


def _check_part(part: Any, key: str) -> None:
    kinds = [kind for kind in KINDS if isinstance(part, dict) and kind in part]
    if len(kinds) != 1:
        raise ValueError(f"{key} has to have one of {', '.join(KINDS)}; it has {len(kinds)}")
    (kind,) = kinds
    content = part[kind]
    if kind == "text":
        if not isinstance(content, str):
            raise ValueError(f"{key}.text is no text")
        return
    if not isinstance(content, list) or not content:
        raise ValueError(f"{key}.{kind} is no list, or has no rows")
    for row in content:
        if kind == "table":
            if not isinstance(row, list) or len(row) != len(content[0]):
                raise ValueError(f"{key}.table has to have rows of equal length, the head first")
        elif not isinstance(row, dict) or not set(KINDS[kind]) <= row.keys():
            raise ValueError(f"{key}.{kind}: each row has to have {', '.join(KINDS[kind])}")


def words_of(folder: Path) -> list[str]:
    """Return the overrides that a run was composed from, which its config.yaml begins with."""
    path = folder / "config.yaml"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    words = list[str]()
    for line in lines[1:]:
        if not line.startswith("# "):
            break
        words.append(line.removeprefix("# "))
    return words if lines[:1] == ["# composed from these overrides:"] else []


def command_of(folder: Path) -> dict[str, Any]:
    """Return the command that a run was composed from, as a text, and its choices by their keys."""
    words = words_of(folder)
    return {
        "command": shlex.join(["r1trl", "run", *words]) if words else "",
        "choices": dict(word.split("=", 1) for word in words if "=" in word),
    }


def filters_of(stage: Path) -> Iterator[tuple[str, Any]]:
    """Yield what filters did to the rows of each source, or of a benchmark's source."""
    data = stage / "data"
    for path in sorted(data.glob("**/filters.json")):
        place = path.parent.relative_to(data).as_posix()
        for source, filters in (_json(path) or {}).items():
            if filters:
                yield source if place == "." else f"{place}: {source}", filters


def scoring_of(stage: Path) -> dict[str, Any]:
    """Return what scoring.json has of each reward, its samples shortened; {} if it is damaged."""
    path = stage / "scoring.json"
    rewards = _json(path) or {}
    try:
        return {name: _scored(reward) for name, reward in rewards.items()}
    except (LookupError, TypeError, AttributeError):
        tell(f"{path} is damaged, and is left out of the report")
        return {}


def _scored(reward: Mapping[str, Any]) -> dict[str, Any]:
    """Return the outcomes, seconds and samples of a reward, as scoring.json has them."""
    samples = {
        kind: [
            {**sample, "completion": printable(short(str(sample["completion"]), SHOWN))}
            for sample in reward.get(kind, ())
        ]
        for kind in ("slowest", "failed")
    }
    outcomes = {outcome: int(reward["outcomes"].get(outcome, 0)) for outcome in OUTCOMES}
    return {"outcomes": outcomes, "seconds": float(reward["seconds"]), **samples}


def findings_of(folder: Path) -> list[dict[str, Any]]:
    """Return what the run's first preflight found."""
    found = _json(folder / "preflight" / "findings.json") or {}
    return [finding for finding in found.get("findings", ()) if isinstance(finding, dict)]


def _json(path: Path) -> dict[str, Any] | None:
    """Return the object in a file; None if there is none, or it is damaged, which is said."""
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        content = None
    if not isinstance(content, dict):
        tell(f"{path} is damaged, and is left out of the report")
        return None
    return content
