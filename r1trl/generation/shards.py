"""Rollouts in shards: a few rows of the data each, written as they are finished.

A shard is a file, written whole or not at all, in a folder that is named after a digest of the
settings; its own name has a digest of its rows. It depends on its rows and seed alone, so a stage
that was killed continues with the next shard, on as many processes as it then has. Process k modulo
their number makes shard k.
"""

import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1trl.config.schema import StageConfig
from r1trl.files.tables import OWN, with_names_aside
from r1trl.generation.answers import RowGenerator
from r1trl.stage.ranks import barrier, is_main, rank, world_size

if TYPE_CHECKING:
    from datasets import Dataset

DIGESTED = (
    "model",
    "dtype",
    "max_position_embeddings",
    "template",
    "prefill",
    "system",
    "chat_template_kwargs",
    "samplers",
    "rewards",
    "metrics",
    "sampling",
    "data",
    "benchmarks",
    "filters",
)


def generate_shards(
    generator: RowGenerator, rows: "Dataset", folder: Path, name: str, seed: int
) -> "Dataset | None":
    """Generate completions of all rows but those of finished shards; a collective.

    `folder` is the stage's; `name` begins the files' names and may have a folder in it. Returns the
    rollouts on rank 0, None on the others.
    """
    size = generator.stage.sampling.shard_size
    numbered = with_names_aside(rows, {"problem": list(range(len(rows)))})
    ranges = [range(i, min(i + size, len(rows))) for i in range(0, len(rows), size)]
    shards = folder / "shards" / digest_of(generator.stage, seed)
    (shards / name).parent.mkdir(parents=True, exist_ok=True)
    paths = [
        shards / f"{name}-{k:06d}-{rows_digest(numbered[part.start : part.stop])}.parquet"
        for k, part in enumerate(ranges)
    ]
    mine = [k for k in range(rank(), len(ranges), world_size()) if not paths[k].exists()]
    progress = ShardProgress(name, len(mine))
    for k in mine:
        rollouts = generator.generate(numbered.select(ranges[k]), seed + k)
        rollouts.to_parquet(f"{paths[k]}.part")
        os.replace(f"{paths[k]}.part", paths[k])
        progress.report(sum(rollouts["tokens_spent"]))
    barrier()
    if not is_main():
        return None
    rollouts = joined(paths, shards / ".cache")
    if own := [column for column in rollouts.column_names if column.startswith(OWN)]:
        print(f"{name}: the rows' own columns {', '.join(own)} are called so here", flush=True)
    return rollouts


def digest_of(stage: StageConfig, seed: int) -> str:
    """Return eight hexadecimal digits that depend on what completions are generated with."""
    settings = asdict(stage)
    used = {key: settings.get(key) for key in DIGESTED} | {"seed": seed}
    text = json.dumps(used, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def rows_digest(columns: Mapping[str, Any]) -> str:
    """Return eight hexadecimal digits that depend on the content of rows, given as columns."""
    return hashlib.sha256(repr(columns).encode()).hexdigest()[:8]


def joined(paths: list[Path], cache: Path) -> "Dataset":
    """Return the rows of all shards, in their order."""
    from datasets import Dataset

    return Dataset.from_parquet([str(path) for path in paths], cache_dir=str(cache))


class ShardProgress:
    """Prints a line per shard of this process: how many are done, how fast, and the time left."""

    def __init__(self, name: str, total: int) -> None:
        self.name, self.total, self.done, self.tokens = name, total, 0, 0
        self.start = time.monotonic()

    def report(self, tokens: int) -> None:
        """Print the line after one more shard, for which so many tokens were generated."""
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
