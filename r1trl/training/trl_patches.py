"""Every patch of TRL's and accelerate's modules, each with the condition under which it can go."""

import functools
import os
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


@functools.cache
def let_fsdp_use_the_cpu() -> None:
    """Let accelerate shard by FSDP on the CPU too, where it would train unsharded without a word.

    Called once before a trainer is made; without FSDP nothing is replaced. Can go when accelerate's
    state takes processes on the CPU for FSDP, as PyTorch does.
    """
    if os.environ.get("ACCELERATE_USE_FSDP") != "true":
        return
    from accelerate.state import AcceleratorState, DistributedType, PartialState

    make = AcceleratorState.__init__

    @functools.wraps(make)
    def made(self: Any, *args: Any, fsdp_plugin: Any = None, **kwargs: Any) -> None:
        make(self, *args, fsdp_plugin=fsdp_plugin, **kwargs)
        if self.distributed_type == DistributedType.MULTI_CPU and fsdp_plugin is not None:
            if self._mixed_precision != "no":
                fsdp_plugin.set_mixed_precision(self._mixed_precision)
            self.distributed_type, self.fsdp_plugin = DistributedType.FSDP, fsdp_plugin
            PartialState._shared_state["distributed_type"] = DistributedType.FSDP

    AcceleratorState.__init__ = made
