"""The verdict on a plan: refused, noted, or fine, by the hardware that is given or at hand."""

import os
from collections.abc import Iterator

import psutil

from r1trl.config.stage_parts import HardwareConfig
from r1trl.errors import ConfigError
from r1trl.estimate.fits import Misfit, misfits
from r1trl.estimate.given import GIB, Given
from r1trl.estimate.plans import given_of
from r1trl.plan.plan import Plan, PlannedStage
from r1trl.serve.problems import missing_programs
from r1trl.stage.devices import driver_gpus, has_gpu

HERE = ("local", "accelerate")  # launches that start processes on this machine
ASSUMED = "an estimate for {name}; without hardware=… nothing is refused by it"
AT_HAND = "hardware=h100 (or another of conf/hardware) says what would fit there"


def verdict(plan: Plan, *, starts: bool, rehearses: bool = False) -> list[str]:
    """Return notes on what stages do not fit into, or take too long on.

    Raises ConfigError with them if the hardware is given, and with what this machine cannot hold
    whatever the rows are like if the stages are about to start. Nothing is refused if it is only
    rehearsed. Stages that are finished are left out.
    """
    assumed = plan.config.hardware
    found = [m for given in estimated(plan, assumed) for m in misfits(given)] if assumed else []
    refused, notes = [each.text for each in found], list[str]()
    if refused and assumed:
        refused.append(ASSUMED.format(name=assumed.name))
    here = _at_hand(plan) if starts or not assumed else {}
    certain = [each.text for many in here.values() for each in many if each.certain]
    if starts and certain:
        refused += [*certain, AT_HAND]
    elif here:
        notes.append(f"{', '.join(here)}: more than this machine has, as estimated; {AT_HAND}")
    refused += _lacking(plan) if starts else []
    if refused and not rehearses:
        raise ConfigError([*refused, *notes])
    return [*refused, *notes]


def estimated(plan: Plan, hardware: HardwareConfig | None) -> Iterator[Given]:
    """Yield the stages of a plan that are to do, and whose models have known sizes."""
    for planned in plan.until:
        if not planned.finished and (given := given_of(plan, planned, hardware)):
            yield given


def _at_hand(plan: Plan) -> dict[str, list[Misfit]]:
    """Return what this machine may not hold of the stages whose processes it starts, by key.

    What takes too long is not told: nobody has said how fast the machine is.
    """
    found: dict[str, list[Misfit]] = {}
    for planned in plan.until:
        if planned.launch["how"] in HERE and not planned.finished:
            given = given_of(plan, planned, machine_at_hand(planned))
            if given and (too_much := list(misfits(given, timed=False))):
                found[f"stages.{planned.spec.stage}"] = too_much
    return found


def _lacking(plan: Plan) -> list[str]:
    """Return the programs of servers that this machine lacks, for stages that it carries out."""
    return [
        f"stages.{planned.spec.stage}.{problem}"
        for planned in plan.until
        if planned.launch["how"] in HERE and not planned.finished
        for problem in missing_programs(planned.config)
    ]


def machine_at_hand(planned: PlannedStage) -> HardwareConfig:
    """Return this machine's smallest GPU, or its CPU, as a stage's processes see it."""
    environment = {**os.environ, **planned.launch["environment"]}
    if has_gpu(environment, planned.config.args):
        return HardwareConfig("GPU of this machine", "gpu", driver_gpus().memory / GIB)
    return HardwareConfig("CPU", "cpu", psutil.virtual_memory().total / GIB)
