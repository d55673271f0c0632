"""What transformers' and TRL's trainers keep in memory only, carried over a stop.

Without it the loss and the metrics of a logging window with a checkpoint in it, the count of
tokens, and the order of rows that a trainer draws by itself would begin anew.
tests/training/test_trl_contract.py names each private thing used.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from accelerate.data_loader import SkipBatchSampler
from accelerate.utils import gather_object
from trl.trainer.utils import RepeatSampler

COUNTS = ("_total_loss_scalar", "_globalstep_last_logged", "_total_train_tokens")


def state_of(trainer: Any, epoch_rng: torch.Tensor) -> dict[str, Any]:
    """Return what a trainer carries over, as plain data; a collective.

    `epoch_rng` is torch's random state of this process at the beginning of the epoch.
    """
    losses = trainer.accelerator.gather(trainer._tr_loss.detach().float().reshape(1))
    logged = getattr(trainer, "_metrics", {}).get("train", {})
    return {
        "losses": losses.tolist(),
        "epoch_rng": gather_object([bytes(epoch_rng.tolist()).hex()]),
        "counts": {name: getattr(trainer, name) for name in COUNTS if hasattr(trainer, name)},
        "metrics": {name: [_plain(value) for value in values] for name, values in logged.items()},
    }


def _plain(value: Any) -> float | None:
    return value if value is None or isinstance(value, int) else float(value)


def restore(trainer: Any, state: Mapping[str, Any], passes: int, loader: Any) -> None:
    """Give a resumed trainer what `state_of` returned; `passes` over its rows are complete.

    With another number of processes the loss since the last logging is the mean of theirs.
    """
    losses, accelerator = state["losses"], trainer.accelerator
    same = len(losses) == accelerator.num_processes
    own = losses[accelerator.process_index] if same else sum(losses) / len(losses)
    trainer._tr_loss.fill_(own)
    for name, value in state["counts"].items():
        setattr(trainer, name, value)
    trainer._initial_global_step = 0  # the mean loss at the end is of all steps
    count_remainders()
    logged = getattr(trainer, "_metrics", {}).get("train", {})
    for name, values in state["metrics"].items():
        logged[name] = list(values)
    sampler = sampler_of(loader)
    if isinstance(sampler, RepeatSampler):
        for _ in range(passes):
            next(iter(sampler), None)  # draws the order of a pass


def count_remainders() -> None:
    """Have the rest of a resumed epoch know how many rows its last batch has over all processes.

    Metrics of that batch count no row twice, which processes get to have equal batches. accelerate
    finds the number by these attributes, which its sampler of the rest lacks: it would count all.
    """
    for name in ("batch_size", "num_processes", "split_batches"):
        setattr(SkipBatchSampler, name, property(partial(_of_whole, name=name)))


def _of_whole(rest: SkipBatchSampler, *, name: str) -> Any:
    """Return an attribute of the sampler whose first batches are skipped.

    Raises AttributeError if that leaves an incomplete last batch out: then no row comes twice.
    """
    if getattr(rest.batch_sampler, "drop_last", False):
        raise AttributeError(name)
    return getattr(rest.batch_sampler, name)


def sampler_of(loader: Any) -> Any:
    """Return what says in which order a prepared loader reads its rows."""
    batches: Any = getattr(loader, "batch_sampler", None)
    while hasattr(batches, "batch_sampler"):
        batches = batches.batch_sampler
    return getattr(batches, "sampler", None)


def begin_epoch_with(state: Mapping[str, Any], trainer: Any) -> None:
    """Set torch's random state of the beginning of a resumed epoch, to read its rows in order."""
    states, accelerator = state["epoch_rng"], trainer.accelerator
    if len(states) == accelerator.num_processes:
        own = bytes.fromhex(states[accelerator.process_index])
        torch.set_rng_state(torch.tensor(list(own), dtype=torch.uint8))


def replace_learning_rate(rate: float, optimizer: Any, scheduler: Any) -> None:
    """Give a resumed schedule another learning rate; nothing changes if it is the same.

    Torch loads the rate with the schedule. One with several rates, or none of torch's, stays.
    """
    shares = getattr(scheduler, "lr_lambdas", None)
    if not shares or len(set(scheduler.base_lrs)) > 1:
        return
    scheduler.base_lrs = [rate] * len(shares)
    scheduler._last_lr = [rate * share(scheduler.last_epoch) for share in shares]
    for group, now in zip(optimizer.param_groups, scheduler._last_lr, strict=True):
        group["initial_lr"], group["lr"] = rate, now
