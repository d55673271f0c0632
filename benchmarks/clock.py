"""The seconds of a trainer's steps and of their phases, measured from outside."""

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

# a timed method of the trainer (backward: of its accelerator), and the name of its phase
PHASES = {
    "_generate": "generation",
    "_calculate_rewards": "rewards",
    "_compute_loss": "loss",
    "backward": "backward",
    "_get_per_token_logps_and_entropies": "passes without gradient",
}


class Clock:
    """Measures a trainer's steps and their phases in seconds."""

    def __init__(self, trainer: Any) -> None:
        from transformers import TrainerCallback

        clock = self
        self.steps: list[float] = []
        self.phases: dict[str, list[float]] = defaultdict(list)
        self.now: dict[str, float] = defaultdict(float)

        class Steps(TrainerCallback):
            def on_step_begin(self, *_: Any, **__: Any) -> None:
                clock.now.clear()
                clock.begun = time.perf_counter()

            def on_step_end(self, *_: Any, **__: Any) -> None:
                clock.steps.append(time.perf_counter() - clock.begun)
                for name in PHASES.values():
                    clock.phases[name].append(clock.now[name])

        trainer.add_callback(Steps())
        for method, name in PHASES.items():
            holder = trainer.accelerator if method == "backward" else trainer
            wrap = self.without_grad if method.startswith("_get") else self.timed
            setattr(holder, method, wrap(getattr(holder, method), name))

    def timed(self, call: Callable[..., Any], name: str) -> Callable[..., Any]:
        """Return the function, timed."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            begun = time.perf_counter()
            try:
                return call(*args, **kwargs)
            finally:
                self.now[name] += time.perf_counter() - begun

        return timed

    def without_grad(self, call: Callable[..., Any], name: str) -> Callable[..., Any]:
        """Time a function's calls without gradient: the old policy's and the reference's passes."""
        import torch

        timed = self.timed(call, name)

        def chosen(*args: Any, **kwargs: Any) -> Any:
            return (call if torch.is_grad_enabled() else timed)(*args, **kwargs)

        return chosen
