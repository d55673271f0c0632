"""Filters applied to rows, in their order, with a record of what each dropped and why.

A filter returns the rows that it keeps, or, better, one entry per row: None if the row stays, else
a short reason. The reasons are counted for filters.json, which has some of the dropped rows too.
"""

import itertools
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from r1trl.config.parse import parse
from r1trl.config.schema import SourceConfig
from r1trl.data.sources import load_source
from r1trl.errors import StageError, errors_named
from r1trl.plugins.loading import Plugins
from r1trl.plugins.offer import Offer
from r1trl.process.environment import hide
from r1trl.process.pulse import count, count_no_more
from r1trl.process.terminal import short
from r1trl.types import Benchmarks

if TYPE_CHECKING:
    from datasets import Dataset

MAX_REASONS = 100
SHOWN_REASONS, SHOWN_ROWS, SHOWN_TEXT = 3, 3, 500  # of dropped rows: rows a reason, characters
OnEmpty = Callable[[str], None]


def apply_filters(
    rows: "Dataset",
    filters: Mapping[str, Any],
    plugins: Plugins,
    key: str,
    on_empty: OnEmpty | None = None,
) -> tuple["Dataset", list[dict[str, Any]]]:
    """Return the rows that pass all filters, and a record of each filter; `key` is the filters'.

    Raises StageError if a filter fails or no row is left; with `on_empty` that is called with the
    sentence instead, and the rows from before the filters are returned.
    """
    unfiltered, counts = rows, list[dict[str, Any]]()
    chosen = {name: options for name, options in filters.items() if options is not None}
    for number, (name, options) in enumerate(chosen.items()):
        count("filters", number, len(chosen))
        before, offer = len(rows), plugins.find("filter", name)
        with errors_named(f"{key}.{name}"):
            verdicts = offer.bind({**options, **_benchmark_rows(offer, options, plugins)})(rows)
            (rows, reasons), earlier = keep(rows, verdicts), rows
        record: dict[str, Any] = {"filter": name, "in": before, "out": len(rows)}
        if reasons:
            shown = [reason for reason, _ in reasons.most_common(SHOWN_REASONS)]
            record |= {"reasons": _frequent(reasons), "dropped": _dropped(earlier, verdicts, shown)}
        counts.append(record)
        if not len(rows):
            history = ", ".join(f"{c['filter']} kept {c['out']} of {c['in']}" for c in counts)
            if on_empty is None:
                raise StageError(f"{key}: no row is left: {history}")
            on_empty(f"{key}: no row is left: {history}")
            return unfiltered, counts
    count_no_more("filters")
    return rows, counts


def keep(rows: "Dataset", verdicts: Any) -> tuple["Dataset", Counter[str]]:
    """Return the rows that a filter keeps, and how often it gave each reason for the others.

    `verdicts` is what the filter returned. Raises TypeError if that is neither a Dataset nor one
    entry per row.
    """
    from datasets import Dataset

    if isinstance(verdicts, Dataset):
        return verdicts, Counter()
    if not isinstance(verdicts, Sequence) or len(verdicts) != len(rows):
        size = f" of {len(verdicts)} entries" if isinstance(verdicts, Sequence) else ""
        raise TypeError(
            f"returned a {type(verdicts).__name__}{size} for {len(rows)} rows; "
            "a filter returns a Dataset, or one entry per row: None, or why it goes"
        )
    wrong = next((v for v in verdicts if v is not None and not isinstance(v, str)), None)
    if wrong is not None:
        raise TypeError(
            f"returned {wrong!r} for a row; a filter returns None for each row that stays, and for "
            "the others why they go, as a text"
        )
    reasons = Counter(reason for reason in verdicts if reason is not None)
    return rows.select([i for i, reason in enumerate(verdicts) if reason is None]), reasons


def _frequent(reasons: Counter[str]) -> dict[str, int]:
    """Return the most frequent reasons, and how many rows went for other ones."""
    most = dict(reasons.most_common(MAX_REASONS))
    others = reasons.total() - sum(most.values())
    return most | ({"other reasons": others} if others else {})


def _dropped(rows: "Dataset", verdicts: Sequence[str | None], shown: list[str]) -> Any:
    """Return for each of some reasons the first rows that go for it: texts by column, shortened."""
    found = dict[str, list[dict[str, str]]]()
    for reason in shown:
        numbers = (i for i, verdict in enumerate(verdicts) if verdict == reason)
        found[reason] = [_texts(rows[i]) for i in itertools.islice(numbers, SHOWN_ROWS)]
    return found


def _texts(row: Mapping[str, Any]) -> dict[str, str]:
    known = {name: value for name, value in row.items() if value is not None}
    texts = {
        name: value
        if isinstance(value, str)
        else json.dumps(value, default=str, ensure_ascii=False)
        for name, value in known.items()
    }
    return {name: short(hide(text), SHOWN_TEXT) for name, text in texts.items()}


def _benchmark_rows(offer: Offer, options: Mapping[str, Any], plugins: Plugins) -> dict[str, Any]:
    """Load the rows of the benchmarks that stage.yaml has in a filter's options, as mappings."""
    return {
        option: {
            name: load_source(parse(SourceConfig, source)[0], plugins, 0, f"benchmarks.{name}")
            for name, source in options[option].items()
        }
        for option in offer.options_of_type(Benchmarks)
        if options.get(option)
    }
