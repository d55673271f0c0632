"""TensorBoard: event files in each stage's folder."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import r1trl
from r1trl_trackers.packages import package
from r1trl_trackers.tables import markdown, scoreboard


@r1trl.describe(missing_requirements=package("tensorboard"))
class TensorBoard:
    """Write TensorBoard's event files to the stage's folder tensorboard/.

    `tensorboard --logdir runs/mine/stages` shows all stages of a run. `flush_secs` is how often
    they are written to the disk, in seconds.
    """

    def __init__(self, *, flush_secs: int = 30) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.make, self.flush_secs, self.step = SummaryWriter, flush_secs, 0

    def start(self, stage: r1trl.TrackedStage, run_id: str, resumed: bool) -> None:
        """Begin a file of events, beside those of earlier attempts, and write the config."""
        self.stage = stage
        folder = str(stage.folder / "tensorboard")
        self.writer = self.make(folder, flush_secs=self.flush_secs, filename_suffix=f".{run_id}")
        config = json.dumps(stage.config, indent=1, ensure_ascii=False, default=str)
        self.writer.add_text("config", "\n".join(f"    {line}" for line in config.splitlines()), 0)

    def metrics(self, step: int, row: Mapping[str, Any]) -> None:
        """Write a scalar for each number."""
        self.step = step
        for name, value in row.items():
            if value is not None and name != "step":
                self.writer.add_scalar(name, value, step)
        self.writer.add_scalar("run_step", self.stage.first_step + step, step)

    def completions(self, step: int | None, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write a table as text."""
        name = "rollouts" if step is None else "completions"
        self.writer.add_text(name, markdown(rows), self.step if step is None else step)

    def alert(self, title: str, text: str, level: str) -> None:
        """Write an alert as text, as TensorBoard has none."""
        self.writer.add_text("alerts", f"**{level}: {title}**\n\n{text}", self.step)

    def finish(
        self, result: r1trl.StageResult | None, files: Mapping[str, r1trl.TrackedOutput]
    ) -> None:
        """Write the result's metrics, and a scoreboard; close the file."""
        for name, value in result.metrics.items() if result else ():
            self.writer.add_scalar(f"result/{name}", value, self.step)
        if result and self.stage.scores:
            self.writer.add_text("scoreboard", markdown(scoreboard(result.metrics)), self.step)
        self.writer.close()
