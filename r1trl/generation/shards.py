"""Rollouts in shards: a few rows of the data each, written as they are finished.

A shard is a file, written whole or not at all and known by its digest, in a folder that is named
after the identity of the stage; its own name has a digest of its rows. It depends on its rows and
seed alone, so a stage that was killed continues with the next shard, on as many processes as it
then has. Each process takes the next shard when it is done with one, so a slow one delays the
others by one shard at most.
"""

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1trl.checkpoints.marks import damage, digests, read_proof, write_proof
from r1trl.data.prompts import Variations
from r1trl.errors import StageError
from r1trl.files.tables import OWN, with_names_aside
from r1trl.generation.answers import RowGenerator
from r1trl.process.pulse import count
from r1trl.process.terminal import say
from r1trl.stage.ranks import from_all, in_turn, is_main, world_size
from r1trl.stage.times import duration
from r1trl.storage.digests import digest_of
from r1trl.storage.shown import sizes_of, wait_for
from r1trl.storage.writing import new_file

if TYPE_CHECKING:
    from datasets import Dataset

PROOF = ".json"  # the end of the name of what is beside a finished shard
DIGITS = 8


def generate_shards(
    generator: RowGenerator,
    rows: "Dataset",
    folder: Path,
    name: str,
    seed: int,
    identity: Mapping[str, Any] | None = None,
    variation: Variations | None = None,
) -> "Dataset | None":
    """Generate completions of all rows but those of finished shards; a collective.

    `folder` is the stage's, `identity` that of its result; `name` begins the files' names and may
    have folders in it; `variation` is the form in which the rows are asked. Returns the rollouts on
    rank 0, None on the others.
    """
    size = generator.stage.sampling.shard_size
    numbered = with_names_aside(rows, {"problem": list(range(len(rows)))})
    ranges = [range(i, min(i + size, len(rows))) for i in range(0, len(rows), size)]
    shards = folder / "shards" / digest_of([identity or {}, seed])[:DIGITS]
    (shards / name).parent.mkdir(parents=True, exist_ok=True)
    paths = [
        shards / f"{name}-{k:06d}-{rows_digest(numbered[part.start : part.stop])}.parquet"
        for k, part in enumerate(ranges)
    ]
    _say_who_waits(name, len(ranges), len(rows), size)
    progress = ShardProgress(name, len(ranges))
    count("rows", 0, len(rows))
    made: list[Path] = []
    for k in in_turn(f"shards/{digest_of([path.name for path in paths])}", len(ranges)):
        if scoring_of(paths[k]) is None:
            rollouts, scoring = _generated(
                generator, numbered.select(ranges[k]), seed + k, variation
            )
            _write(rollouts, scoring, paths[k])
            made += [paths[k], paths[k].with_suffix(PROOF)]
            progress.report(k, sum(rollouts["tokens_spent"]))
        count("rows", ranges[k].stop, len(rows))
    written = from_all(sizes_of(made))
    if not is_main():
        return None
    for sizes in written[1:]:
        wait_for(sizes)
    scored = [scoring_of(path) for path in paths]
    if gone := scored.count(None):
        raise StageError(f"{shards}: {gone} shards are gone; the same command makes them again")
    for part in scored:
        generator.scorer.stats.add_state(part or {})
    rollouts = joined(paths, shards / ".cache")
    if own := [column for column in rollouts.column_names if column.startswith(OWN)]:
        say(f"{name}: the rows' own columns {', '.join(own)} are called so here")
    return rollouts


def _say_who_waits(name: str, shards: int, rows: int, size: int) -> None:
    """Say on rank 0 that there are fewer shards than processes.

    Their size does not follow the processes: each has a seed, so it is part of the result.
    """
    processes = world_size()
    if is_main() and shards < processes:
        smaller = max(1, rows // processes)
        advice = f"; sampling.shard_size={smaller} gives work to more, and draws other samples"
        say(
            f"{name}: {shards} shards for {processes} processes, so {processes - shards} of them "
            f"wait{advice if smaller < size else ''}"
        )


def _generated(
    generator: RowGenerator, rows: "Dataset", seed: int, variation: Variations | None
) -> "tuple[Dataset, dict[str, Any]]":
    """Return the rollouts of a shard, and the statistics of its scoring alone."""
    scorer = generator.scorer
    before, scorer.stats = scorer.stats, scorer.stats.of_a_part()
    rollouts = generator.generate(rows, seed, variation)
    own, scorer.stats = scorer.stats.state_dict(), before
    return rollouts, own


def _write(rollouts: "Dataset", scoring: Mapping[str, Any], shard: Path) -> None:
    """Write a shard, then a file beside it that proves it, with the statistics of its scoring."""
    with new_file(shard) as part:
        rollouts.to_parquet(part)
    proof = {"files": digests(shard.parent, [shard.name]), "scoring": scoring}
    write_proof(shard.with_suffix(PROOF), proof)


def scoring_of(shard: Path) -> dict[str, Any] | None:
    """Return the statistics of the scoring of a finished shard; None if it must be made."""
    if not shard.exists():
        return None
    try:
        proof = read_proof(shard.with_suffix(PROOF))
        wrong = damage(shard.parent, proof["files"])
    except (OSError, ValueError):
        wrong = "it cannot be proven"
    if wrong:
        say(f"shard {shard.name}: {wrong}, so its rows are generated again")
        return None
    return dict(proof["scoring"])


def rows_digest(columns: Mapping[str, Any]) -> str:
    """Return eight hexadecimal digits that depend on the content of rows, given as columns."""
    return hashlib.sha256(repr(columns).encode()).hexdigest()[:DIGITS]


def joined(paths: list[Path], cache: Path) -> "Dataset":
    """Return the rows of all shards, in their order."""
    from datasets import Dataset

    return Dataset.from_parquet([str(path) for path in paths], cache_dir=str(cache))


class ShardProgress:
    """Prints a line per shard that this process makes: how many are taken, how fast, time left."""

    def __init__(self, name: str, total: int) -> None:
        self.name, self.total, self.done, self.tokens = name, total, 0, 0
        self.start = time.monotonic()

    def report(self, number: int, tokens: int) -> None:
        """Print the line after a shard of that number, for which so many tokens were generated."""
        self.done, self.tokens = self.done + 1, self.tokens + tokens
        seconds = time.monotonic() - self.start
        left = seconds / self.done * (self.total - number - 1) / world_size()
        say(
            f"{self.name}: {number + 1} of {self.total} shards, {self.tokens / seconds:,.0f} "
            f"tokens/s, {duration(left)} left",
        )
