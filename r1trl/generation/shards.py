"""Rollouts in shards: a few rows of the data each, written as they are finished.

A shard is a file, there whole or not at all, in a folder that is named after what it was drawn
with. It depends on its own rows and seed alone, so a stage that was killed goes on where it was, on
as many processes as it then has. Shard k is rolled out by process k modulo their number.
"""

import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1trl.generation.answers import RowGenerator
from r1trl.plugins.loading import Plugins
from r1trl.rewards.scorer import Scorer
from r1trl.stage.files import Work
from r1trl.stage.ranks import is_main, rank, wait, world_size

if TYPE_CHECKING:
    from datasets import Dataset

DRAWN_WITH = (
    "model",
    "dtype",
    "template",
    "prefill",
    "system",
    "samplers",
    "rewards",
    "measures",
    "sampling",
    "data",
    "benchmarks",
    "filters",
)


def roll_out(
    work: Work,
    folder: Path,
    name: str,
    settings: Mapping[str, Any],
    rows: "Dataset",
    scorer: Scorer,
    plugins: Plugins,
) -> "Dataset | None":
    """Answer all rows, but for the shards that are there; return the rollouts on process 0."""
    size = settings["sampling"]["shard_size"]
    numbered = rows.add_column("problem", list(range(len(rows))))
    spans = [range(i, min(i + size, len(rows))) for i in range(0, len(rows), size)]
    own = {key: settings.get(key) for key in DRAWN_WITH} | {"seed": work.own_seed}
    drawn_with = hashlib.sha256(json.dumps(own, sort_keys=True, default=str).encode()).hexdigest()
    parts = folder / "parts" / drawn_with[:8]
    parts.mkdir(parents=True, exist_ok=True)
    paths = [parts / f"{name}-{k:06d}.parquet" for k in range(len(spans))]
    mine = [k for k in range(rank(), len(spans), world_size()) if not paths[k].exists()]
    answering = RowGenerator(settings, scorer, plugins, f"stages.{work.stage}")
    progress = Progress(name, len(mine))
    for k in mine:
        rollouts = answering.answer(numbered.select(spans[k]), work.own_seed + k)
        rollouts.to_parquet(f"{paths[k]}.part")
        os.replace(f"{paths[k]}.part", paths[k])
        progress.tell(sum(rollouts["tokens_spent"]))
    wait()
    return joined(paths, parts / ".cache") if is_main() else None


def joined(paths: list[Path], cache: Path) -> "Dataset":
    """Return the rows of all shards, in their order."""
    from datasets import Dataset

    return Dataset.from_parquet([str(path) for path in paths], cache_dir=str(cache))


class Progress:
    """Says in the log how many shards of this process are done, how fast, and when all will be."""

    def __init__(self, name: str, total: int) -> None:
        self.name, self.total, self.done, self.tokens = name, total, 0, 0
        self.start = time.monotonic()

    def tell(self, tokens: int) -> None:
        """Print a line about one more shard, which took so many tokens."""
        self.done, self.tokens = self.done + 1, self.tokens + tokens
        seconds = time.monotonic() - self.start
        left = seconds / self.done * (self.total - self.done)
        print(
            f"{self.name}: {self.done} of {self.total} shards, {self.tokens / seconds:,.0f} "
            f"tokens/s, {duration(left)} left",
            flush=True,
        )


def duration(seconds: float) -> str:
    """Return a number of seconds in words."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
