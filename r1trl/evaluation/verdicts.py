"""What verdicts say of a training stage's own rollouts: right and wrong apart, and pass rates."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from r1trl.rewards.outcomes import is_right
from r1trl.stage.ranks import from_all
from r1trl.storage.jsonl import append_rows
from r1trl.training.callbacks import drop_later_rows
from r1trl.training.rollouts import Rollout, RolloutMixin

FILE = "pass_rates.jsonl"
Verdict = bool | None  # right, wrong, or none


class Verdicts(TrainerCallback):
    """Log what right and wrong completions have, and write pass_rates.jsonl.

    `correct` names the reward of the trainer that is 1 for a right completion; one without a
    verdict counts nowhere. All completions that are drawn count, those of groups that a sampler
    refuses too, of all processes together. The metrics are those of `by_verdict`, and
    `pass_rate/always` and `pass_rate/never`: the shares of prompts of whose completions all are
    right, or none. Each is a mean over all that has been drawn since the last logging, and is left
    out if there is nothing to take the mean of.
    """

    def __init__(self, trainer: RolloutMixin, folder: Path, correct: str) -> None:
        self.trainer: Any = trainer  # TRL's, of which mypy knows the mixin alone
        self.path, self.correct = folder / FILE, correct
        self.rates: list[dict[str, Any]] = []  # of the step under way
        trainer.on_scored = self.record

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Drop the rows after the resumed checkpoint."""
        drop_later_rows(self.path, state)

    def record(self, rollout: Rollout) -> None:
        """Log a rollout of all processes; a collective."""
        scores, columns = rollout.scores, rollout.columns
        assert scores is not None
        own: dict[str, list[Any]] = {
            "prompt": [prompt_key(prompt) for prompt in columns["prompt"]],
            "right": [is_right(value) for value in scores.values[self.correct]],
            "completions/mean_length": [len(ids) for ids in columns["completion_ids"]],
            **{f"rewards/{name}": values for name, values in scores.values.items()},
        }
        parts = from_all(own)  # in the order of ranks, as a group may be parted over them
        joined = {name: [value for part in parts for value in part[name]] for name in own}
        prompts, right = joined.pop("prompt"), joined.pop("right")
        metrics, size = by_verdict(right, joined), self.trainer.num_generations
        if size > 1 and (rates := pass_rates(right, prompts, size)):
            metrics["pass_rate/always"] = [float(row["rate"] == 1) for row in rates]
            metrics["pass_rate/never"] = [float(row["rate"] == 0) for row in rates]
            self.rates += rates
        self.trainer.log_samples(metrics)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Write the pass rates of the rollouts that were drawn for this step and those after it."""
        if self.rates and state.is_world_process_zero:
            append_rows([{"step": state.global_step, **row} for row in self.rates], self.path)
        self.rates = []


def prompt_key(prompt: str) -> str:
    """Return 16 hexadecimal digits of the SHA-256 of a prompt, as the model reads it."""
    return hashlib.sha256(prompt.encode()).hexdigest()[:16]


def by_verdict(
    right: Sequence[Verdict], columns: Mapping[str, Sequence[float | None]]
) -> dict[str, list[float]]:
    """Return each column's values of right completions as `<name>/right`, of wrong ones likewise.

    Without values that are None, and without names that are left with none.
    """
    found: dict[str, list[float]] = {}
    for name, values in columns.items():
        for verdict, value in zip(right, values, strict=True):
            if verdict is not None and value is not None:
                found.setdefault(f"{name}/{'right' if verdict else 'wrong'}", []).append(value)
    return found


def pass_rates(right: Sequence[Verdict], prompts: Sequence[str], size: int) -> list[dict[str, Any]]:
    """Return the share of right completions of each group of `size`: `prompt`, `rate` and `n`.

    `prompts` are keys, one for each completion; `n` counts the verdicts. Groups without any are
    left out.
    """
    rows = []
    for first in range(0, len(right), size):
        verdicts = [verdict for verdict in right[first : first + size] if verdict is not None]
        if verdicts:
            rate = sum(verdicts) / len(verdicts)
            rows.append({"prompt": prompts[first], "rate": rate, "n": len(verdicts)})
    return rows
