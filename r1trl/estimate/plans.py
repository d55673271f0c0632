"""The stages of a plan as they are estimated: their models' sizes, their rows, their machine."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from r1trl.config.kinds import models_of
from r1trl.config.schema import RunConfig, SourceConfig, StageConfig
from r1trl.config.stage_parts import POLICY, HardwareConfig
from r1trl.estimate.given import Given
from r1trl.models.published import ROWS
from r1trl.models.shape import Shape, shape_of
from r1trl.plan.plan import Plan, PlannedStage
from r1trl.stage.inputs import PREFIX, references_of


def given_of(plan: Plan, planned: PlannedStage, hardware: HardwareConfig | None) -> Given | None:
    """Return a stage as it is estimated; None if it runs no model here, or of unknown sizes."""
    stage, name, config = planned.config, planned.spec.stage, plan.config
    models = {label: sizes(config, path) for label, path in _loaded(stage).items()}
    known = {label: shape for label, shape in models.items() if shape}
    if not known or len(known) < len(models):
        return None
    others = list(_others(config, config.stages[name]))
    return Given(
        name,
        stage,
        planned.kind,
        known,
        tuple(shape for at, shape in others if at != "rewards"),
        tuple(shape for at, shape in others if at == "rewards"),
        rows_of(config, stage, planned),
        hardware,
    )


def sizes(config: RunConfig, model: str) -> Shape | None:
    """Return the sizes of a model; those of what a stage makes are those of what it starts from."""
    while model.startswith(PREFIX):
        stage = config.stages.get(model.removeprefix(PREFIX).partition("/")[0])
        if stage is None or stage.model is None:
            return None
        model = stage.model
    return shape_of(model)


def _loaded(stage: StageConfig) -> Mapping[str, str]:
    """Return the models that a stage has in its own processes or servers, by name."""
    elsewhere = stage.endpoints is not None and POLICY not in stage.serve
    entries = models_of(stage).items()
    models = {name: str(m.path) for name, m in entries if not (m.endpoints or elsewhere)}
    return models | ({"model": str(stage.model)} if stage.model and not elsewhere else {})


def _others(config: RunConfig, stage: StageConfig) -> Iterator[tuple[str, Shape]]:
    """Yield the other models that a stage loads: the first part of their key, and their sizes."""
    for reference in references_of(stage):
        own = reference.key[0] in ("model", "models", "data", "benchmarks")
        loaded = reference.stage is not None or reference.is_loaded
        if reference.wants != "model" or own or not loaded:
            continue
        if shape := sizes(config, reference.value):
            yield reference.key[0], shape


def rows_of(config: RunConfig, stage: StageConfig, planned: PlannedStage) -> int | None:
    """Return the rows that a stage reads at most; None if that is not known."""
    evaluates = "benchmarks" in planned.kind.needs
    sources = stage.benchmarks if evaluates else stage.data
    numbers = [_rows(config, name, source, evaluates) for name, source in sources.items()]
    return None if None in numbers else sum(number for number in numbers if number is not None)


def _rows(config: RunConfig, name: str, source: SourceConfig, evaluates: bool) -> int | None:
    """Return the rows of a source; of what a stage draws, all its completions."""
    whole = config.benchmarks if evaluates else config.sources
    shared = whole.get(name, SourceConfig())

    def own(key: str) -> Any:
        return getattr(source, key) or getattr(shared, key)

    if own("sample_rows") or own("take"):
        return int(own("sample_rows") or own("take"))
    path = str(own("path") or "")
    if path.startswith(PREFIX):
        return _drawn(config, path.removeprefix(PREFIX).partition("/")[0])
    if Path(path).exists() or own("dataset"):
        count = own("options").get("count") if own("dataset") else None
        return count if isinstance(count, int) else None
    return ROWS.get((path, own("name"), own("split")))


def _drawn(config: RunConfig, name: str) -> int | None:
    """Return the completions that a stage draws at most."""
    stage = config.stages[name]
    numbers = [_rows(config, n, source, False) for n, source in stage.data.items()]
    if None in numbers:
        return None
    return sum(n for n in numbers if n is not None) * stage.sampling.n
