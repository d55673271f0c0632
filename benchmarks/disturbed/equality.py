"""Two runs compared: the bytes of weights and records, and numbers but for those of the clock."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from r1trl.stage.times import without_times

LINES = ("completions.jsonl", "pass_rates.jsonl")  # without times
DAMAGED = "damaged"  # in place of what cannot be read


def differences(one: Path, other: Path) -> list[str]:
    """Return in what two folders of runs differ; empty if a reader could not tell them apart."""
    return [f"{name}: {line}" for name in _stages(one, other) for line in _stage(one, other, name)]


def compared(one: Path) -> dict[str, int]:
    """Return how many files of a run are compared, by their kinds."""
    stages = one / "stages"
    return {
        "files of models": sum(1 for _ in stages.glob("*/model/*")),
        "files of rows": sum(1 for _ in stages.glob("*/*.parquet")),
        "rows of metrics": sum(len(_rows(file)) for file in stages.glob("*/metrics.jsonl")),
        "rows of completions": sum(len(_rows(f)) for f in stages.glob("*/completions.jsonl")),
    }


def _stages(one: Path, other: Path) -> list[str]:
    names = {path.parent.name for run in (one, other) for path in run.glob("stages/*/result.json")}
    return sorted(names)


def _stage(one: Path, other: Path, name: str) -> Iterator[str]:
    """Yield in what a stage differs."""
    stages = [run / "stages" / name for run in (one, other)]
    for pattern in ("model/*", *LINES, "data/filters.json", "data/lengths.json"):
        for file, contents in _pairs(stages, pattern):
            if _without_place(contents[0], one) != _without_place(contents[1], other):
                yield f"{file} differs"
    for file, _ in _pairs(stages, "*.parquet"):
        if not _same_rows(*(stage / file for stage in stages)):
            yield f"the rows of {file} differ"
    yield from _numbers(*(stage / "metrics.jsonl" for stage in stages))
    results = [_json(stage / "result.json") for stage in stages]
    for key in ("metrics", "inputs", "identity", "made", "stop", "model", "dataset"):
        values = [untimed(result.get(key)) for result in results]
        if values[0] != values[1]:
            yield f"result.json: {key} differs: {_first_difference(*values)}"
    outcomes = [_outcomes(_json(stage / "scoring.json")) for stage in stages]
    if outcomes[0] != outcomes[1]:
        yield f"scoring.json: {_first_difference(*outcomes)}"


def _pairs(stages: list[Path], pattern: str) -> Iterator[tuple[str, list[bytes]]]:
    """Yield each file of either stage with its content in both; what is not there is empty."""
    names = {str(f.relative_to(s)) for s in stages for f in s.glob(pattern) if f.is_file()}
    for name in sorted(names):
        files = [stage / name for stage in stages]
        yield name, [file.read_bytes() if file.exists() else b"" for file in files]


def _without_place(content: bytes, run: Path) -> bytes:
    """Return a content without the folder that its run lies in."""
    return content.replace(str(run.parent.parent).encode(), b"")


def _same_rows(one: Path, other: Path) -> bool:
    from pyarrow import parquet

    if not (one.exists() and other.exists()):
        return False
    columns = [parquet.read_table(path).to_pydict() for path in (one, other)]
    return repr(columns[0]) == repr(columns[1])  # nan is nan


def _numbers(one: Path, other: Path) -> Iterator[str]:
    """Yield in what the rows of two files of metrics differ."""
    rows, again = _rows(one), _rows(other)
    steps = [[row.get("step") for row in part] for part in (rows, again)]
    if steps[0] != steps[1]:
        yield f"metrics.jsonl: steps are {steps[1]}, not {steps[0]}"
        return
    for row, new in zip(rows, again, strict=True):
        if untimed(row) != untimed(new):
            what = _first_difference(untimed(row), untimed(new))
            yield f"metrics.jsonl: step {row['step']}: {what}"
            return


def untimed(values: Any) -> Any:
    """Return a mapping without what a clock says."""
    return without_times(values) if isinstance(values, Mapping) else values


def _first_difference(one: Any, other: Any) -> str:
    if not (isinstance(one, Mapping) and isinstance(other, Mapping)):
        return f"{other!r:.200}, not {one!r:.200}"
    for name in [*one, *other]:
        if one.get(name) != other.get(name):
            return f"{name} is {other.get(name)!r:.200}, not {one.get(name)!r:.200}"
    return "the order"


def _outcomes(scoring: Any) -> Any:
    """Return how many samples each reward scored, and with what outcomes; of damage, what it is."""
    if not isinstance(scoring, Mapping) or DAMAGED in scoring:
        return scoring
    return {name: about.get("outcomes") for name, about in scoring.items()}


def _rows(path: Path) -> list[dict[str, Any]]:
    lines = path.read_text(errors="replace").split("\n") if path.exists() else []
    return [_loads(line) for line in lines if line]


def _json(path: Path) -> Any:
    return _loads(path.read_text(errors="replace")) if path.exists() else {}


def _loads(text: str) -> Any:
    """Return what a text of JSON says; of a damaged one the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return {DAMAGED: text}
