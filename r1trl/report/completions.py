"""The completions of a stage, from its rollouts or its log, packed for the page of its run."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from r1trl.chat.thinking import END, THINK
from r1trl.process.terminal import short
from r1trl.process.texts import printable, whole
from r1trl.report.choice import chains, choose, mixed, strata

LONGEST = 20_000  # characters of a text
ROOM = 2_000  # characters of a completion and what belongs to it, on average, at most
BATCH = 2_048  # rows of texts in memory
PIECES, PIECE = 64, 1 << 20  # bytes of a long log that are read, from its beginning to its end
SPENT = "tokens_spent"
REWARD, OUTCOME = "rewards/", "outcome/"
NAMES = ("model", "benchmark", "variant")  # columns with a few names
NUMBERS = ("step", "problem", "reward", "completion_tokens", "finished", "right")
TEXTS = ("prompt", "completion", "solution")
Columns = dict[str, list[Any]]


def completions_of(folder: Path, right: str | None, bound: int) -> dict[str, Any] | None:
    """Return at most `bound` completions of a stage's folder, by column; None if it has none.

    `right` names the reward of a right answer; the column `right` is true, false, or null without
    a verdict. `total` is how many were read, `left_out` how many of each model, benchmark, outcome
    and verdict of them are not here, `tokens` what was generated for them; `partly` is true if the
    file was too long to be read whole. Long texts lack their middle.
    """
    rollouts, logged = folder / "rollouts.parquet", folder / "completions.jsonl"
    partly = False
    if rollouts.exists():
        columns = _columns_of_parquet(rollouts)
    elif logged.exists():
        columns, partly = _columns_of_log(logged)
    else:
        return None
    total = max(map(len, columns.values()), default=0)
    verdicts = columns.get(f"{REWARD}{right}", [None] * total)
    columns["right"] = [None if value is None else value >= 1 for value in verdicts]
    order = mixed(columns)
    kinds = strata(columns, [v for name, v in columns.items() if name.startswith(OUTCOME)])
    chosen = choose(kinds, chains(columns, order), order, bound)
    texts = _texts_of_parquet(rollouts, chosen) if rollouts.exists() else _texts(columns, chosen)
    kept = chosen[: _number_that_fits(texts, bound * ROOM)]
    left = Counter(kinds)
    left.subtract(kinds[i] for i in kept)
    return {
        "total": total,
        "partly": partly,
        "tokens": sum(columns.get(SPENT, ())),
        "left_out": [[*kind, number] for kind, number in sorted(left.items()) if number],
        "tags": [THINK, END],
        **_packed(
            {name: [values[i] for i in kept] for name, values in columns.items()},
            {name: values[: len(kept)] for name, values in texts.items()},
        ),
    }


def _columns_of_parquet(file: Path) -> Columns:
    """Return the columns of a file of rollouts that choose and describe rows, without texts."""
    from pyarrow.parquet import read_schema, read_table

    wanted = (*NAMES, *NUMBERS, SPENT)
    names = [n for n in read_schema(file).names if n in wanted or n.startswith((REWARD, OUTCOME))]
    return dict(read_table(file, columns=names).to_pydict())


def _texts_of_parquet(file: Path, chosen: Sequence[int]) -> Columns:
    """Return the texts of some rows of a file of rollouts, which is not read as a whole."""
    from pyarrow.parquet import ParquetFile

    with ParquetFile(file) as parquet:
        names = [name for name in TEXTS if name in parquet.schema_arrow.names]
        texts, start, left = defaultdict[str, list[Any]](list), 0, list(chosen)
        for batch in parquet.iter_batches(BATCH, columns=names):
            here = [i - start for i in left if i < start + len(batch)]
            left, start = left[len(here) :], start + len(batch)
            for name in names if here else ():
                texts[name] += map(_shown, batch.column(name).take(here).to_pylist())
    return dict(texts)


def _columns_of_log(file: Path) -> tuple[Columns, bool]:
    """Return the columns of logged completions, and whether those are of pieces of the file."""
    size = file.stat().st_size
    whole_file = size <= PIECES * PIECE
    starts = [0] if whole_file else [size * k // PIECES for k in range(PIECES)]
    lines = list[bytes]()
    with file.open("rb") as stream:
        for start in starts:
            stream.seek(start)
            piece = stream.read(size if whole_file else PIECE).split(b"\n")
            lines += piece[1 if start else 0 : -1]  # no half lines
    rows = [row for line in lines if (row := _row(line)) is not None]
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}, not whole_file


def _row(line: bytes) -> dict[str, Any] | None:
    """Return the object of a line; None if it is damaged, which `metrics.jsonl` tells too."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def _texts(columns: Columns, chosen: Sequence[int]) -> Columns:
    return {name: [_shown(columns[name][i]) for i in chosen] for name in TEXTS if name in columns}


def _shown(value: Any) -> str:
    """Return a text as a page shows it; of messages each with its role."""
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(each, Mapping) for each in value):
        value = "\n\n".join(f"{each.get('role')}: {each.get('content')}" for each in value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return printable(whole(short(text, LONGEST)))


def _number_that_fits(texts: Columns, room: int) -> int:
    """Return how many rows fit in so many characters; a prompt counts once."""
    prompts, count = set[str](), 0
    for row in zip(*(texts[name] for name in TEXTS if name in texts), strict=True):
        room -= sum(map(len, row[1:])) + (0 if row[0] in prompts else len(row[0]))
        if room < 0:
            break
        prompts.add(row[0])
        count += 1
    return count


def _packed(columns: Columns, texts: Columns) -> dict[str, Any]:
    """Return columns with a number in place of each prompt and name; `names` has the texts."""
    named = {name: columns[name] for name in NAMES if name in columns}
    named |= {"prompt": texts.pop("prompt")} if "prompt" in texts else {}
    lists = {name: list(dict.fromkeys(values)) for name, values in named.items()}
    numbers = {name: {each: i for i, each in enumerate(values)} for name, values in lists.items()}
    coded = {name: [numbers[name][each] for each in values] for name, values in named.items()}
    plain = {name: _rounded(columns[name]) for name in NUMBERS if name in columns}
    return {
        "names": lists,
        "columns": {**plain, **coded, **texts},
        "rewards": dict(_of(columns, REWARD)),
        "outcomes": dict(_of(columns, OUTCOME)),
    }


def _of(columns: Columns, prefix: str) -> Iterator[tuple[str, list[Any]]]:
    """Yield the columns with a prefix, by the name after it."""
    for name, values in columns.items():
        if name.startswith(prefix):
            yield name.removeprefix(prefix), _rounded(values)


def _rounded(values: Sequence[Any]) -> list[Any]:
    """Return values with numbers of five digits; null in place of one that JSON lacks."""
    return [_number(value) if isinstance(value, float) else value for value in values]


def _number(value: float) -> float | None:
    return float(f"{value:.5g}") if abs(value) < float("inf") else None
