"""The rehearsal of a recipe: every stage in miniature, in its order, on this machine's CPU."""

import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from r1trl.errors import R1trlError
from r1trl.launch.workers import LEFT_EARLY, Workers
from r1trl.plan.plan import Plan, PlannedStage
from r1trl.plan.saved import write_settings
from r1trl.rehearsal.shrink import PREPARED, models_to_shrink
from r1trl.rehearsal.small_plan import SmallPlan, changes, small_plan
from r1trl.run.loop import write_stage
from r1trl.stage.devices import NO_GPU
from r1trl.stage.files import outputs, read_result, write_result
from r1trl.stage.inputs import references_of
from r1trl.stage.logs import last_lines
from r1trl.stage.notes import read_notes
from r1trl.types import StageResult
from r1trl.watch.leaving import Leaving

REHEARSED = "rehearsed"


@dataclass
class Rehearsal:
    """What came of a rehearsal: by stage its state and seconds; problems, notes, and the changes.

    A state is "rehearsed", or "not, because …". `folder` is there only if there are problems.
    """

    folder: Path
    states: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)


def rehearse(plan: Plan, tell: Callable[[str], Any] = print) -> Rehearsal:
    """Carry a recipe out in miniature, in a temporary folder; `tell` gets a line for each stage.

    The folder is removed unless there are problems. Raises R1trlError if a signal ends it.
    """
    done = Rehearsal(Path(tempfile.mkdtemp(prefix="r1trl-rehearsal-")))
    environment = {**NO_GPU, "HF_DATASETS_CACHE": str(done.folder / "cache")}
    try:
        with Leaving() as leaving, Workers(environment, leaving) as workers:
            _Rehearsing(plan, done, workers, tell).run()
    finally:
        if not done.problems:
            shutil.rmtree(done.folder, ignore_errors=True)
    return done


@dataclass
class _Rehearsing:
    """A rehearsal in progress; `failed` says why a stage left nothing for later ones."""

    plan: Plan
    done: Rehearsal
    workers: Workers
    tell: Callable[[str], Any]
    failed: dict[str, str] = field(default_factory=dict)

    def run(self) -> None:
        """Prepare, and rehearse one stage after the other."""
        prepared = self._prepare()
        small = self._small(prepared["models"])
        keys = models_to_shrink(self.plan)
        for model, reason in prepared["failed"].items():
            self.done.notes.append(f"{keys[model]}: {model} cannot be made small: {reason}")
        for stage in small.plan.stages:
            reason = self._missing(stage, prepared["failed"])
            if reason:
                self.failed[stage.spec.stage] = reason
                self.done.states[stage.spec.stage] = f"not, because {reason}"
            else:
                self._rehearse(stage)
            self.tell(f"  {stage.spec.stage}: {self.done.states[stage.spec.stage]}")

    def _prepare(self) -> dict[str, Any]:
        """Shrink the models, and look at the lengths of the real prompts."""
        folder = self.done.folder
        write_settings(self.plan, folder)
        self._call("r1trl.rehearsal.shrink:prepare", folder)
        if not (folder / PREPARED).exists():
            self.done.problems.append(f"the rehearsal cannot begin: {last_lines(folder, 1)}")
            raise R1trlError(f"{self.done.problems[0]}; see {folder / 'log.txt'}")
        prepared: dict[str, Any] = json.loads((folder / PREPARED).read_text(encoding="utf-8"))
        self.done.problems += prepared["problems"]
        return prepared

    def _small(self, models: dict[str, str]) -> SmallPlan:
        small = small_plan(self.plan, models, self.done.folder)
        self.done.notes += small.not_asked
        self.done.changes += changes(self.plan, small.plan)
        return small

    def _missing(self, stage: PlannedStage, failed_models: dict[str, str]) -> str | None:
        """Return why a stage cannot be rehearsed, or None."""
        for reference in references_of(self.plan.config.stages[stage.spec.stage]):
            if reference.wants == "model" and reference.value in failed_models:
                return f"{reference.value} cannot be made small"
        for made in stage.spec.inputs:
            before = made.removeprefix("stage:").partition("/")[0]
            if before in self.failed:
                return f"{before} left nothing"
        return None

    def _rehearse(self, stage: PlannedStage) -> None:
        """Carry a stage out; one that trains leaves early, and continues from its checkpoint."""
        name, started = stage.spec.stage, time.monotonic()
        status, problem = self._carry_out(stage)
        if status == LEFT_EARLY:
            _, again = self._carry_out(stage)
            problem = again and f"{again} (when it continued from its checkpoint)"
        self.done.seconds[name] = time.monotonic() - started
        self.done.notes += read_notes(stage.folder)
        self.done.states[name] = REHEARSED if problem is None else "failed"
        if problem is not None:
            known = [each.partition(": ")[0] for each in self.done.problems]
            self.done.problems += [] if problem.partition(": ")[0] in known else [problem]
            self._hand_over(stage)

    def _carry_out(self, stage: PlannedStage) -> tuple[int, str | None]:
        """Run a stage's worker; return its status, and what went wrong, with its key, or None."""
        write_stage(stage)
        environment = {k: v for k, v in stage.launch["environment"].items() if k not in NO_GPU}
        status = self._call("r1trl.rehearsal.worker:rehearse_stage", stage.folder, environment)
        if status == 0 and read_result(stage.folder):
            return status, None
        return status, problem_in(stage.folder, f"stages.{stage.spec.stage}")

    def _call(self, function: str, folder: Path, environment: dict[str, str] | None = None) -> int:
        """Call a function in a fork; raise R1trlError if a signal has come."""
        status = -1
        if self.workers.leaving.asked() is None:
            status = self.workers.call(function, folder, environment or {})
        if self.workers.leaving.asked():
            raise R1trlError("the rehearsal was interrupted")
        return status

    def _hand_over(self, stage: PlannedStage) -> None:
        """Put the model that a failed stage started from in place of the one it should have made.

        So later stages are rehearsed too; those that need its dataset are not.
        """
        name, start = stage.spec.stage, stage.spec.settings.get("model")
        model, _ = outputs(stage.folder, stage.spec.makes)
        if model is None or not start:
            self.failed[name] = "it failed"
            return
        shutil.rmtree(model, ignore_errors=True)
        shutil.copytree(start, model)
        write_result(StageResult(name, stage.spec.kind, stage.folder, model))


def problem_in(folder: Path, key: str) -> str:
    """Return the error in a stage's log, in one line that begins with the stage's key."""
    lines = last_lines(folder, 400).splitlines()
    said = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    raised = [line for line in lines if re.match(r"[A-Za-z_][\w.]*(Error|Exception|Exit)\b", line)]
    text = (said or raised or lines or ["it left no log"])[-1]
    return text if text.startswith("stages.") else f"{key}: {text}"
