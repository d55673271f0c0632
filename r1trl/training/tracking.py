"""Weights & Biases: one group per run, one W&B run per stage. Without it this does nothing."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from r1trl.process.environment import masked
from r1trl.stage.files import StageSpec


class Tracker:
    """The W&B run of a stage, on rank 0; on other ranks, or if disabled, its methods do nothing.

    `completions` is the number of rows of a completions table.
    """

    def __init__(self, spec: StageSpec, folder: Path, *, main: bool) -> None:
        self.run: Any = None
        settings = spec.wandb
        self.completions = int(settings.get("completions", 0))
        if not (main and settings.get("enabled")):
            return
        import wandb

        self.run = wandb.init(
            project=settings["project"],
            entity=settings.get("entity"),
            group=spec.run,
            name=f"{spec.run}/{spec.stage}",
            job_type=spec.kind,
            config=masked({"stage": spec.stage, "seed": spec.seed, **spec.settings}),
            mode=settings["mode"],
            dir=str(folder),
        )

    def log(self, row: Mapping[str, Any]) -> None:
        """Log a row of metrics at its step."""
        if self.run:
            self.run.log(dict(row), step=int(row["step"]))

    def table(self, name: str, rows: Sequence[Mapping[str, Any]], step: int | None = None) -> None:
        """Log rows as a table of its own."""
        if self.run and rows:
            import wandb

            columns = list(rows[0])
            data = [[row.get(column) for column in columns] for row in rows]
            self.run.log({name: wandb.Table(columns, data, allow_mixed_types=True)}, step=step)

    def finish(self, metrics: Mapping[str, float]) -> None:
        """Write the stage's final metrics and close."""
        if self.run:
            self.run.summary.update(dict(metrics))
            self.run.finish()
