"""Every patch of a module of TRL's, each with the condition under which it can go."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def without_text_gather(trainer: Any) -> Iterator[None]:
    """Keep a rollout's texts on their process; TRL gathers those of all, to log them or not.

    Replaces `gather_object` in the module of TRL's trainer while the block runs, and only for the
    prompts and completions of `trainer.rollout.texts`. With `args.log_completions` nothing is
    replaced. Can go when TRL gathers texts only to log them.
    """
    if trainer.args.log_completions:
        yield
        return
    base = next(c for c in type(trainer).__mro__ if c.__module__.startswith("trl.trainer."))
    module: Any = sys.modules[base.__module__]
    gather = module.gather_object

    def keep_texts(values: Any) -> Any:
        return values if any(values is t for t in trainer.rollout.texts) else gather(values)

    module.gather_object = keep_texts
    try:
        yield
    finally:
        module.gather_object = gather
