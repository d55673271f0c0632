"""Checkpoints made whole as they are saved, and a trainer as it was when it continues."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from transformers import TrainerCallback

from r1trl.checkpoints import carried
from r1trl.checkpoints.choice import Identity
from r1trl.checkpoints.form import STATE, form_of
from r1trl.checkpoints.marks import (
    PREFIX,
    Mark,
    digests_by_all,
    make_readable,
    marked_steps,
)
from r1trl.checkpoints.reference import load_reference, move_by_parts, moves, save_reference
from r1trl.errors import StageError, errors_named
from r1trl.stage.checkpoints import CheckpointReader, checkpoints_made, too_few
from r1trl.stage.ranks import barrier
from r1trl.storage.writing import remove, sync_tree, write_text
from r1trl.types import Progress


class HasProgress(Protocol):
    """What says how far training has come, and why it ended, if that was early."""

    reason: str | None

    def progress(self, state: Any) -> Progress:
        """Return the progress of a training stage, from the state of its trainer."""
        ...


class Stateful(Protocol):
    """What goes on after a stop with what it knows, such as the samplers of a stage."""

    def state_dict(self) -> Any:
        """Return the state as plain data."""
        ...

    def load_state_dict(self, state: Any) -> None:
        """Load what `state_dict` returned."""
        ...


@dataclass
class Checkpoints(TrainerCallback):
    """Complete each of transformers' checkpoints and mark it; put everything back on resume.

    `parts` are saved and loaded by their names, `readers` are transitions that read checkpoints, by
    their keys. Removes old ones in transformers' place (`args.save_total_limit`), once the newest
    is whole. `resumed` is the checkpoint to continue from, with its mark. One whose steps are done
    is only loaded. It must be the last callback: what is due at the end of an epoch is saved after
    the logging there. The methods are collectives.
    """

    trainer: Any
    metrics: HasProgress
    readers: Mapping[str, CheckpointReader]
    accepted: Sequence[Identity] = ({},)
    parts: Mapping[str, Stateful] = field(default_factory=dict)
    resumed: tuple[Path, Mark] | None = None

    def __post_init__(self) -> None:
        """Take the limit from transformers, which would remove before the newest is whole."""
        args = self.trainer.args
        self.limit, args.save_total_limit = args.save_total_limit, None
        self.saved_step, self.deferred, self.epoch_ended = 0, False, False
        self.state: dict[str, Any] | None = None  # of the resumed checkpoint, for its first epoch
        self.epoch_rng = torch.get_rng_state()
        if moves(self.trainer):
            move_by_parts(self.trainer)

    def on_train_begin(
        self,
        args: Any,
        state: Any,
        control: Any,
        optimizer: Any = None,
        lr_scheduler: Any = None,
        train_dataloader: Any = None,
        **_: Any,
    ) -> None:
        """Load what transformers has not; train no more if the last step is made.

        The learning rate is replaced by that of the arguments. Raises StageError if a transition
        reads more checkpoints than there will be.
        """
        self._refuse_too_few(args, state)
        if self.resumed is None:
            return
        folder, mark = self.resumed
        self.saved_step = mark.step
        carried.replace_learning_rate(args.learning_rate, optimizer, lr_scheduler)
        self.state = json.loads((folder / STATE).read_text(encoding="utf-8"))
        carried.restore(self.trainer, self.state, int(state.epoch), train_dataloader)
        for name, part in self.parts.items():
            part.load_state_dict(self.state["parts"].get(name, {}))
        if moves(self.trainer):
            load_reference(self.trainer, folder)
        same = mark.identity == self.accepted[0]
        if state.global_step >= state.max_steps or (mark.reason and same):
            self.metrics.reason = mark.reason
            control.should_training_stop = True
            self.trainer.model.train()  # as after a step: metrics of the end are those of training
            self.trainer._run_epoch = lambda **_: None

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Note the random state from which the order of an epoch's rows is drawn."""
        if self.state is not None and self.resumed:
            if state.epoch == int(state.epoch):
                self.trainer._load_rng_state(str(self.resumed[0]))
            else:
                carried.begin_epoch_with(self.state, self.trainer)
        self.state, self.epoch_ended = None, False
        self.epoch_rng = torch.get_rng_state()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Save once in a step; at the end of an epoch after what is logged there."""
        if control.should_save and state.epoch == int(state.epoch) and not self.epoch_ended:
            control.should_save, self.deferred = False, True

    def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Do as at the end of a step, for what the logging has asked for."""
        self.on_step_end(args, state, control)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Save what has been put off, unless this step is saved already."""
        due = control.should_save or self.deferred
        control.should_save = due and state.global_step > self.saved_step
        self.deferred, self.epoch_ended = False, True

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Add what transformers leaves out, flush all to the disk, and write the mark, last.

        While a process writes, the others are in no collective that has a time-out.
        """
        folder = Path(args.output_dir) / f"{PREFIX}{state.global_step}"
        accelerator = self.trainer.accelerator
        barrier()
        if moves(self.trainer):
            save_reference(self.trainer, folder)
            barrier()
        own = carried.state_of(self.trainer, self.epoch_rng)
        if accelerator.is_main_process:
            parts = {name: part.state_dict() for name, part in self.parts.items()}
            write_text(folder / STATE, json.dumps({**own, "parts": parts}) + "\n")
        files = digests_by_all(folder)
        if accelerator.is_main_process:
            reason, done = self.metrics.reason, state.global_step >= state.max_steps
            make_readable(folder)
            sync_tree(folder)
            Mark(
                state.global_step,
                self.accepted[0],
                done or reason is not None,
                reason,
                form_of(self.trainer),
                accelerator.num_processes,
                files,
            ).write(folder)
            self._remove_old(folder.parent, self.metrics.progress(state))
        barrier()
        self.saved_step = state.global_step

    def _remove_old(self, folder: Path, progress: Progress) -> None:
        """Remove all but the newest `limit` checkpoints, and those that transitions keep."""
        steps = marked_steps(folder)
        kept = set(steps[-(self.limit or len(steps)) :])
        for key, reader in self.readers.items():
            with errors_named(key):
                chosen = list(reader.keep_checkpoints(progress, steps))
                if not set(chosen) <= set(steps):
                    returned = f"keep_checkpoints returned {chosen}"
                    raise StageError(f"{returned}; it returns some of the saved steps, {steps}")
            kept.update(chosen)
        for step in set(steps) - kept:
            remove(folder / f"{PREFIX}{step}")

    def _refuse_too_few(self, args: Any, state: Any) -> None:
        strategy, steps = str(args.save_strategy.value), state.max_steps
        made = checkpoints_made(strategy, args.save_steps, steps, state.num_train_epochs)
        every = f"args.save_steps={args.save_steps:g}" if strategy == "steps" else ""
        setting = f"{every or f'args.save_strategy={strategy}'} in {steps} steps"
        for key, reader in self.readers.items():
            if problem := too_few(reader, made, setting):
                raise StageError(f"{key}: {problem}")
