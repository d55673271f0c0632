"""What a run shares with the earlier ones of its sweep: a stage that would be made again as it is.

A finished stage is taken into a later run, and then stands there as if it had been carried out
there: the plan is made anew, and compares all of it once more. Not only the identity has to be the
same, as for a stage that is used where it was made, but also what is left out of it: the launch,
versions, and settings that change no result. A result that was kept on the user's word, one that
ends the run, and one whose inputs on the Hub are not known, are not taken.
"""

import os
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

from r1trl.config.checked import Composed
from r1trl.identity.found import Found, damages, find, is_begun
from r1trl.identity.inputs import UNKNOWN
from r1trl.identity.standing import other_inputs
from r1trl.identity.taken import write_taken
from r1trl.identity.used import set_aside
from r1trl.plan.plan import Plan, PlannedStage, make_plan
from r1trl.process.terminal import say
from r1trl.stage.files import StageSpec, with_values
from r1trl.stage.inputs import PREFIX
from r1trl.storage.digests import Digests, digest_of
from r1trl.storage.writing import new_folder, rename
from r1trl.watch.lock import locked

NEW = ".taken"  # a folder of the run, until it is the stage's
OF_PROCESSES = ("control", "ranks")  # files about processes that work at a stage


def with_shared(plan: Plan, composed: Composed, earlier: Sequence[Plan]) -> Plan:
    """Take over what a run shares with earlier ones; return its plan as it is then.

    Raises ConfigError if another r1trl is at work in the run's folder.
    """
    finished = {stage.spec.stage for stage in plan.stages if stage.finished}
    before = len(finished)
    plan.folder.mkdir(parents=True, exist_ok=True)
    with locked(plan.folder):
        for stage in plan.until:
            name = stage.spec.stage
            if name in finished or stage.asked or is_begun(stage.folder):
                continue
            for other in earlier:
                found = _equal(stage, other, finished, plan.digests)
                if found:
                    _take(found, stage.folder, other.folder)
                    finished.add(name)
                    say(f"{name}: taken from {other.folder} (same inputs)")
                    break
    plan.digests.save()
    return plan if len(finished) == before else make_plan(composed)


def _equal(
    stage: PlannedStage, earlier: Plan, finished: Collection[str], digests: Digests
) -> Found | None:
    """Return the stage of an earlier run that is what this one would be; None if it is not.

    `finished` are the stages of this run that have a result.
    """
    spec = stage.spec
    other = next((each for each in earlier.stages if each.spec.stage == spec.stage), None)
    makers = {r.removeprefix(PREFIX).partition("/")[0] for r in spec.inputs}
    if other is None or other.launch != stage.launch or not makers <= set(finished):
        return None
    found = find(other.folder)
    result = found.result if found else None
    if found is None or result is None or found.kept or result.stop:
        return None
    same = (
        found.accepted[0] == spec.identity
        and not any(UNKNOWN in value for value in spec.identity["inputs"].values())
        and result.versions == spec.versions
        and _all_of(found.spec) == _all_of(spec)
    )
    if not same or other_inputs(spec, found.read, digests):
        return None
    return None if damages(other.folder, result.made, digests) else found


def _all_of(spec: StageSpec) -> str:
    """Return a digest of all that a stage is given, but for the run's name and where it lies."""
    settings = with_values(spec.settings, {path: ref for ref, path in spec.inputs.items()})
    return digest_of([spec.kind, spec.seed, settings, spec.plugins, spec.trackers, spec.launch])


def _take(found: Found, target: Path, run: Path) -> None:
    """Put the folder of a stage of a run into another; what it has made as links, if it can be."""
    assert found.result
    source, new = found.result.folder, target.parents[1] / NEW
    set_aside(target)
    with new_folder(new) as part:
        for file in sorted(path for path in source.rglob("*") if path.is_file()):
            name = file.relative_to(source)
            if name.parts[0] in OF_PROCESSES:
                continue
            (part / name).parent.mkdir(parents=True, exist_ok=True)
            if name.as_posix() in found.result.made:
                _link(file, part / name)
            else:
                shutil.copy2(file, part / name)
        write_taken(part, os.path.relpath(run, target))
    target.parent.mkdir(exist_ok=True)
    rename(new, target)


def _link(file: Path, target: Path) -> None:
    """Give a file that is never written to again a second name, or copy it to another disk."""
    try:
        os.link(file, target)
    except OSError:
        shutil.copy2(file, target)
