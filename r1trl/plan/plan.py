"""The plan: a recipe checked before anything starts, every problem at once, and laid out."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from r1trl.arguments.check import missing_packages
from r1trl.config.checked import Composed
from r1trl.config.kinds import benchmarks_read, models_of, reads_benchmarks
from r1trl.config.schema import REQUIRED, RunConfig, StageConfig
from r1trl.errors import ConfigError
from r1trl.identity.asked import Asked, asked_of, asked_problems, readers_of
from r1trl.identity.identity import identity_of
from r1trl.identity.sources import Sources
from r1trl.identity.standing import for_all, standing
from r1trl.identity.versions import versions
from r1trl.kind import Kind
from r1trl.plan.choices import check_trackers
from r1trl.plan.drawing import notes_on_drawing as drawing
from r1trl.plan.reach import unread_by_run, unread_keys
from r1trl.plan.sources import check_source, name_benchmarks, note_on_columns
from r1trl.plan.stages import StageCheck
from r1trl.plugins.loading import Plugins
from r1trl.serve.problems import missing_programs
from r1trl.stage.files import StageSpec
from r1trl.stage.folder_names import name_problems
from r1trl.stage.inputs import check_references, resolve
from r1trl.storage.digests import NAME, Digests, digest_of
from r1trl.tracking.chosen import about_run, chosen_trackers


@dataclass(frozen=True)
class PlannedStage:
    """A stage to run, or a finished one that may be used as it is.

    `config` is the stage with the run's launch and benchmarks filled in; references stand in it as
    they were written, and as paths in `spec`. `asked` is what the user says about it.
    """

    spec: StageSpec
    config: StageConfig
    kind: Kind
    folder: Path
    finished: bool
    asked: Asked = ""

    @property
    def launch(self) -> Mapping[str, Any]:
        """Return how the stage is launched."""
        assert self.config.launch
        return asdict(self.config.launch)


@dataclass(frozen=True)
class Plan:
    """A recipe that can be carried out, with notes for the user, and the digests of files."""

    config: RunConfig
    folder: Path
    stages: list[PlannedStage]
    plugins: Plugins
    notes: list[str] = field(default_factory=list)
    digests: Digests = field(default_factory=Digests)

    @property
    def until(self) -> list[PlannedStage]:
        """Return the stages of this command: all of them, or those to the one of `until`."""
        names = [stage.spec.stage for stage in self.stages]
        end = names.index(self.config.until) + 1 if self.config.until in names else len(names)
        return self.stages[:end]


def make_plan(composed: Composed) -> Plan:
    """Check a run and lay out its stages; raise ConfigError with every problem there is."""
    config, plugins, problems = composed.config, composed.plugins, []
    unread = unread_keys(composed)
    problems += [text for key, text in unread if key in composed.given.new]
    problems += [*_names(config), *unread_by_run(composed), *_benchmarks(composed)]
    problems += [*asked_problems(config), *check_trackers(composed)]
    if not config.stages:
        problems.append("stages: the recipe has none; choose one with recipe=…")
    filled = {name: _filled(stage, config) for name, stage in config.stages.items()}
    for name, stage in filled.items():
        problems += StageCheck(name, stage, composed).problems()
        problems += check_references(config, name, plugins)
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    if any(stage.kind not in plugins.offers["kind"] for stage in filled.values()):
        raise ConfigError([])  # reported when the run was composed
    folder = Path(config.runs_dir) / config.name
    digests = Digests(folder / NAME)
    stages, notes = _laid_out(composed, filled, folder, digests)
    notes += [text for key, text in unread if key not in composed.given.new]
    notes += [
        f"stages.{name}.{note}"
        for name, stage in filled.items()
        for note in (*missing_packages(stage.args), *missing_programs(stage), *drawing(stage.args))
    ]
    notes += [
        f"stages.{name}.{at}: {note}"
        for name, stage in filled.items()
        for at, source in StageCheck(name, stage, composed).sources.items()
        if (note := note_on_columns(source))
    ]
    return Plan(config, folder, stages, plugins, notes, digests)


def _names(config: RunConfig) -> list[str]:
    """Return the names that cannot be folders, files or parts of metrics, which they become."""
    names = {"name": [config.name] if config.name != REQUIRED else []}
    names |= {"stages": list(config.stages), "benchmarks": list(config.benchmarks)}
    names["sources"] = list(config.sources)
    for name, stage in config.stages.items():
        for group, entries in (("data", stage.data), ("benchmarks", stage.benchmarks)):
            names[f"stages.{name}.{group}"] = list(entries)
        names[f"stages.{name}.models"] = list(models_of(stage))
    return name_problems(names)


def _benchmarks(run: Composed) -> list[str]:
    """Return what is wrong with the run's benchmarks, which filters read too."""
    named = run.config.benchmarks
    return [
        f"benchmarks.{name}{line}"
        for name, source in named.items()
        for line in check_source(source, name, set(named) - {name}, named, run.plugins)
    ]


def _filled(stage: StageConfig, config: RunConfig) -> StageConfig:
    """Return a stage with the run's launch and benchmarks if it has none of its own."""
    benchmarks = stage.benchmarks or config.benchmarks
    return replace(stage, launch=stage.launch or config.launch, benchmarks=benchmarks)


def _laid_out(
    composed: Composed, filled: Mapping[str, StageConfig], run: Path, digests: Digests
) -> tuple[list[PlannedStage], list[str]]:
    """Return the stages with their identities, and notes on what is there of them.

    Raises ConfigError if something is there that does not belong to its stage as it would be.
    """
    config, plugins, about = composed.config, composed.plugins, about_run(composed)
    asked, sources, now = asked_of(config), Sources(plugins, digests), versions()
    planned, problems = list[PlannedStage](), list[str]()
    identities, notes = dict[str, str](), dict[str, list[str]]()
    for name, whole in filled.items():
        kind, folder, say = plugins.kind(whole.kind), run / "stages" / name, asked.get(name, "")
        stage = config.stages[name]
        if reads_benchmarks(kind, whole):
            stage = replace(whole, benchmarks=benchmarks_read(kind, whole))
        before = {"before": [each.spec.stage for each in planned]}
        spec = _spec(config, name, stage, folder, plugins, about | before)
        identity = identity_of(spec, stage, identities, digests, sources)
        assert whole.launch
        told = {"how": whole.launch.how, "processes": whole.launch.world}
        spec = replace(spec, identity=identity, versions=now, launch=told)
        unmade = [each.spec.stage for each in planned if not each.finished]
        stands = standing(spec, folder, say, readers_of(config, name), unmade, digests)
        identities[name] = digest_of(stands.spec.identity)
        planned.append(PlannedStage(stands.spec, whole, kind, folder, stands.finished, say))
        problems += stands.problems
        for note in stands.notes:
            notes.setdefault(note, []).append(f"stages.{name}")
    if problems:
        raise ConfigError([*problems, *for_all(problems)])
    return planned, [f"{', '.join(names)}: {note}" for note, names in notes.items()]


def _spec(
    config: RunConfig,
    name: str,
    stage: StageConfig,
    folder: Path,
    plugins: Plugins,
    about: Mapping[str, Any],
) -> StageSpec:
    """Return a stage with its references resolved to folders and files."""
    kind, settings = plugins.kind(stage.kind), asdict(stage)
    settings.pop("launch")
    name_benchmarks(settings, config, plugins)
    return StageSpec(
        stage=name,
        kind=stage.kind,
        run=config.name,
        seed=config.seed,
        settings=settings,
        makes=kind.makes,
        scores=kind.scores,
        inputs=resolve(config, name, settings, folder.parent, plugins),
        plugins=asdict(config.plugins),
        completions=config.wandb.completions,
        trackers=chosen_trackers(config),
        about=dict(about),
    )
