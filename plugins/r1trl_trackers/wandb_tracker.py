"""Weights & Biases: one group for a run, one W&B run for a stage, continued with the stage."""

import importlib
import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import httpx

import r1trl
from r1trl_trackers.tables import cells, columns_of, scoreboard
from r1trl_trackers.wandb_artifacts import log_code, log_outputs, use_inputs
from r1trl_trackers.wandb_key import missing_key

TITLE = 63  # characters of the title of an alert
# By these an agent of a sweep tells the program that it starts which run it is.
OF_SWEEPS = ("WANDB_SWEEP_ID", "WANDB_RUN_ID", "WANDB_SWEEP_PARAM_PATH")


@r1trl.describe(missing_requirements=missing_key)
class Wandb:
    """Log to Weights & Biases: a group for each run, in it a W&B run for each stage.

    `project`, `entity`, `tags` and `notes` are W&B's. `mode` offline writes to the stage's folder
    wandb/, for `wandb sync`. `upload` uploads models and rows; without it artifacts have their
    digests and places alone. Under an agent of a sweep the run of `sweep_stage` is the sweep's.
    `patience` is how many seconds the end of a stage waits for what is still to be sent.
    """

    def __init__(
        self,
        *,
        project: str = "r1trl",
        entity: str | None = None,
        mode: Literal["online", "offline"] = "online",
        tags: list[str] | None = None,
        notes: str | None = None,
        upload: bool = False,
        sweep_stage: str | None = None,
        patience: float = 60.0,
    ) -> None:
        self.own = {"project": project, "entity": entity, "notes": notes}
        self.mode, self.tags, self.upload, self.patience = mode, tags or [], upload, patience
        self.sweep_stage = sweep_stage
        self.wandb = importlib.import_module("wandb")

    def start(self, stage: r1trl.TrackedStage, run_id: str, resumed: bool) -> str | None:
        """Begin the W&B run of the stage, or continue it; write offline if W&B is not reached."""
        self.stage = stage
        if stage.name != self.sweep_stage:
            for name in OF_SWEEPS:
                os.environ.pop(name, None)
        run_id = os.environ.get("WANDB_RUN_ID", run_id)
        away = self._unreached() if self.mode == "online" else None
        self.run = self._begun(run_id, "offline" if away else self.mode)
        for name in ("step", "run_step"):
            self.run.define_metric(name)
        self.run.define_metric("*", step_metric="run_step")
        log_code(self.run, stage)
        if away:
            return f"{away}; logged offline, for wandb sync {self.run.settings.sync_dir}"
        return None if self.mode == "offline" else use_inputs(self.run, stage)

    def _unreached(self) -> str | None:
        """Return why W&B's host is not reached; None if anything answers there."""
        host = self.wandb.setup().settings.base_url
        try:
            httpx.get(host, timeout=self.patience)
        except httpx.HTTPError as error:
            return f"{host} is not reached ({type(error).__name__}: {error})"
        return None

    def _begun(self, run_id: str, mode: str) -> Any:
        stage = self.stage
        tags = [*self.tags, *filter(None, (stage.config.get("recipe"), stage.kind))]
        return self.wandb.init(
            **self.own,
            id=run_id,
            resume="allow",
            mode=mode,
            group=stage.run,
            name=f"{stage.run}/{stage.name}",
            job_type=stage.kind,
            tags=list(dict.fromkeys(tag[:64] for tag in tags)),
            config=dict(stage.config),
            dir=str(stage.folder),
            # The log of the stage is its own, and has lines of others that W&B would not hide.
            settings=self.wandb.Settings(console="off", silent=True, init_timeout=self.patience),
        )

    def metrics(self, step: int, row: Mapping[str, Any]) -> None:
        """Log a row of metrics."""
        self._log({name: value for name, value in row.items() if value is not None}, step)

    def completions(self, step: int | None, rows: Sequence[Mapping[str, Any]]) -> None:
        """Log a table under one key: W&B keeps those of all steps as the key's history."""
        self._log({"rollouts" if step is None else "completions": self._table(rows)}, step)

    def _log(self, values: dict[str, Any], step: int | None) -> None:
        at = {} if step is None else {"step": step}
        self.run.log({**values, **at, "run_step": self.stage.first_step + (step or 0)})

    def _table(self, rows: Sequence[Mapping[str, Any]]) -> Any:
        return self.wandb.Table(columns_of(rows), cells(rows), allow_mixed_types=True)

    def alert(self, title: str, text: str, level: str) -> None:
        """Send an alert."""
        short = title if len(title) <= TITLE else f"{title[: TITLE - 1]}…"
        self.run.alert(short, text, level.upper())

    def finish(
        self, result: r1trl.StageResult | None, files: Mapping[str, r1trl.TrackedOutput]
    ) -> None:
        """Log the result, a scoreboard, and what the stage hands over; end the W&B run."""
        if result is not None:
            self.run.summary.update(dict(result.metrics))
            if self.stage.scores:
                self._log({"scoreboard": self._table(scoreboard(result.metrics))}, None)
            log_outputs(self.run, self.stage, files, upload=self.upload)
        status = 0 if result is not None else 1
        self.run.finish(exit_code=status)
        self.wandb.teardown(exit_code=status)  # only then its service has written all
