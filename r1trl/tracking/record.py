"""What trackers are told of a stage, and the id that they know it by, which its folder keeps."""

import json
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from r1trl.identity.sources import source_of
from r1trl.plugins.loading import CORE, GROUP, Plugins
from r1trl.process.environment import masked
from r1trl.stage.files import StageSpec
from r1trl.stage.inputs import PREFIX
from r1trl.storage.digests import digest_of
from r1trl.storage.jsonl import read_rows
from r1trl.storage.writing import write_text, written
from r1trl.trackers import TrackedInput, TrackedOutput, TrackedStage
from r1trl.types import StageResult

FILE = "tracking.json"


def identified(spec: StageSpec, folder: Path) -> tuple[dict[str, Any], bool]:
    """Return a stage's `run_id` and `first_step`, and True if an earlier attempt has made them.

    They stay what they are as long as the stage's folder; a stage that is carried out again has
    others. The id has the run's and the stage's name, and what no other run of these names has.
    """
    known = read_id(folder)
    if known is not None:
        return known, True
    name = re.sub(r"[^\w.-]+", "-", f"{spec.run}-{spec.stage}")[:100]
    steps = sum(last_step(folder.parent / stage) for stage in spec.about.get("before", ()))
    made = {"run_id": f"{name}-{secrets.token_hex(4)}", "first_step": steps}
    write_text(folder / FILE, json.dumps(made) + "\n")
    return made, False


def read_id(folder: Path) -> dict[str, Any] | None:
    """Return what trackers know a stage by; None if none has been told of it, or it is damaged."""
    try:
        known = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return {"run_id": str(known["run_id"]), "first_step": int(known["first_step"])}
    except (OSError, ValueError, LookupError, TypeError):
        return None


def last_step(folder: Path) -> int:
    """Return the last step of a stage that trains; 0 of others."""
    rows = read_rows(folder / "metrics.jsonl", numbers=("step",))
    return max((int(row["step"]) for row in rows), default=0)


def tracked(spec: StageSpec, folder: Path, plugins: Plugins, first_step: int) -> TrackedStage:
    """Return a stage as trackers see it."""
    stage, inputs = spec.at(folder), list(_inputs(spec, folder))
    about = {name: value for name, value in spec.about.items() if name != "before"}
    told = {"stage": spec.stage, "run": spec.run, "seed": spec.seed, **about}
    told |= {"inputs": [asdict(each) for each in inputs], "launch": spec.launch}
    config = masked({**stage.settings, **told, "versions": spec.versions})
    code = dict(sorted(_sources(plugins)))
    own = (stage.name, stage.kind, stage.folder, masked(stage.settings), spec.run)
    return TrackedStage(*own, config, inputs, code, first_step, spec.scores)


def _inputs(spec: StageSpec, folder: Path) -> Iterator[TrackedInput]:
    """Yield what a stage reads; what an earlier stage has made with that stage's id.

    The driver has written the digests; a stage that is run by hand may have none yet.
    """
    for reference, digest in masked({**dict.fromkeys(spec.inputs, ""), **spec.read}).items():
        stage = None
        if reference.startswith(PREFIX):
            stage = reference.removeprefix(PREFIX).partition("/")[0]
        known = read_id(folder.parent / stage) if stage else None
        yield TrackedInput(reference, digest, stage, known["run_id"] if known else None)


def _sources(plugins: Plugins) -> Iterator[tuple[str, str]]:
    """Yield the names and texts of the Python files of plugins that do not come with r1trl."""
    theirs = {e.name for e in entry_points(group=GROUP) if e.dist and e.dist.name != CORE}
    for name, plugin in plugins.manager.list_name_plugin():
        if name in theirs or name in plugins.extra:
            package, files = source_of(plugin)
            for file, path in files.items():
                if file.endswith(".py"):
                    inside = file if file == package else f"{package}/{file}"
                    yield inside, written(path.read_text(encoding="utf-8", errors="replace"))


def outputs_of(result: StageResult) -> dict[str, TrackedOutput]:
    """Return what a stage hands over, with the digests by which later stages read it."""
    found = {}
    if result.model is not None:
        at = f"{os.path.relpath(result.model, result.folder)}/"
        inside = {n.removeprefix(at): d for n, d in result.made.items() if n.startswith(at)}
        found["model"] = TrackedOutput(result.model, digest_of(inside))
    if result.dataset is not None:
        digest = result.made.get(os.path.relpath(result.dataset, result.folder), "")
        found["dataset"] = TrackedOutput(result.dataset, digest)
    return found
