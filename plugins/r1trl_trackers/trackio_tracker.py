"""trackio: Hugging Face's tracker, in a database on this machine or in a Space."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import r1trl
from r1trl_trackers.packages import package
from r1trl_trackers.tables import cells, columns_of, scoreboard


@r1trl.describe(missing_requirements=package("trackio"))
class Trackio:
    """Log to trackio: a run of its own for each stage, in a group for each run of r1trl.

    `project` is the database, in trackio's folder (TRACKIO_DIR); `space` is a Space on the Hub
    to log to in its place. `trackio show --project r1trl` shows it.
    """

    def __init__(self, *, project: str = "r1trl", space: str | None = None) -> None:
        self.project, self.space = project, space
        self.trackio = importlib.import_module("trackio")
        self.pandas = importlib.import_module("pandas")

    def start(self, stage: r1trl.TrackedStage, run_id: str, resumed: bool) -> None:
        """Begin the run of the stage, or continue it."""
        self.stage = stage
        self.run = self.trackio.init(
            self.project,
            run_id,
            group=stage.run,
            space_id=self.space,
            config=dict(stage.config),
            resume="allow",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )

    def metrics(self, step: int, row: Mapping[str, Any]) -> None:
        """Log a row of metrics."""
        known = {n: value for n, value in row.items() if value is not None and n != "step"}
        self.run.log({**known, "run_step": self.stage.first_step + step}, step=step)

    def completions(self, step: int | None, rows: Sequence[Mapping[str, Any]]) -> None:
        """Log a table."""
        self._table("rollouts" if step is None else "completions", rows, step)

    def _table(self, name: str, rows: Sequence[Mapping[str, Any]], step: int | None) -> None:
        frame = self.pandas.DataFrame(cells(rows), columns=columns_of(rows))
        self.run.log({name: self.trackio.Table(dataframe=frame)}, step=step)

    def alert(self, title: str, text: str, level: str) -> None:
        """Send an alert."""
        self.run.alert(title, text, self.trackio.AlertLevel(level))

    def finish(
        self, result: r1trl.StageResult | None, files: Mapping[str, r1trl.TrackedOutput]
    ) -> None:
        """Log the result's metrics, and a scoreboard; end the run."""
        if result is not None:
            self.run.log({f"result/{name}": value for name, value in result.metrics.items()})
            if self.stage.scores:
                self._table("scoreboard", scoreboard(result.metrics), None)
        self.run.finish()
