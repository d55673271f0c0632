"""DeepSeek-R1's recipes on TRL, every argued-about choice a plugin; these names are public."""

from r1trl.description import describe
from r1trl.errors import ConfigError, R1trlError, StageError
from r1trl.fields import Field
from r1trl.hookspecs import hookimpl
from r1trl.intervals import bootstrap_interval
from r1trl.kind import Kind, Work
from r1trl.models.adapter import has_adapter, merge_adapter
from r1trl.rewards.pool import Failure
from r1trl.rewards.texts import final_part, gold_texts, scored_text, with_prefill
from r1trl.rewards.verifier import UNDECIDED, verifier
from r1trl.samplers import Policy
from r1trl.storage.writing import new_file
from r1trl.trackers import TrackedInput, TrackedOutput, TrackedStage
from r1trl.types import (
    Benchmarks,
    Completion,
    Group,
    Model,
    Progress,
    RewardName,
    Rows,
    Stage,
    StageResult,
)
from r1trl.variants import PromptSettings

__version__ = "0.1.0"

__all__ = [
    "UNDECIDED",
    "Benchmarks",
    "Completion",
    "ConfigError",
    "Failure",
    "Field",
    "Group",
    "Kind",
    "Model",
    "Policy",
    "Progress",
    "PromptSettings",
    "R1trlError",
    "RewardName",
    "Rows",
    "Stage",
    "StageError",
    "StageResult",
    "TrackedInput",
    "TrackedOutput",
    "TrackedStage",
    "Work",
    "bootstrap_interval",
    "describe",
    "final_part",
    "gold_texts",
    "has_adapter",
    "hookimpl",
    "merge_adapter",
    "new_file",
    "scored_text",
    "verifier",
    "with_prefill",
]
