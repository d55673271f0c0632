"""A kind of stage: what it does with its model and rows."""

from dataclasses import dataclass
from typing import Any

import r1trl


@dataclass
class NewnameSettings:
    """The keys of such a stage, besides those that all stages have."""

    factor: float = 0.99


def run(work: r1trl.Work) -> dict[str, float]:
    """Multiply the weights of a model by a factor; return the metrics of the stage."""
    model = work.model()
    scale(model, work.stage.factor)
    if work.is_main:
        model.save_pretrained(work.folder / "model")
        work.tokenizer().save_pretrained(work.folder / "model")
    return {"factor": work.stage.factor}


def scale(model: Any, factor: float) -> None:
    """Multiply the weights of a model, in place."""
    for weights in model.parameters():
        weights.data.mul_(factor)


@r1trl.hookimpl
def r1trl_kinds() -> dict[str, r1trl.Kind]:
    """Offer `newname`."""
    return {"newname": r1trl.Kind(run=run, settings=NewnameSettings, needs=["model"])}
