"""What a training stage writes down as it goes, and why it may end before its last step."""

import json
import math
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from r1trl.errors import errors_named
from r1trl.training.tracking import Tracker
from r1trl.types import Progress

MARKER = "complete.json"
REFERENCE = "reference.safetensors"
SAMPLERS = "samplers.json"


class Metrics(TrainerCallback):
    """Write metrics.jsonl: one object per logging step, cut back to the step that is resumed."""

    def __init__(
        self, folder: Path, tracker: Tracker, until: Mapping[str, Callable[..., Any]]
    ) -> None:
        self.path, self.tracker, self.until = folder / "metrics.jsonl", tracker, until
        self.history: list[dict[str, Any]] = []
        self.reason: str | None = None
        self.start = time.monotonic()

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Drop the rows after the checkpoint, and go on counting seconds from there."""
        self.history = [row for row in read_rows(self.path) if row["step"] <= state.global_step]
        if self.history:
            self.start -= self.history[-1]["seconds"]
        if state.is_world_process_zero:
            write_rows(self.history, self.path)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Write a row; end the stage where an `until` says so."""
        seconds = round(time.monotonic() - self.start, 3)
        numbers = {
            name: value if math.isfinite(value) else None  # JSON has no NaN
            for name, value in (logs or {}).items()
            if isinstance(value, int | float)
        }
        row = {"step": state.global_step, "seconds": seconds, **numbers}
        self.history.append(row)
        if state.is_world_process_zero:
            write_rows([row], self.path, "a")
            self.tracker.log(row)
        if self.until and self.reason is None:
            self.reason = self._ask(
                Progress(state.global_step, state.max_steps, seconds, self.history)
            )
            control.should_training_stop = control.should_training_stop or self.reason is not None

    def _ask(self, progress: Progress) -> str | None:
        """Ask on rank 0 and tell the others."""
        from accelerate.utils import broadcast_object_list

        answers = {}
        for key, ask in self.until.items():
            with errors_named(key):
                answers[key.rpartition(".")[2]] = ask(progress)
        first = next((f"{name}: {answer}" for name, answer in answers.items() if answer), None)
        told: list[str | None] = broadcast_object_list([first])
        return told[0]


class Completions(TrainerCallback):
    """Keep a few completions of every logging step, with their rewards, in completions.jsonl."""

    def __init__(self, folder: Path, tracker: Tracker, count: int, trainer: Any) -> None:
        self.path, self.tracker, self.count = folder / "completions.jsonl", tracker, count
        self.trainer = trainer

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Drop the rows after the checkpoint."""
        if state.is_world_process_zero:
            kept = [row for row in read_rows(self.path) if row["step"] <= state.global_step]
            write_rows(kept, self.path)

    def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Write and track what the newest rollout had."""
        batch = self.trainer.batch
        if batch is None or not state.is_world_process_zero:
            return
        self.trainer.batch = None
        scores, count = self.trainer.scores, len(batch["completion"])
        picked = random.Random(state.global_step).sample(range(count), min(self.count, count))
        rows = [
            {
                "step": state.global_step,
                "prompt": batch["prompt"][i],
                "completion": batch["completion"][i],
                "reward": scores.totals[i],
                **{f"rewards/{name}": values[i] for name, values in scores.values.items()},
                **{f"outcome/{name}": found[i] for name, found in scores.outcomes.items()},
            }
            for i in sorted(picked)
        ]
        write_rows(rows, self.path, "a")
        self.tracker.table(f"completions/{state.global_step:06d}", rows, state.global_step)


class Checkpoints(TrainerCallback):
    """Complete TRL's checkpoints: the reference model, which TRL forgets, and a mark at the end."""

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Add the reference model; the mark, written last, means the checkpoint is whole."""
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        accelerator = self.trainer.accelerator
        if synced_reference(self.trainer):
            weights = accelerator.get_state_dict(self.trainer.ref_model)
            if accelerator.is_main_process:
                save_weights(weights, folder / REFERENCE)
        sampling = getattr(self.trainer, "sampling", None)
        if sampling and accelerator.is_main_process:
            text = json.dumps(sampling.state_dict())
            (folder / SAMPLERS).write_text(text + "\n", encoding="utf-8")
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            (folder / MARKER).write_text(json.dumps({"step": state.global_step}) + "\n")

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Put the reference model and the samplers of the resumed checkpoint back."""
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        path, sampling = folder / REFERENCE, getattr(self.trainer, "sampling", None)
        if state.global_step and sampling:
            text = (folder / SAMPLERS).read_text(encoding="utf-8")
            sampling.load_state_dict(json.loads(text))
        if state.global_step and synced_reference(self.trainer):
            from safetensors.torch import load_file

            model = self.trainer.accelerator.unwrap_model(self.trainer.ref_model)
            model.load_state_dict(load_file(path), strict=False)


class Signals(TrainerCallback):
    """On SIGTERM or SIGUSR1, save and leave at the end of the step."""

    def __init__(self) -> None:
        self.received: str | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Listen."""
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, self._hear)

    def _hear(self, number: int, _: Any) -> None:
        self.received = signal.Signals(number).name

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Save and stop where a signal has come."""
        if self.received:
            control.should_save = control.should_training_stop = True


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read a JSON-lines file; a line that a killed process left unfinished is not a row."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("}\n")]


def write_rows(rows: list[dict[str, Any]], path: Path, mode: str = "w") -> None:
    """Write or append rows to a JSON-lines file."""
    with path.open(mode, encoding="utf-8") as stream:
        stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def synced_reference(trainer: Any) -> bool:
    """Tell whether the trainer has a reference model that moves."""
    reference = getattr(trainer, "ref_model", None)
    return reference is not None and bool(getattr(trainer.args, "sync_ref_model", False))


def save_weights(weights: Any, path: Path) -> None:
    """Write weights as safetensors; tied ones are written once each."""
    from safetensors.torch import save_file

    save_file({name: tensor.contiguous().clone() for name, tensor in weights.items()}, path)


def whole_checkpoint(folder: Path) -> Path | None:
    """Return the newest whole checkpoint; remove what a killed process left half-written."""
    whole = []
    for path in folder.glob("checkpoint-*"):
        if (path / MARKER).exists():
            whole.append(path)
        elif os.environ.get("RANK", "0") == "0":
            shutil.rmtree(path)
    return max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)
