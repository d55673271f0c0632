"""Rows dealt to the micro-batches of all processes, by their tokens."""

import heapq
from collections.abc import Sequence
from typing import NamedTuple

from r1trl.packing.packed import MIN_SHARED_FRACTION


class Row(NamedTuple):
    """A completion to pass: a number that equal prompts share, the prompt's tokens and its own."""

    prompt: int
    prompt_tokens: int
    tokens: int


Cell = list[int]  # the numbers of the rows of one micro-batch of one process


def deal(rows: Sequence[Row], processes: int, steps: int, packs: bool) -> list[list[Cell]]:
    """Return the micro-batches of each process, by process and step; all have equally many rows.

    At each step all processes have micro-batches of about the same size, the largest at the first
    step. Of three ways to cut the rows, that one is taken in which the sizes that the processes
    wait for, the largest of each step, have the smallest sum; of equals the one whose largest
    micro-batch, which memory must hold, is smallest. `packs` says if rows are passed without
    padding and share prompts. There are rows for `processes * steps` equal micro-batches.
    """
    size = len(rows) // (processes * steps)
    numbers = range(len(rows))
    by_prompt = sorted(numbers, key=lambda i: (rows[i].prompt, rows[i].tokens))
    by_length = sorted(numbers, key=lambda i: rows[i].tokens)
    ways = [_cut(by_prompt, size), _cut(by_length, size), _evenly(rows, size)]

    def passed(cell: Cell) -> int:
        return tokens_passed([rows[i] for i in cell], packs)

    def waited_for(cells: list[Cell]) -> tuple[int, int]:
        largest = [passed(cell) for cell in cells[::processes]]
        return sum(largest), largest[0]

    best = min((sorted(cells, key=passed, reverse=True) for cells in ways), key=waited_for)
    return [best[process::processes] for process in range(processes)]


def tokens_passed(rows: Sequence[Row], packs: bool) -> int:
    """Return how many tokens a pass of rows computes, padding included."""
    if not packs:
        widest = max(row.prompt_tokens for row in rows) + max(row.tokens for row in rows)
        return len(rows) * widest
    prompts = {row.prompt: row.prompt_tokens for row in rows}
    alone = sum(row.prompt_tokens + row.tokens for row in rows)
    saved = sum(row.prompt_tokens for row in rows) - sum(prompts.values())
    return alone - saved if saved > MIN_SHARED_FRACTION * alone else alone


def _cut(order: Sequence[int], size: int) -> list[Cell]:
    return [list(order[start : start + size]) for start in range(0, len(order), size)]


def _evenly(rows: Sequence[Row], size: int) -> list[Cell]:
    """Deal the longest row left to the micro-batch with the fewest tokens that is not full."""
    cells: list[Cell] = [[] for _ in range(len(rows) // size)]
    free = [(0, number) for number in range(len(cells))]
    tokens = [row.prompt_tokens + row.tokens for row in rows]
    for row in sorted(range(len(rows)), key=lambda i: -tokens[i]):
        load, number = heapq.heappop(free)
        cells[number].append(row)
        if len(cells[number]) < size:
            heapq.heappush(free, (load + tokens[row], number))
    return cells
