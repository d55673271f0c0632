"""What a run does with stages that are there: it sets them aside, keeps them, or uses them.

Just before a stage is used or continued, what it has read is compared with what is there now: an
earlier stage may have been carried out again.
"""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from r1trl.config.schema import StageConfig
from r1trl.errors import StageError
from r1trl.formats import is_there
from r1trl.identity.found import is_begun
from r1trl.identity.identity import SHOWN
from r1trl.identity.inputs import UNKNOWN, inputs_of, read_digests
from r1trl.identity.standing import other_inputs, stale_problem, with_inputs_kept
from r1trl.stage.files import StageSpec, read_result, read_spec, write_result, write_spec
from r1trl.storage.digests import NAME, Digests
from r1trl.storage.writing import sync

OLD = ".old"  # the folder in stages/ of what has been carried out again


def set_aside(folder: Path) -> Path | None:
    """Move a stage's folder to stages/.old/<stage>.<n>; return where it is; None if it is not."""
    if not folder.exists():
        return None
    old, number = folder.parent / OLD, 1
    old.mkdir(exist_ok=True)
    while (old / f"{folder.name}.{number}").exists():
        number += 1
    os.replace(folder, old / f"{folder.name}.{number}")
    sync(old)
    sync(folder.parent)
    return old / f"{folder.name}.{number}"


def record_kept(folder: Path, kept: Mapping[str, Any]) -> None:
    """Record in a stage's own file what it is used for on the user's word."""
    result = read_result(folder)
    if result is not None and dict(result.kept) != kept:
        write_result(replace(result, kept=dict(kept)))
    spec = read_spec(folder) if result is None else None
    if spec is not None and spec.kept != kept:
        write_spec(folder, replace(spec, kept=dict(kept)))


def ready(
    spec: StageSpec, stage: StageConfig, folder: Path, *, finished: bool, keep: bool
) -> StageSpec:
    """Return a stage with the digests of what it reads, before it is used, continued or begun.

    `stage` has its references as they are written. Raises ConfigError if an earlier stage has made
    something else than it has read, unless the user says `keep`, which is recorded.
    """
    digests = Digests(folder.parents[1] / NAME)
    used = finished or is_begun(folder)
    stale = other_inputs(spec, spec.read, digests) if used else {}
    if stale and not keep:
        raise stale_problem(spec, stale, finished=finished)
    if stale:
        spec = replace(spec, kept=with_inputs_kept(spec, stale, digests))
        record_kept(folder, spec.kept)
    if not finished:
        now = read_digests(inputs_of(stage, spec.settings), spec.inputs, digests)
        commits = {r: c for r, c in spec.read.items() if used and now.get(r) == UNKNOWN}
        spec = replace(spec, read={**now, **commits})
    digests.save()
    return spec


def read_by_worker(spec: StageSpec, stage: StageConfig, folder: Path) -> dict[str, str]:
    """Return the digests of what a stage reads, by reference: every file is read here and now.

    `stage` has paths in place of references. Commits that were not known are written to stage.yaml.
    Raises StageError if something is not what it was when stage.yaml was written, or, of a half
    done stage, when that was begun.
    """
    inputs = inputs_of(stage, spec.settings)
    now, begun = read_digests(inputs, spec.inputs, Digests(), online=True), is_begun(folder)
    commits = {each.value for each in inputs if not is_there(each.value)}
    for reference, was in spec.read.items():
        found = now.get(reference, "gone")
        if reference in commits and (found == UNKNOWN or was == UNKNOWN or not begun):
            now[reference] = was if found == UNKNOWN else found
        elif found != was:
            what = f"{reference} was {was[:SHOWN]} when the stage was begun, and is {found[:SHOWN]}"
            raise StageError(f"stages.{spec.stage}: {what}; redo={spec.stage} begins it again")
    if now != spec.read:
        write_spec(folder, replace(spec, read=now))
    return now
