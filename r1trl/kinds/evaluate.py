"""Several models on several benchmarks, by the verifiers of training: the scoreboard."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from r1trl import Kind, Work
from r1trl.config.kinds import EvaluatedModel
from r1trl.config.stage_parts import number
from r1trl.errors import errors_named
from r1trl.files.tables import with_names_aside
from r1trl.generation.cells import Cell, cells_of
from r1trl.generation.metrics import benchmark_metrics
from r1trl.kinds import sample
from r1trl.plan.choices import active
from r1trl.plan.drawing import TAKEN
from r1trl.plan.sizes import metric_problems
from r1trl.process.pulse import count
from r1trl.process.terminal import say
from r1trl.variants import REFERENCE


@dataclass
class EvaluateSettings:
    """The models by name, and for each metric the reward whose mean it is.

    Beside `variants` the rows as they are can be drawn again under other seeds, which shows how far
    numbers differ by sampling alone.
    """

    models: dict[str, EvaluatedModel] = field(default_factory=dict)
    metrics: dict[str, str] = field(default_factory=dict, metadata={"alias": "measures"})
    noise_seeds: int = number(0, at_least=0)  # how often the rows as they are are drawn again


def run(work: Work) -> Mapping[str, float]:
    """Generate completions of every model on every benchmark; write rollouts.parquet.

    With variants each question is asked in every form of it, under the same seed. The metrics are
    those of the rows as they are, named `<model>/<benchmark>/<metric>`.
    """
    stage, parts = work.stage, list[Any]()
    metrics: dict[str, float] = {}
    rows = {name: work.rows({name: source}) for name, source in stage.benchmarks.items()}
    cells = cells_of(stage)
    for m, model in enumerate(stage.models):  # one after another: a server has one at a time
        count("models", m, len(stage.models))
        for b, benchmark in enumerate(stage.benchmarks):
            count("benchmarks", b, len(stage.benchmarks))
            for c, cell in enumerate(cells):
                if len(cells) > 1:
                    count("forms", c, len(cells))
                rollouts = _drawn(work, rows[benchmark], model, benchmark, cell)
                if rollouts is None:
                    continue
                with errors_named(f"{work.key}.benchmarks.{benchmark}"):
                    measured = benchmark_metrics(rollouts, stage.metrics)
                own = f"{model}/{benchmark}"
                if cell.name == REFERENCE:
                    metrics |= {f"{own}/{metric}": v for metric, v in measured.items()}
                asked = f", {cell.name}" if stage.variants else ""
                say(f"{model} on {benchmark}{asked}: {summary(measured)}")
                parts.append(rollouts)
    work.write_rows(parts)
    return metrics


def _drawn(work: Work, rows: Any, model: str, benchmark: str, cell: Cell) -> Any:
    """Return the rollouts of a cell with the names of what they are of; None but on rank 0."""
    stage, names = work.stage, {"model": model, "benchmark": benchmark}
    shards = f"{benchmark}/{model}"
    if stage.variants:
        names |= {"variant": cell.name, "factor": cell.factor}
        shards = f"{shards}/{cell.name}"
    rollouts = work.draw(
        rows,
        shards,
        model=stage.models[model],
        correct=stage.metrics["correct"],
        variant=cell.variant,
        seed_offset=cell.seed_offset,
    )
    if rollouts is None:
        return None
    constant = {name: [value] * len(rollouts) for name, value in names.items()}
    return with_names_aside(rollouts, constant)


def summary(measured: Mapping[str, float]) -> str:
    """Return pass@1, and what does not count in it."""
    without = {
        "abstained": "of the problems have no gold",
        "no_verdict": "of the samples no verdict",
    }
    left_out = [f"{measured[m]:.1%} {text}" for m, text in without.items() if m in measured]
    return "; ".join([f"pass@1 {measured['pass@1']:.3f}", *left_out])


def problems(stage: Any) -> Iterator[tuple[str, str]]:
    """Yield the models and metrics that are missing or name nothing."""
    if not stage.models:
        yield "models", "must name at least one model"
    yield from metric_problems(stage.metrics, stage.rewards)
    yield from _problems_of_cells(stage)
    yield from sample.problems(stage)


def _problems_of_cells(stage: Any) -> Iterator[tuple[str, str]]:
    """Yield why the forms of the questions, or the other seeds, are not possible."""
    own = {cell.name for cell in cells_of(stage) if cell.variant is None} - {REFERENCE}
    for name in own & active(stage.variants).keys():
        yield f"variants.{name}", TAKEN
    if stage.noise_seeds and not active(stage.variants):
        yield "noise_seeds", "is for comparison with variants, and the stage has none"
    if stage.noise_seeds and stage.sampling.temperature == 0:
        yield "noise_seeds", "at sampling.temperature=0 every seed draws the same"


def size(stage: Any) -> str:
    """Return the completions per row and form, and their longest, in words."""
    forms = len(cells_of(stage))
    return sample.samples(stage) + (f" by {forms} prompts" if forms > 1 else "")


KIND = Kind(
    run=run,
    settings=EvaluateSettings,
    makes="dataset",
    draws="rows",
    needs=("benchmarks", "rewards"),
    takes=("samplers", "variants", "endpoints", "sampling"),
    columns=lambda stage: ("prompt",),
    scores=True,
    problems=problems,
    size=size,
)
