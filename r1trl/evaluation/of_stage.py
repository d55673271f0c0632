"""The evaluations of a stage while it trains, made for its trainer."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from r1trl.evaluation.callback import Evaluations


@contextmanager
def evaluations(work: Any) -> "Iterator[Callable[..., Evaluations] | None]":
    """Give what makes the callback that evaluates, of trainer and metrics; None if nothing does.

    `work` is a `StageWork`. A collective. The scoring processes are closed afterwards.
    """
    stage = work.stage
    if stage.evaluate.every is None:
        yield None
        return
    from r1trl.evaluation.callback import Evaluations
    from r1trl.evaluation.held_out import HeldOut

    seeds = work.run_seed, work.seed
    held_out = HeldOut(stage, work.plugins, work.key, work.folder, seeds, work.scorer.pool)
    try:
        yield functools.partial(Evaluations, held_out.measure, stage.evaluate)
    finally:
        work.scorer.pool.close()
