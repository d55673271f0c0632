"""When held-out rows are answered while a stage trains, and what becomes of the numbers."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from transformers import TrainerCallback

from r1trl.config.stage_parts import EvaluateConfig
from r1trl.process.pulse import progress, pulse, spend
from r1trl.process.terminal import announce, say
from r1trl.stage.ranks import from_main, is_main
from r1trl.training.callbacks import Metrics
from r1trl.types import EVALUATED

SHARE = "eval/share"


class Evaluations(TrainerCallback):
    """Measure before the first step, after every `evaluate.every` steps and after the last one.

    `measure` returns metrics of a trainer's model. A step's are a row of metrics.jsonl, which
    transitions see at the next logging; a stage that continues does not measure again what is
    there. With them stand the seconds that it took, and the share of the stage's time that all
    have taken; while that is above `evaluate.max_share` what is due is left out, and that is said.
    The methods are collectives.
    """

    def __init__(
        self,
        measure: Callable[[Any], Mapping[str, float]],
        settings: EvaluateConfig,
        trainer: Any,
        metrics: Metrics,
    ) -> None:
        assert settings.every
        self.measure, self.every, self.max_share = measure, settings.every, settings.max_share
        self.trainer, self.metrics = trainer, metrics

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Measure the model that training starts from, or what a stop has left out."""
        self.on_step_end(args, state, control)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Measure if it is time, and nobody waits for this process to leave."""
        due = state.global_step % self.every == 0 or state.global_step == state.max_steps
        if due and from_main(lambda: self._is_wanted(state.global_step)):
            begun = time.monotonic()
            found = self.measure(self.trainer)
            progress()
            spend("evaluating", time.monotonic() - begun)
            self._record(state, found, from_main(lambda: time.monotonic() - begun))

    def _is_wanted(self, step: int) -> bool:
        """Return False on a signal, if the step's numbers are there, or time is used up."""
        if pulse.leave or any(EVALUATED in row for row in self._rows(step)):
            return False
        share = self._share(0.0)
        if share > self.max_share:
            limit = f"evaluate.max_share={self.max_share:g}"
            taken = f"they have taken {share:.1%} of the time ({limit})"
            announce(f"step {step}: no evaluation, as {taken}")
        return share <= self.max_share

    def _rows(self, step: int) -> list[dict[str, Any]]:
        return [row for row in self.metrics.history if row["step"] == step]

    def _share(self, more: float) -> float:
        """Return the share of the stage's seconds that evaluations have taken, with `more` now."""
        spent = sum(row.get(EVALUATED, 0.0) for row in self.metrics.history) + more
        return spent / max(self.metrics.seconds(), spent) if spent else 0.0

    def _record(self, state: Any, found: Mapping[str, float], seconds: float) -> None:
        own = {EVALUATED: round(seconds, 3), SHARE: round(self._share(seconds), 4)}
        self.metrics.record(state, {**found, **own})
        if is_main():
            shown = [
                f"{name.split('/')[1]} {value:.3f} ({found[f'{name}_low']:.3f} to "
                f"{found[f'{name}_high']:.3f})"
                for name, value in found.items()
                if name.endswith("/pass@1")
            ]
            say(f"step {state.global_step}: pass@1 on {', '.join(shown)}")
