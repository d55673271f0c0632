"""Rollouts in shards: finished ones stay, and none depends on the others."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from datasets import Dataset
from torch.distributed import HashStore

from r1trl.config.schema import StageConfig
from r1trl.config.stage_parts import SamplingConfig
from r1trl.errors import StageError
from r1trl.generation.shards import duration, generate_shards
from r1trl.rewards.outcomes import RewardResult
from r1trl.rewards.stats import ScoringStats

ROWS = Dataset.from_dict({"prompt": [f"p{i}" for i in range(10)]})
STAGE = StageConfig(kind="sample", sampling=SamplingConfig(n=1, shard_size=4))


class Generator:
    """Generates one completion per row, which contains the seed; keeps the seeds of its calls."""

    def __init__(self, stage: StageConfig = STAGE) -> None:
        self.stage, self.seeds = stage, list[int]()
        self.scorer = SimpleNamespace(stats=ScoringStats())

    def generate(self, rows: Dataset, seed: int, variation: Any = None) -> Dataset:
        """Return the rows with a completion each."""
        self.seeds.append(seed)
        result = RewardResult([1.0] * len(rows), 0.5, [None] * len(rows), range(len(rows)))
        self.scorer.stats.add("right", result, {"completion": rows["prompt"]})
        completions = [f"{prompt}, seed {seed}" for prompt in rows["prompt"]]
        return rows.add_column("completion", completions).add_column(
            "tokens_spent", [3] * len(rows)
        )


def generated(
    generator: Any, folder: Path, seed: int = 5, identity: dict[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Return the rollouts of all rows."""
    rollouts = generate_shards(generator, ROWS, folder, "model", seed, identity)
    assert rollouts is not None
    return rollouts.to_list()


def test_shards_have_the_rows_in_their_order_and_a_seed_each(tmp_path: Path) -> None:
    rollouts = generated(Generator(), tmp_path)
    assert [row["problem"] for row in rollouts] == list(range(10))
    assert [row["completion"] for row in rollouts] == [
        f"p{i}, seed {5 + i // 4}" for i in range(10)
    ]
    files = sorted(path.name for path in tmp_path.glob("shards/*/*.parquet"))
    assert [file[:12] for file in files] == [f"model-00000{k}" for k in range(3)]


def test_only_missing_shards_are_generated(tmp_path: Path) -> None:
    first, second = Generator(), Generator()
    rollouts = generated(first, tmp_path)
    (missing,) = tmp_path.glob("shards/*/model-000001-*.parquet")
    missing.rename(missing.with_suffix(".parquet.part"))  # as a kill leaves it
    assert generated(second, tmp_path) == rollouts
    assert (first.seeds, second.seeds) == ([5, 6, 7], [6])


@pytest.mark.parametrize("end", [".parquet", ".json"])
@pytest.mark.parametrize("flipped", [False, True])
def test_a_damaged_shard_is_generated_again(
    end: str, flipped: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = Generator(), Generator()
    rollouts = generated(first, tmp_path)
    (damaged,) = tmp_path.glob(f"shards/*/model-000001-*{end}")
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content if flipped else b"")
    assert generated(second, tmp_path) == rollouts and second.seeds == [6]
    assert "so its rows are generated again" in capsys.readouterr().out


def test_the_scoring_of_finished_shards_counts_again(tmp_path: Path) -> None:
    first, second = Generator(), Generator()
    generated(first, tmp_path)
    next(tmp_path.glob("shards/*/model-000001-*.parquet")).unlink()
    generated(second, tmp_path)
    assert second.scorer.stats.state_dict() == first.scorer.stats.state_dict()
    assert first.scorer.stats.state_dict()["outcomes"] == {"right": {"value": 10}}


@pytest.mark.parametrize(
    ("identity", "seed"),
    [({"settings": "b"}, 5), ({"settings": "a"}, 6)],
    ids=["another identity", "another seed"],
)
def test_another_identity_has_shards_of_its_own(
    identity: dict[str, Any], seed: int, tmp_path: Path
) -> None:
    generated(Generator(), tmp_path, 5, {"settings": "a"})
    other = Generator()
    generated(other, tmp_path, seed, identity)
    assert other.seeds == [seed, seed + 1, seed + 2]
    assert len(list(tmp_path.glob("shards/*"))) == 2


def test_a_shard_that_is_gone_at_the_end_fails_the_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose_one(written: Any) -> list[Any]:
        next(tmp_path.glob("shards/*/model-000001-*.parquet")).unlink()
        return [written]

    monkeypatch.setattr("r1trl.generation.shards.from_all", lose_one)
    with pytest.raises(StageError, match="1 shards are gone"):
        generated(Generator(), tmp_path)


def test_other_rows_have_shards_of_their_own(tmp_path: Path) -> None:
    generated(Generator(), tmp_path)
    rows = ROWS.map(lambda row: {"prompt": row["prompt"].replace("p5", "another")})
    other = Generator()
    rollouts = generate_shards(other, rows, tmp_path, "model", 5)
    assert other.seeds == [6]
    assert rollouts is not None and rollouts["completion"][5] == "another, seed 6"


def test_a_name_may_have_a_folder(tmp_path: Path) -> None:
    assert generate_shards(Generator(), ROWS, tmp_path, "held_out/zero", 5) is not None
    assert len(list(tmp_path.glob("shards/*/held_out/zero-*.parquet"))) == 3


class Ranks:
    """Ranks of one attempt as threads, which meet by a store of torch's as processes do.

    `seconds` is how long each takes for a shard; one of `dying` dies with its first.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: list[float], dying=()) -> None:
        self.seconds, self.dying, self.local = seconds, dying, threading.local()
        self.store, self.meeting = HashStore(), threading.Barrier(len(seconds))
        self.written: list[Any] = [None] * len(seconds)
        monkeypatch.setenv("WORLD_SIZE", str(len(seconds)))
        monkeypatch.setattr("r1trl.stage.ranks._store", lambda: self.store)
        monkeypatch.setattr("r1trl.generation.shards.from_all", self.from_all)
        monkeypatch.setattr("r1trl.generation.shards.is_main", lambda: self.local.rank == 0)

    def from_all(self, written: Any) -> list[Any]:
        """Return what all threads give; BrokenBarrierError if one has died."""
        self.written[self.local.rank] = written
        self.meeting.wait(60)
        return self.written

    def run(self, rows: Dataset, folder: Path) -> tuple[Any, list[list[int]]]:
        """Return rank 0's rollouts, None if a rank has died, and the seeds of all ranks."""
        generators = [Generator() for _ in self.seconds]
        with ThreadPoolExecutor(len(self.seconds)) as pool:
            made = [
                pool.submit(self._rank, k, rows, folder, generators[k])
                for k in range(len(generators))
            ]
        results = [each.result() for each in made]
        assert not any(results[1:])
        return results[0], [generator.seeds for generator in generators]

    def _rank(self, number: int, rows: Dataset, folder: Path, generator: Any) -> Any:
        self.local.rank, generate = number, generator.generate

        def slowly(rows: Dataset, seed: int, variation: Any) -> Dataset:
            time.sleep(self.seconds[number])
            if number in self.dying:
                raise SystemExit
            return generate(rows, seed, variation)

        generator.generate = slowly
        try:
            rollouts = generate_shards(generator, rows, folder, "model", 5)
            return rollouts and rollouts.to_list()
        except (SystemExit, threading.BrokenBarrierError):
            self.meeting.abort()
            return None


def test_a_slow_process_delays_the_others_by_one_shard_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = generated(Generator(), tmp_path / "whole")
    ranks = Ranks(monkeypatch, [0.0, 1.0])
    rollouts, seeds = ranks.run(ROWS, tmp_path / "two")
    assert rollouts == whole
    assert sorted(chain(*seeds)) == [5, 6, 7] and len(seeds[1]) == 1


def test_64_ranks_share_shards_and_what_a_dead_one_has_taken_is_made_by_the_next_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = Dataset.from_dict({"prompt": [f"p{i}" for i in range(4 * 80)]})
    alone = generate_shards(Generator(), rows, tmp_path / "whole", "model", 5)
    assert alone is not None
    first = Ranks(monkeypatch, [0.3 if k % 8 == 3 else 0.02 for k in range(64)], dying={7, 30})
    rollouts, before = first.run(rows, tmp_path / "many")
    assert rollouts is None
    second = Ranks(monkeypatch, [0.0] * 5)
    rollouts, after = second.run(rows, tmp_path / "many")
    assert rollouts == alone.to_list()
    assert len([*chain(*before)]) == 78 and len([*chain(*after)]) == 2, "only theirs were left"


def test_processes_that_get_no_shard_are_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Ranks(monkeypatch, [0.0] * 5).run(ROWS, tmp_path)
    said = "model: 3 shards for 5 processes, so 2 of them wait; sampling.shard_size=2 gives work"
    assert capsys.readouterr().out.count(said) == 1


@pytest.mark.parametrize(("seconds", "words"), [(59.4, "59 s"), (90, "1.5 min"), (5400, "1.5 h")])
def test_a_duration_is_in_the_largest_unit_that_it_fills(seconds: float, words: str) -> None:
    assert duration(seconds) == words
