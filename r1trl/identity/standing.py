"""Where a stage stands before a run: to do, half done or finished, and whether that may be used."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from r1trl.errors import ConfigError
from r1trl.identity.asked import Asked
from r1trl.identity.found import Found, damages, find
from r1trl.identity.identity import SHOWN, differences, is_same
from r1trl.identity.versions import changed_versions
from r1trl.stage.files import StageSpec
from r1trl.stage.inputs import PREFIX
from r1trl.storage.digests import Digests

PROCESSES = "processes"


@dataclass(frozen=True)
class Standing:
    """A stage with the identity that its result has, or will have.

    `problems` are reasons not to start; `notes` are without the stage's key, as several may share
    one.
    """

    spec: StageSpec
    finished: bool = False
    problems: Sequence[str] = field(default_factory=list)
    notes: Sequence[str] = field(default_factory=list)


def standing(
    spec: StageSpec,
    folder: Path,
    asked: Asked,
    needed_by: Sequence[str],
    unmade: Collection[str],
    digests: Digests,
) -> Standing:
    """Compare what is there of a stage with what it would be, `spec`.

    `asked` is what the user has said about it, `needed_by` are the stages that read it, `unmade`
    those that are carried out before it: what they make is compared when they have made it.
    """
    if asked == "redo":
        return Standing(spec)
    try:
        found = find(folder)
    except ConfigError as error:
        return Standing(spec, problems=[f"stages.{spec.stage}: {p}" for p in error.problems])
    if found is None:
        return Standing(spec, notes=["keep: nothing is there to be used"] if asked else [])
    wrong = [] if found.result is None else damages(folder, found.result.made, digests)
    if wrong:
        told = [f"stages.{spec.stage}: is finished, but {line}" for line in wrong]
        return Standing(spec, problems=[*told, _advice(spec.stage, needed_by)])
    lines = [] if _fits(found, spec) else differences(found.spec, found.accepted[-1], spec)
    stale = other_inputs(spec, found.read, digests, unmade)
    kept = found.kept
    if (lines or stale) and asked == "keep":
        kept = _kept(found, spec, [*lines, *stale.values()], _now(spec, stale, digests))
    finished = found.result is not None
    used = replace(spec, identity=found.identity, kept=kept, read=found.read)
    problems = []
    if (lines or stale) and asked != "keep":
        state = "finished" if finished else "half done"
        problems = [f"{line}, and the stage is {state}" for line in (*lines, *stale.values())]
        problems.append(_advice(spec.stage, needed_by, finished=finished))
    notes = [] if problems else list(_notes(found, spec, unmade))
    return Standing(used, finished, problems, notes)


def _fits(found: Found, spec: StageSpec) -> bool:
    """Return True if what is there belongs to an identity, by itself or on the user's word."""
    return any(is_same(each, spec.identity) for each in found.accepted)


def other_inputs(
    spec: StageSpec, read: Mapping[str, str], digests: Digests, but: Collection[str] = ()
) -> dict[str, str]:
    """Return what earlier stages have made that is not what a stage has read, by reference.

    `but` are stages that are left out.
    """
    lines = {}
    for reference, path in spec.inputs.items():
        maker = reference.removeprefix(PREFIX).partition("/")[0]
        was = read.get(reference)
        if was is None or maker in but or not Path(path).exists():
            continue
        now = digests.of(Path(path))
        if now != was:
            what = f"{reference} was {was[:SHOWN]} when it was read, and is {now[:SHOWN]}"
            lines[reference] = f"stages.{spec.stage}: {what}"
    return lines


def _now(spec: StageSpec, references: Collection[str], digests: Digests) -> dict[str, str]:
    return {each: digests.of(Path(spec.inputs[each])) for each in references}


def _kept(
    found: Found, spec: StageSpec, lines: Sequence[str], inputs: Mapping[str, str]
) -> dict[str, Any]:
    """Return what is recorded of a stage that is used on the user's word."""
    before = found.kept
    return {
        "identity": spec.identity,
        "inputs": {**before.get("inputs", {}), **inputs},
        "differences": [*before.get("differences", []), *lines],
    }


def with_inputs_kept(spec: StageSpec, stale: Mapping[str, str], digests: Digests) -> dict[str, Any]:
    """Return `spec.kept` with what an earlier stage has made anew, accepted on the user's word."""
    lines = [*spec.kept.get("differences", []), *stale.values()]
    inputs = {**spec.kept.get("inputs", {}), **_now(spec, list(stale), digests)}
    return {"identity": spec.identity, **spec.kept, "inputs": inputs, "differences": lines}


def _advice(name: str, needed_by: Sequence[str], *, finished: bool | None = None) -> str:
    """Return the ways on; None: what is there is damaged, and there is one way."""
    also = f", and {', '.join(needed_by)} after it" if needed_by else ""
    again = f"redo={name} carries it out again{also}"
    if finished is None:
        return f"stages.{name}: {again}"
    use = "uses it as it is" if finished else "continues it all the same"
    return f"stages.{name}: undo the change, or: {again}; keep={name} {use}"


def for_all(problems: Sequence[str]) -> list[str]:
    """Return how to use all stages that have changed in one command, if there are several."""
    names = [match[1] for each in problems if (match := re.search(r"; keep=(\S+) ", each))]
    return [f"keep=[{','.join(names)}] uses all of them as they are"] if len(names) > 1 else []


def stale_problem(spec: StageSpec, stale: Mapping[str, str], *, finished: bool) -> ConfigError:
    """Return the error of a stage that has read something else than is there now."""
    state = "finished" if finished else "half done"
    lines = [f"{line}, and the stage is {state}" for line in stale.values()]
    return ConfigError([*lines, _advice(spec.stage, (), finished=finished)])


def _notes(found: Found, spec: StageSpec, unmade: Collection[str]) -> Iterator[str]:
    """Yield what is told of a stage that is used or continued, and is no reason to stop."""
    finished = found.result is not None
    if changed := changed_versions(found.result or found.spec, spec.versions):
        what = "made with other versions" if finished else "continues, but not to the bit"
        yield f"{what}: {changed}"
    if not finished and found.spec.launch and found.spec.launch != spec.launch:
        was, now = (_launch(each.launch) for each in (found.spec, spec))
        yield f"continues with {now} after {was}: not to the bit"
    again = [r for r in spec.inputs if r.removeprefix(PREFIX).partition("/")[0] in unmade]
    if again:
        use = "is used" if finished else "continues"
        yield f"has read {', '.join(again)}, made again now; it {use} if that is equal to the bit"


def _launch(launch: Mapping[str, Any]) -> str:
    count = launch.get(PROCESSES, 1)
    return f"launch.how={launch.get('how')} and {count} process{'es' * (count != 1)}"
