"""The table of estimates that `r1trl plan` prints, and the assumptions below it."""

from collections.abc import Iterator

from r1trl.config.stage_parts import HardwareConfig
from r1trl.estimate.given import GIB, PROMPT, Given
from r1trl.estimate.judge import HERE, machine_at_hand
from r1trl.estimate.memory import Phase, peak
from r1trl.estimate.plans import given_of
from r1trl.estimate.speed import MEAN, Cost, cost
from r1trl.plan.plan import Plan, PlannedStage
from r1trl.report.tables import aligned
from r1trl.stage.devices import runs_a_model

HOURS = ["tokens", "GPU-hours"]


def estimates(plan: Plan) -> str:
    """Return the estimates of a plan's stages as a text for a terminal; empty if there are none."""
    hardware = plan.config.hardware
    timed = hardware is not None
    stages = [
        (planned, given_of(plan, planned, _assumed(planned, hardware))) for planned in plan.stages
    ]
    if not any(given for _, given in stages):
        return ""
    costs = {given.name: cost(given) for _, given in stages if given and hardware}
    units = "GPUs" if any(given and given.gpu for _, given in stages) else "processes"
    rows = [["stage", units, "GiB of one", "most of it", *(HOURS if timed else [])]]
    for planned, given in stages:
        numbers = _hours(costs.get(planned.spec.stage)) if timed else []
        rows.append([*_row(planned, given), *numbers])
    name = f" on {hardware.name}" if hardware else ""
    text = f"estimate{name}:\n\n{aligned(rows)}\n\n"
    return text + "\n".join(_below(costs, hardware))


def _assumed(planned: PlannedStage, hardware: HardwareConfig | None) -> HardwareConfig | None:
    """Return the hardware of a stage: as given, or this machine's CPU if the stage runs on it."""
    if hardware or planned.launch["how"] not in HERE:
        return hardware
    here = machine_at_hand(planned)
    return here if here.device == "cpu" else None


def _row(planned: PlannedStage, given: Given | None) -> list[str]:
    """Return a stage's name, its processes, the memory of each, and what has most of it."""
    name = planned.spec.stage
    if given is None:
        why = "sizes of its model are not known" if runs_a_model(planned.config) else "on servers"
        return [name, "", "", why]
    phase, launch = peak(given), given.launch
    nodes = (
        f"{launch.nodes} × {given.gpus // launch.nodes}" if launch.nodes > 1 else str(given.gpus)
    )
    return [name, nodes, f"{phase.total / GIB:,.1f}", _told(phase)]


def _hours(spent: Cost | None) -> list[str]:
    return [_count(spent.drawn + spent.trained), f"{spent.gpu_hours:,.1f}"] if spent else ["", ""]


def _told(phase: Phase) -> str:
    """Return the phase and its two largest parts."""
    parts = sorted(phase.parts.items(), key=lambda part: -part[1])[:2]
    return f"{phase.name}: {', '.join(f'{n} {size / GIB:,.1f}' for n, size in parts)}"


def _count(tokens: float) -> str:
    """Return a number of tokens in words."""
    for size, unit in ((1e9, "G"), (1e6, "M")):
        if tokens >= size:
            return f"{tokens / size:,.1f}{unit}"
    return f"{tokens:,.0f}"


def _below(costs: dict[str, Cost | None], hardware: HardwareConfig | None) -> Iterator[str]:
    """Yield the sum, and what is assumed."""
    yield f"assumed: rows as long as they may be; prompts of {PROMPT} tokens, or as many as answers"
    if hardware is None:
        yield "hours need a machine: hardware=h100, or another one of conf/hardware"
        return
    known = [spent for spent in costs.values() if spent]
    hours = sum(spent.drawing + spent.training for spent in known) / 3600
    without = [name for name, spent in costs.items() if spent is None]
    left = f", without {', '.join(without)}, whose rows are not known" if without else ""
    yield f"hours: rows of {MEAN:.0%} of that in the mean; in training {hardware.mfu:.0%} of"
    shares = (
        f"{hardware.tflops:g} TFLOP/s, in drawing {hardware.mbu:.0%} of {hardware.bandwidth:g} GB/s"
    )
    yield f"{shares} (hardware.mfu, hardware.mbu, …)"
    gpu_hours = sum(spent.gpu_hours for spent in known)
    yield f"in all: {gpu_hours:,.1f} GPU-hours, {hours:,.1f} hours on the clock{left}"
