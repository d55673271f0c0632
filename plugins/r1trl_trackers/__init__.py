"""Trackers: Weights & Biases, TensorBoard, trackio."""

from collections.abc import Mapping

import r1trl
from r1trl_trackers.tensorboard_tracker import TensorBoard
from r1trl_trackers.trackio_tracker import Trackio
from r1trl_trackers.wandb_tracker import Wandb


@r1trl.hookimpl
def r1trl_trackers() -> Mapping[str, type]:
    """Offer the trackers of this package."""
    return {"wandb": Wandb, "tensorboard": TensorBoard, "trackio": Trackio}
