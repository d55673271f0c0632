"""Rollouts in shards: a few rows of the data each, written as they are finished.

A shard is a file, written whole or not at all, in a folder that is named after the identity of the
stage; its own name has a digest of its rows, and one of its content. It depends on these and the
seed alone, so a stage that was killed continues with the next shard, on as many processes as it
then has. Process k modulo their number makes shard k.
"""

import glob
import hashlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1trl.errors import StageError
from r1trl.files.tables import OWN, with_names_aside
from r1trl.generation.answers import RowGenerator
from r1trl.stage.ranks import barrier, is_main, rank, world_size
from r1trl.storage.digests import Digests, digest_of
from r1trl.storage.writing import PART, sync

if TYPE_CHECKING:
    from datasets import Dataset

DIGITS, SUFFIX = 8, ".parquet"


def generate_shards(
    generator: RowGenerator,
    rows: "Dataset",
    folder: Path,
    name: str,
    seed: int,
    identity: Mapping[str, Any] | None = None,
) -> "Dataset | None":
    """Generate completions of all rows but those of finished shards; a collective.

    `folder` is the stage's, `identity` that of its result; `name` begins the files' names and may
    have a folder in it. Returns the rollouts on rank 0, None on the others.
    """
    size = generator.stage.sampling.shard_size
    numbered = with_names_aside(rows, {"problem": list(range(len(rows)))})
    ranges = [range(i, min(i + size, len(rows))) for i in range(0, len(rows), size)]
    shards = folder / "shards" / digest_of([identity or {}, seed])[:DIGITS]
    (shards / name).parent.mkdir(parents=True, exist_ok=True)
    stems = [
        shards / f"{name}-{k:06d}-{rows_digest(numbered[part.start : part.stop])}"
        for k, part in enumerate(ranges)
    ]
    mine = [k for k in range(rank(), len(ranges), world_size()) if not whole_shard(stems[k])]
    progress = ShardProgress(name, len(mine))
    for k in mine:
        rollouts = generator.generate(numbered.select(ranges[k]), seed + k)
        write_shard(rollouts, stems[k])
        progress.report(sum(rollouts["tokens_spent"]))
    barrier()
    if not is_main():
        return None
    paths = [path for stem in stems if (path := whole_shard(stem))]
    if len(paths) < len(stems):
        raise StageError(f"{shards}: {len(stems) - len(paths)} shards are gone; run again")
    rollouts = joined(paths, shards / ".cache")
    if own := [column for column in rollouts.column_names if column.startswith(OWN)]:
        print(f"{name}: the rows' own columns {', '.join(own)} are called so here", flush=True)
    return rollouts


def rows_digest(columns: Mapping[str, Any]) -> str:
    """Return some hexadecimal digits that depend on the content of rows, given as columns."""
    return hashlib.sha256(repr(columns).encode()).hexdigest()[:DIGITS]


def write_shard(rollouts: "Dataset", stem: Path) -> None:
    """Write a shard; `stem` is the beginning of its path, and its content's digest the end."""
    part = stem.with_name(f"{stem.name}{PART}")
    rollouts.to_parquet(part)
    sync(part)
    os.replace(part, f"{stem}-{Digests().of(part)[:DIGITS]}{SUFFIX}")
    sync(stem.parent)


def whole_shard(stem: Path) -> Path | None:
    """Return the file of a shard; None if there is none, or it is damaged, and so removed."""
    for path in sorted(stem.parent.glob(f"{glob.escape(stem.name)}-*{SUFFIX}")):
        if path.name.endswith(f"-{Digests().of(path)[:DIGITS]}{SUFFIX}"):
            return path
        print(f"{path.name} is damaged: its rows are generated again", flush=True)
        path.unlink()
    return None


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
