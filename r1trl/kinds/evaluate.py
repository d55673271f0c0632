"""Several models on several benchmarks, by the verifiers of training: the scoreboard."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from r1trl import Kind, Work
from r1trl.config.kinds import EvaluatedModel
from r1trl.errors import errors_named
from r1trl.files.tables import with_names_aside
from r1trl.generation.metrics import benchmark_metrics
from r1trl.kinds import sample
from r1trl.plan.drawing import metric_problems
from r1trl.process.terminal import say


@dataclass
class EvaluateSettings:
    """The models by name, and for each metric the reward whose mean it is."""

    models: dict[str, EvaluatedModel] = field(default_factory=dict)
    metrics: dict[str, str] = field(default_factory=dict, metadata={"alias": "measures"})


def run(work: Work) -> Mapping[str, float]:
    """Generate completions of every model on every benchmark; write rollouts.parquet.

    The metrics are named `<model>/<benchmark>/<metric>`.
    """
    stage, parts = work.stage, list[Any]()
    metrics: dict[str, float] = {}
    rows = {name: work.rows({name: source}) for name, source in stage.benchmarks.items()}
    for model, entry in stage.models.items():  # one after another: a server has one at a time
        for benchmark in stage.benchmarks:
            rollouts = work.draw(
                rows[benchmark],
                f"{benchmark}/{model}",
                model=entry,
                correct=stage.metrics["correct"],
            )
            if rollouts is None:
                continue
            with errors_named(f"{work.key}.benchmarks.{benchmark}"):
                measured = benchmark_metrics(rollouts, stage.metrics)
            metrics |= {f"{model}/{benchmark}/{metric}": v for metric, v in measured.items()}
            say(f"{model} on {benchmark}: {summary(measured)}")
            names = {"model": model, "benchmark": benchmark}
            constant = {name: [value] * len(rollouts) for name, value in names.items()}
            parts.append(with_names_aside(rollouts, constant))
    work.write_rows(parts)
    return metrics


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
    yield from sample.problems(stage)


KIND = Kind(
    run=run,
    settings=EvaluateSettings,
    makes="dataset",
    draws="rows",
    needs=("benchmarks", "rewards"),
    takes=("samplers", "endpoints", "sampling"),
    columns=lambda stage: ("prompt",),
    scores=True,
    problems=problems,
    size=sample.samples,
)
