"""Rollouts in shards: finished ones stay, and none depends on the others."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from datasets import Dataset

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

    def generate(self, rows: Dataset, seed: int) -> Dataset:
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
    def lose_one() -> None:
        next(tmp_path.glob("shards/*/model-000001-*.parquet")).unlink()

    monkeypatch.setattr("r1trl.generation.shards.barrier", lose_one)
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


def test_processes_share_the_shards_and_the_first_returns_them_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = generated(Generator(), tmp_path / "whole")
    monkeypatch.setattr("r1trl.generation.shards.barrier", lambda: None)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    second = Generator()
    assert generate_shards(second, ROWS, tmp_path / "two", "model", 5) is None
    monkeypatch.setenv("RANK", "0")
    first = Generator()
    assert generated(first, tmp_path / "two") == whole
    assert (first.seeds, second.seeds) == ([5, 7], [6])


@pytest.mark.parametrize(("seconds", "words"), [(59.4, "59 s"), (90, "1.5 min"), (5400, "1.5 h")])
def test_a_duration_is_in_the_largest_unit_that_it_fills(seconds: float, words: str) -> None:
    assert duration(seconds) == words
