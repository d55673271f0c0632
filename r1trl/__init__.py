"""DeepSeek-R1's recipes on TRL, every argued-about choice a plugin; these names are public."""

from r1trl.errors import ConfigError, R1trlError, StageError
from r1trl.hookspecs import hookimpl
from r1trl.pool import Failure
from r1trl.responses import scored_text
from r1trl.types import Benchmarks, Draft, Group, Policy, Progress, RewardName, Stage, StageResult
from r1trl.verifier import UNSURE, verifier

__version__ = "0.1.0"

__all__ = [
    "UNSURE",
    "Benchmarks",
    "ConfigError",
    "Draft",
    "Failure",
    "Group",
    "Policy",
    "Progress",
    "R1trlError",
    "RewardName",
    "Stage",
    "StageError",
    "StageResult",
    "hookimpl",
    "scored_text",
    "verifier",
]
