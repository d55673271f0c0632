"""What is asked about: the launches of a run or of none, and what its stages need of a machine."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from r1trl.config.checked import Composed
from r1trl.config.compose import compose
from r1trl.config.schema import RunConfig, StageConfig
from r1trl.errors import ConfigError
from r1trl.plan.choices import active, check_trackers, own_options
from r1trl.plan.plan import make_plan
from r1trl.plan.reach import unread_by_run
from r1trl.plugins.offer import offered_name
from r1trl.tracking.chosen import chosen_trackers

READ = ("launch", "runs_dir", "plugins", "trackers", "wandb")  # without a recipe
ROLES = {
    "reward": "rewards",
    "filter": "filters",
    "sampler": "samplers",
    "transition": "transitions",
    "variant": "variants",
}


@dataclass(frozen=True)
class Chosen:
    """What a stage chooses of a plugin's offers, with its options; `key` is that of the choice."""

    key: str
    role: str
    name: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """What each node is asked: plain values, which a command line carries."""

    runs_dir: str
    processes: int  # on each node
    local: bool  # one process, on one GPU
    load: list[str] = field(default_factory=list)
    block: list[str] = field(default_factory=list)
    chosen: list[Chosen] = field(default_factory=list)
    trackers: list[Chosen] = field(default_factory=list)  # which rank 0 alone has


def composed(overrides: Sequence[str], config_dir: Path | None) -> Composed:
    """Compose the overrides of a run, or of a launch alone; raise ConfigError as a plan does."""
    run = compose(overrides, config_dir)
    if run.config.stages:
        make_plan(run)
        return run
    problems = [*unread_by_run(run), *check_trackers(run)]
    problems += [
        f"{key}: without a recipe nothing reads it; these are read: {', '.join(READ)}"
        for key in sorted(run.given.keys)
        if key.partition(".")[0] not in READ
    ]
    if problems:
        raise ConfigError(problems)
    return run


def launches(config: RunConfig) -> dict[str, dict[str, Any]]:
    """Return the launches of a run that differ, by the key of the first that has it."""
    stages = config.stages.items()
    own = [
        (f"stages.{n}.launch" if s.launch else "launch", s.launch or config.launch)
        for n, s in stages
    ]
    found: dict[str, dict[str, Any]] = {}
    for key, launch in own or [("launch", config.launch)]:
        if asdict(launch) not in found.values():
            found[key] = asdict(launch)
    return found


def asked_of(config: RunConfig, launch: Mapping[str, Any]) -> Asked:
    """Return what the nodes of a launch are asked."""
    return Asked(
        str(Path(config.runs_dir).absolute()),
        launch["processes"],
        launch["how"] == "local",
        config.plugins.load,
        config.plugins.block,
        [each for name, stage in config.stages.items() for each in _chosen(name, stage)],
        [Chosen(f"trackers.{n}", "tracker", n, o) for n, o in chosen_trackers(config).items()],
    )


def _chosen(name: str, stage: StageConfig) -> list[Chosen]:
    return [
        Chosen(
            f"stages.{name}.{group}.{entry}",
            role,
            offered_name(role, entry, options),
            own_options(options, role),
        )
        for role, group in ROLES.items()
        for entry, options in active(getattr(stage, group)).items()
    ]
