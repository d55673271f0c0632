"""Completions of rows, generated and scored, for filters to choose from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from r1trl import Kind, Work
from r1trl.generation.metrics import sampled_metrics


@dataclass
class SampleSettings:
    """`metrics` names, as `correct`, the reward that is 1 for a right answer."""

    metrics: dict[str, str] = field(default_factory=dict, metadata={"alias": "measures"})


def run(work: Work) -> Mapping[str, float]:
    """Generate completions for the stage's rows; write rollouts.parquet."""
    rollouts = work.draw(work.rows(), correct=work.stage.metrics.get("correct"))
    work.write_rows([rollouts])
    return sampled_metrics(rollouts) if rollouts is not None else {}


def problems(stage: Any) -> Iterator[tuple[str, str]]:
    """Yield why completions cannot stop after so many right answers."""
    wanted, correct = stage.sampling.stop_after_correct, stage.metrics.get("correct")
    if wanted is not None and not isinstance(stage.rewards.get(correct), Mapping):
        message = f"needs the reward that metrics.correct names ({correct})"
        yield "sampling.stop_after_correct", message


def samples(stage: Any) -> str:
    """Return the completions per row and their longest, in words."""
    return f"{stage.sampling.n} samples of up to {stage.sampling.max_tokens} tokens"


KIND = Kind(
    run=run,
    settings=SampleSettings,
    makes="dataset",
    draws="rows",
    takes=("rewards", "samplers", "endpoints", "sampling"),
    columns=lambda stage: ("prompt",),
    problems=problems,
    size=samples,
)
