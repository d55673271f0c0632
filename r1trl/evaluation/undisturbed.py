"""A training that does not notice what is computed in it: all is as it was afterwards."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from trl.models import unwrap_model_for_generation


@contextmanager
def model_of(trainer: Any) -> Iterator[Any]:
    """Give the model of a trainer as it is, whole and without dropout; a collective.

    Random states and modes of modules are afterwards what they were before.
    """
    modes = [(module, module.training) for module in trainer.model.modules()]
    wrapped, args = trainer.model_wrapped, trainer.args
    checkpointing = args.gradient_checkpointing_kwargs
    with (
        random_states_kept(),
        unwrap_model_for_generation(
            wrapped, trainer.accelerator, gradient_checkpointing_kwargs=checkpointing
        ) as model,
    ):
        trainer.model.eval()
        try:
            yield model
        finally:
            for module, training in modes:
                module.training = training


@contextmanager
def random_states_kept() -> Iterator[None]:
    """Restore the random states of Python, NumPy and PyTorch, on the CPU and this rank's GPU."""
    own, numpys = random.getstate(), np.random.get_state()
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        try:
            yield
        finally:
            random.setstate(own)
            np.random.set_state(numpys)
