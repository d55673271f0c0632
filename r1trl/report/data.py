"""What the page of a run shows, as plain data: an overview, and blocks that it unpacks later.

Everything is from the run's files. A stage's curves and completions are blocks; what has not
changed on the disk since the last time is not read again.
"""

import base64
import gzip
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from r1trl.identity.taken import taken_from
from r1trl.process.texts import ACTING
from r1trl.report.completions import completions_of
from r1trl.report.curves import charts_of, columns_of, together
from r1trl.report.files import command_of, filters_of, findings_of, scoring_of, sections_of
from r1trl.report.report import columns_shown, scores_of
from r1trl.report.state import FAILED, RUNNING, StageState, read_record, read_stages, worst
from r1trl.stage.logs import last_lines
from r1trl.storage.jsonl import read_rows
from r1trl.storage.writing import written
from r1trl.watch.beats import first_beat

CURVES, COMPLETIONS = "metrics.jsonl", ("rollouts.parquet", "completions.jsonl")
LINES = 15  # of the log of a stage that runs or has failed


@dataclass(frozen=True)
class PageData:
    """The overview, as JSON has it, and the blocks by their names, as `packed` returns them."""

    overview: dict[str, Any]
    blocks: dict[str, str]


@dataclass(frozen=True)
class Block:
    """What the overview says of a block, and the block."""

    summary: dict[str, Any]
    packed: str


NOTHING = Block({}, "")
Kept = dict[Path, tuple[list[Any], Block]]


def page_data(folder: Path, kept: Kept | None = None) -> PageData:
    """Return what the page of a run shows; raises ConfigError if a stage's file cannot be read.

    `kept` is what an earlier call has left there, so that the same files are not read again.
    """
    kept = {} if kept is None else kept
    record = read_record(folder)
    stages, blocks = read_stages(folder, record), dict[str, str]()
    described = []
    for stage in stages:
        curves = _kept(kept, stage, [CURVES], partial(_curves, stage))
        make = partial(_completions, stage, record.completions)
        completions = _kept(kept, stage, COMPLETIONS, make)
        for kind, block in (("curves", curves), ("completions", completions)):
            blocks |= {f"{kind}:{stage.name}": block.packed} if block.packed else {}
        described.append(_described(stage, {**curves.summary, **completions.summary}))
    overview = {
        "name": folder.resolve().name,
        **command_of(folder),
        "seed": next((stage.spec.seed for stage in stages if stage.spec), None),
        "state": worst([stage.state for stage in stages]),
        "begun": record.begun,
        "machine": record.machine,
        "versions": next(filter(None, (s.versions for s in reversed(stages))), {}),
        "stages": described,
        "columns": columns_shown(),
        "scoreboards": list(_scoreboards(stages)),
        "findings": findings_of(folder),
    }
    return PageData(overview, blocks)


def _described(stage: StageState, of_blocks: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the overview says of a stage."""
    result, spec, beat = stage.result, stage.spec, first_beat(stage.folder)
    settings = spec.settings if spec else {}
    tokens = result.metrics.get("num_tokens") if result else None
    return {
        "name": stage.name,
        "kind": stage.kind,
        "state": stage.state,
        "reason": stage.reason,
        "note": beat.notice if beat and beat.notice else "",
        "reads": dict(stage.reads),
        "model": settings.get("model"),
        "launch": dict(spec.launch) if spec else {},
        "kept": list(result.kept.get("differences", ())) if result else [],
        "inputs": dict(result.inputs) if result else {},
        "seconds": result.seconds if result else None,
        "tokens": tokens or of_blocks.get("tokens"),
        "taken": taken_from(stage.folder),
        "step": of_blocks.get("step"),
        "steps": (settings.get("args") or {}).get("max_steps"),
        "log": last_lines(stage.folder, LINES) if stage.state in (RUNNING, FAILED) else "",
        "charts": of_blocks.get("charts", []),
        "right": stage.right,
        "filters": dict(filters_of(stage.folder)),
        "scoring": scoring_of(stage.folder),
        "sections": sections_of(stage.folder),
        "completions": of_blocks.get("completions", 0),
    }


def _curves(stage: StageState) -> Block:
    columns = columns_of(rows := read_rows(stage.folder / CURVES))
    steps = columns.get("step") or [None]
    summary = {"charts": charts_of(list(columns)), "step": steps[-1]}
    return Block(summary, packed({"together": together(rows), "columns": columns}))


def _completions(stage: StageState, bound: int) -> Block:
    found = completions_of(stage.folder, stage.right, bound)
    if found is None:
        return NOTHING
    return Block({"completions": found["total"], "tokens": found["tokens"] or None}, packed(found))


def _kept(kept: Kept, stage: StageState, files: Sequence[str], make: Callable[[], Block]) -> Block:
    """Return a block of some files: that of before, unless they are others now."""
    paths = [stage.folder / name for name in files]
    stamp = [_stamp(path) for path in paths]
    if not any(stamp):
        return NOTHING
    if kept.get(paths[0], ([], NOTHING))[0] != stamp:
        kept[paths[0]] = (stamp, make())
    return kept[paths[0]][1]


def _stamp(path: Path) -> tuple[int, int] | None:
    """Return what changes with a file's content; None if there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size


def as_json(value: Any) -> str:
    """Return JSON for an element of HTML: it ends none, and holds no secrets."""
    text = written(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")))
    return ACTING.sub(lambda found: f"\\u{ord(found[0]):04x}", text).replace("<", "\\u003c")


def packed(value: Any) -> str:
    """Return JSON, compressed, in base64; equal for equal values."""
    return base64.b64encode(gzip.compress(as_json(value).encode(), 6, mtime=0)).decode()


def _scoreboards(stages: Sequence[StageState]) -> Iterator[dict[str, Any]]:
    """Yield the rows of each scoreboard: a model, a benchmark, its metrics, whence the model is."""
    for stage in stages:
        if not (stage.spec and stage.spec.scores and stage.result):
            continue
        rows = scores_of(stage.result.metrics)
        models = list(dict.fromkeys(model for model, _ in rows))
        yield {
            "stage": stage.name,
            "rows": [
                {"model": m, "benchmark": b, "metrics": each} for (m, b), each in rows.items()
            ],
            "before": {model: _before(model, models, stages, stage) for model in models},
        }


def _before(
    model: str, models: Sequence[str], stages: Sequence[StageState], board: StageState
) -> str | None:
    """Return the model of a scoreboard that another one was trained from; None if none is."""
    named = {stage.name: stage for stage in stages}
    assert board.spec
    paths = {
        str(settings.get("path")): name
        for name, settings in (board.spec.settings.get("models") or {}).items()
        if isinstance(settings, dict)
    }
    while model in named:
        stage = named[model]
        model = stage.reads.get("model", "")
        if model in models:
            return model
        if not model:
            start = str(stage.spec.settings.get("model")) if stage.spec else ""
            return paths.get(start)
    return None
