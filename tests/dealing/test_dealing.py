"""Rows are dealt so that processes wait little; they are the same rows, and their values return."""

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from r1trl.dealing.cells import Row, deal, tokens_passed
from r1trl.dealing.exchange import Exchange
from r1trl.dealing.update import Update, prompt_numbers, updates_of, widths_of
from r1trl.packing.logprobs import LogpsAndEntropies

pytestmark = pytest.mark.slow  # imports torch


def drawn(count: int, prompt: int = 10, group: int = 4, seed: int = 1) -> list[Row]:
    """Return rows whose completions are 1 to 20 times as long as the shortest."""
    source = random.Random(seed)
    return [Row(i // group, prompt, round(100 * 20 ** source.random())) for i in range(count)]


def passed(rows: list[Row], cell: list[int], packs: bool = True) -> int:
    return tokens_passed([rows[i] for i in cell], packs)


def seconds(rows: list[Row], dealt: list[list[list[int]]], packs: bool = True) -> int:
    """Return how long all steps take, each as long as its slowest process: in tokens."""
    sizes = [[passed(rows, cell, packs) for cell in own] for own in dealt]
    return sum(max(step) for step in zip(*sizes, strict=True))


def waited(rows: list[Row], dealt: list[list[list[int]]]) -> float:
    """Return the share of all processes' time in which they wait for the slowest of each step."""
    worked = sum(passed(rows, cell) for own in dealt for cell in own)
    return 1 - worked / (len(dealt) * seconds(rows, dealt))


def as_they_come(count: int, processes: int, steps: int) -> list[list[list[int]]]:
    """Return the cells that TRL makes."""
    size = count // (processes * steps)
    starts = range(0, count, size)
    cells = [list(range(start, start + size)) for start in starts]
    return [cells[first : first + steps] for first in range(0, len(cells), steps)]


@pytest.mark.parametrize("packs", [True, False])
@pytest.mark.parametrize(
    ("processes", "steps", "size"), [(2, 4, 4), (2, 8, 1), (8, 2, 2), (1, 4, 4), (3, 1, 5)]
)
def test_every_row_is_dealt_once_and_all_micro_batches_have_equally_many(
    processes: int, steps: int, size: int, packs: bool
) -> None:
    count = processes * steps * size
    dealt = deal(drawn(count), processes, steps, packs)
    assert [len(own) for own in dealt] == [steps] * processes
    assert all(len(cell) == size for own in dealt for cell in own)
    assert sorted(i for own in dealt for cell in own for i in cell) == list(range(count))


SIZES = pytest.mark.parametrize(
    ("processes", "steps", "size"), [(2, 4, 4), (8, 8, 1), (8, 2, 8)], ids=str
)


@SIZES
def test_processes_wait_at_most_half_as_long_as_before(
    processes: int, steps: int, size: int
) -> None:
    count, before, after = processes * steps * size, 0.0, 0.0
    for seed in range(10):
        rows = drawn(count, seed=seed)
        before += waited(rows, as_they_come(count, processes, steps)) / 10
        after += waited(rows, deal(rows, processes, steps, packs=True)) / 10
    assert before > 0.1
    assert after < before / 2


@SIZES
def test_padded_rows_take_less_time_than_before(processes: int, steps: int, size: int) -> None:
    rows = drawn(processes * steps * size)
    before = seconds(rows, as_they_come(len(rows), processes, steps), packs=False)
    assert seconds(rows, deal(rows, processes, steps, packs=False), packs=False) < 0.75 * before


def test_packed_micro_batches_are_equally_large() -> None:
    rows = drawn(64)
    sizes = [passed(rows, cell) for own in deal(rows, 2, 8, packs=True) for cell in own]
    assert max(sizes) < 1.06 * min(sizes)


def test_the_largest_micro_batch_is_the_first() -> None:
    rows = drawn(16)
    sizes = [passed(rows, cell) for cell in deal(rows, 1, 16, packs=True)[0]]
    assert sizes == sorted(sizes, reverse=True)


def test_equal_prompts_share_a_micro_batch_where_that_saves_more_than_it_costs() -> None:
    long_prompts = [Row(i % 4, 1000, 50 + i) for i in range(16)]
    for own in deal(long_prompts, 2, 2, packs=True):
        for cell in own:
            assert len({long_prompts[i].prompt for i in cell}) == 1


def test_padded_rows_are_passed_with_those_of_their_length() -> None:
    rows = [Row(i, 5, length) for i, length in enumerate([1, 100, 2, 101, 3, 102, 4, 103])]
    dealt = deal(rows, 1, 2, packs=False)[0]
    assert [sorted(rows[i].tokens for i in cell) for cell in dealt] == [
        [100, 101, 102, 103],
        [1, 2, 3, 4],
    ]


def test_a_prompts_number_does_not_depend_on_its_padding() -> None:
    ids = torch.tensor([[0, 0, 5, 6], [7, 7, 5, 6], [0, 0, 6, 5], [0, 5, 5, 6]])
    mask = torch.tensor([[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1], [0, 1, 1, 1]])
    first, padded, turned, longer = prompt_numbers(ids, mask).tolist()
    assert first == padded == prompt_numbers(ids[:1, 1:], mask[:1, 1:]).item()
    assert len({first, turned, longer}) == 3


def given_micro_batches() -> list[dict[str, Any]]:
    """Return two micro-batches with two rows of each of two prompts."""
    rows = {
        "prompt_ids": torch.tensor([[1], [2], [1], [2]]).expand(-1, 9),
        "prompt_mask": torch.ones((4, 9), dtype=torch.int64),
        "completion_mask": torch.ones((4, 3), dtype=torch.int64),
        "row": torch.arange(4),
    }
    return [{name: value[i : i + 2] for name, value in rows.items()} | {"n": 4} for i in (0, 2)]


def test_values_of_dealt_rows_come_back_in_the_given_order() -> None:
    given = given_micro_batches()
    [update] = updates_of(given, 2, packs=lambda: True)
    dealt = [batch["row"].tolist() for batch in update.dealt]
    assert sorted(map(sorted, dealt)) == [[0, 2], [1, 3]], "equal prompts are together"
    assert [batch["n"] for batch in update.dealt] == [4, 4]
    assert update.position(given[0]) is None
    for _ in range(2):  # rows are passed again with several iterations
        for batch in update.dealt:
            position = update.position(batch)
            assert position is not None
            values = batch["row"][:, None].float()
            last = update.record(position, LogpsAndEntropies(values, 10 * values))
        assert last
        for (batch, found), wanted in zip(update.in_given_order(), given, strict=True):
            assert batch is wanted and found.entropies is not None
            assert found.logps[:, 0].tolist() == wanted["row"].tolist()
            assert found.entropies[:, 0].tolist() == [10 * row for row in wanted["row"].tolist()]


def test_prompts_are_padded_on_the_left_and_completions_on_the_right() -> None:
    given = given_micro_batches()
    widths = {"prompt_mask": 10, "completion_mask": 5, "row": 0}
    batch = Update(given, [[[0, 1], [2, 3]]], widths).dealt[0]
    assert batch["prompt_mask"].tolist() == [[0, *[1] * 9]] * 2
    assert batch["completion_mask"].tolist() == [[1, 1, 1, 0, 0]] * 2
    assert batch["row"].tolist() == [0, 1]


def test_rows_with_images_stay() -> None:
    rows: dict[str, Any] = {"completion_mask": torch.ones((4, 3)), "n": torch.tensor(4)}
    assert widths_of(rows) == {"completion_mask": 3}
    assert not widths_of(rows | {"pixel_values": torch.ones((9, 2))})
    assert not widths_of(rows | {"num_images": [1, 2, 1, 1]})
    given = [batch | {"num_images": [1, 1]} for batch in given_micro_batches()]
    assert updates_of(given, 2, packs=lambda: True) == []


DEALT = [[5, 0, 3], [1, 4, 2]]


@pytest.mark.long
def test_rows_go_to_another_process_and_their_values_return(tmp_path: Path) -> None:
    command = [sys.executable, __file__, str(tmp_path / "store")]
    running = [subprocess.Popen([*command, str(number)]) for number in range(2)]
    assert [process.wait(300) for process in running] == [0, 0]


def exchange_as_one_of_two(store: str, process: int) -> None:
    """Check which rows this process gets, and that they come back, in all types."""
    where = {"init_method": f"file://{store}", "world_size": 2, "rank": process}
    torch.distributed.init_process_group("gloo", **where)
    exchange = Exchange(DEALT, process)
    for dtype in (torch.int64, torch.float32, torch.bfloat16, torch.bool):
        own = torch.arange(3)[:, None] + 3 * process + torch.tensor([[0, 10]])
        own = own % 2 == 0 if dtype is torch.bool else own.to(dtype)
        wanted = torch.tensor(DEALT[process])[:, None] + torch.tensor([[0, 10]])
        wanted = wanted % 2 == 0 if dtype is torch.bool else wanted.to(dtype)
        got = exchange.there(own)
        assert torch.equal(got, wanted), (dtype, got)
        assert torch.equal(exchange.back(got), own)
        assert torch.equal(exchange.back(exchange.there(own[:, 0])), own[:, 0])
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    exchange_as_one_of_two(sys.argv[1], int(sys.argv[2]))
