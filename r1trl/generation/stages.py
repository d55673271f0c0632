"""The stages that draw completions and keep them: `sample`, and `evaluate` with its measures."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1trl.data.rows import rows_of
from r1trl.generation.metrics import benchmark_metrics, sampled_metrics
from r1trl.generation.shards import roll_out
from r1trl.plugins.loading import Plugins
from r1trl.rewards.scorer import make_scorer
from r1trl.stage.files import Work, settings_of
from r1trl.stage.ranks import is_main

if TYPE_CHECKING:
    from datasets import Dataset


def sample(work: Work, folder: Path, plugins: Plugins) -> dict[str, float]:
    """Roll out a model on the stage's data; write rollouts.parquet, return its measures."""
    settings = work.settings
    scorer = make_scorer(settings["rewards"], settings["scoring"], plugins)
    scorer.warm()
    rows = rows_of(work, settings["data"], folder, plugins)
    rollouts = roll_out(work, folder, "model", settings, rows, scorer, plugins)
    scorer.close(folder if is_main() else None)
    if rollouts is None:
        return {}
    _write(rollouts, folder)
    return sampled_metrics(rollouts)


def evaluate(work: Work, folder: Path, plugins: Plugins) -> dict[str, float]:
    """Roll out several models on several benchmarks; return `<model>/<benchmark>/<metric>`."""
    from datasets import concatenate_datasets

    settings, measures = work.settings, work.settings["measures"]
    scorer = make_scorer(settings["rewards"], settings["scoring"], plugins)
    scorer.warm()
    parts: list[Any] = []
    metrics: dict[str, float] = {}
    for benchmark, source in settings["benchmarks"].items():
        rows = rows_of(work, {benchmark: source}, folder, plugins)
        for model, entry in settings["models"].items():
            own = settings_of(settings, {**entry, "model": entry["path"]})
            name = f"{model}-{benchmark}"
            rollouts = roll_out(work, folder, name, own, rows, scorer, plugins)
            if rollouts is None:
                continue
            found = benchmark_metrics(rollouts, measures)
            metrics |= {f"{model}/{benchmark}/{metric}": v for metric, v in found.items()}
            print(f"{model} on {benchmark}: pass@1 {found['pass@1']:.3f}", flush=True)
            for column, value in (("model", model), ("benchmark", benchmark)):
                rollouts = rollouts.add_column(column, [value] * len(rollouts))
            parts.append(rollouts)
    scorer.close(folder if is_main() else None)
    if parts:
        _write(concatenate_datasets(parts), folder)
    return metrics


def _write(rollouts: "Dataset", folder: Path) -> None:
    """Write rollouts.parquet, there whole or not at all."""
    part = folder / "rollouts.parquet.part"
    rollouts.to_parquet(part)
    part.rename(folder / "rollouts.parquet")
