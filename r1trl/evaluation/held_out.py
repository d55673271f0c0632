"""Held-out rows of a training stage: drawn once, answered by its model whenever it is asked."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1trl.config.schema import SourceConfig, StageConfig
from r1trl.data.checks import refuse_taken_names
from r1trl.data.prompts import need_columns
from r1trl.data.rows import load_stage_rows
from r1trl.errors import errors_named
from r1trl.evaluation.undisturbed import model_of
from r1trl.files.tables import put_together, with_names_aside
from r1trl.generation.answers import RowGenerator
from r1trl.generation.local import LocalModel
from r1trl.generation.metrics import benchmark_metrics
from r1trl.plugins.loading import Plugins
from r1trl.rewards.pool import Pool
from r1trl.rewards.scorer import make_scorer
from r1trl.stage.ranks import from_all, from_main, rank, world_size

if TYPE_CHECKING:
    from datasets import Dataset


class HeldOut:
    """The rows of a stage's benchmarks, and what answers and scores them.

    `seeds` are the run's, by which rows are drawn, and the stage's, by which completions are: each
    time the same, so that two evaluations differ by the model alone. `pool` is that of the stage's
    scorer; its rewards are bound anew, so that one with a state does not see held-out rows while
    it scores those of training. Making one is a collective.
    """

    def __init__(
        self,
        stage: StageConfig,
        plugins: Plugins,
        key: str,
        folder: Path,
        seeds: tuple[int, int],
        pool: Pool,
    ) -> None:
        self.key, self.metrics, self.seed = key, stage.evaluate.metrics, seeds[1] + rank()
        rewards = {name: stage.rewards[name] for name in needed(stage)}
        drawn = replace(
            stage,
            rewards=rewards,
            sampling=stage.evaluate.sampling,
            samplers={},
            endpoints=None,
        )
        scorer = make_scorer(rewards, stage.scoring, plugins, key, pool)
        scorer.load()
        self.generator = RowGenerator(drawn, scorer, plugins, key, folder, self.metrics["correct"])
        self.rows = {
            name: own_rows(self._load(name, source, plugins, seeds[0], stage.evaluate.rows))
            for name, source in stage.benchmarks.items()
        }

    def _load(
        self, name: str, source: SourceConfig, plugins: Plugins, seed: int, count: int
    ) -> "Dataset":
        folder, key = self.generator.folder / "data" / name, self.key
        given = folder, "benchmarks", None, ("prompt",)
        rows = load_stage_rows({name: source}, {}, plugins, seed, key, *given)
        need_columns(rows, ("prompt",), f"{key}.benchmarks")
        refuse_taken_names(rows.column_names, self.generator.stage, f"{key}.benchmarks")
        return rows.shuffle(seed=seed).select(range(min(count, len(rows))))

    def measure(self, trainer: Any) -> dict[str, float]:
        """Return `eval/<benchmark>/<metric>` of the model as it is; a collective.

        The metrics are those of `benchmark_metrics`, which says what it raises.
        """
        generator = self.generator
        with model_of(trainer) as model:
            own = model, trainer.processing_class, generator.stage.sampling
            generator.model = LocalModel(*own)
            parts = {
                name: generator.generate(rows, self.seed) if len(rows) else None
                for name, rows in self.rows.items()
            }
            generator.model = None
            gathered = from_all(parts)  # all wait here, where no time-out counts
        return from_main(lambda: self._metrics(gathered))

    def _metrics(self, gathered: "list[dict[str, Dataset | None]]") -> dict[str, float]:
        """Return the metrics of all benchmarks, from the rollouts of all processes."""
        found: dict[str, float] = {}
        for name in self.rows:
            parts = [part for each in gathered if (part := each[name]) is not None]
            with errors_named(f"{self.key}.benchmarks.{name}"):
                measured = benchmark_metrics(put_together(parts), self.metrics)
            found |= {f"eval/{name}/{metric}": value for metric, value in measured.items()}
        return found


def own_rows(rows: "Dataset") -> "Dataset":
    """Return the rows of this process, numbered among those of all."""
    numbered = with_names_aside(rows, {"problem": list(range(len(rows)))})
    return numbered.select(range(rank(), len(rows), world_size()))


def needed(stage: StageConfig) -> list[str]:
    """Return the rewards that metrics name, and those that they require, in the stage's order."""
    rewards: Mapping[str, Any] = stage.rewards
    found = set(stage.evaluate.metrics.values())
    while more := {o for n in found for o in rewards[n].get("requires") or ()} - found:
        found |= more
    return [name for name in rewards if name in found]
