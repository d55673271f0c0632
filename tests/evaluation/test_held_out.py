"""Evaluation inside training: its rows in metrics.jsonl, and a training that does not notice it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from one_step import OneStep

from r1trl.types import EVALUATED

pytestmark = pytest.mark.slow

ARGS = {"max_steps": 5, "save_strategy": "steps", "save_steps": 2, "lr_scheduler_type": "linear"}
DROPOUT = {"attention_dropout": 0.3}


class Evaluated(OneStep):
    """Stages that answer four rows of two benchmarks, by a reward that differs among completions."""

    every: int | None = 2
    max_share = 1.0

    def stage(self, args: Mapping[str, Any]) -> Any:
        """Return the settings of a stage."""
        own: dict[str, Any] = super().stage(args)
        return own


def evaluated(stage: OneStep) -> list[dict[str, Any]]:
    """Return the rows of metrics.jsonl that evaluations have written."""
    text = (stage.last / "metrics.jsonl").read_text()
    return [row for row in map(json.loads, text.splitlines()) if EVALUATED in row]
