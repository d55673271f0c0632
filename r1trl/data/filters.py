"""Filters applied to rows, in their order, with a record of what each did and why rows went.

A filter returns the rows it keeps, or, better, one entry per row: None where the row stays, a short
text where it goes. Those reasons are counted for filters.json.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from r1trl.errors import StageError, errors_named
from r1trl.plugins.loading import Plugins
from r1trl.plugins.offer import Offer
from r1trl.types import Benchmarks

if TYPE_CHECKING:
    from datasets import Dataset

MOST_REASONS = 100


def apply_filters(
    rows: "Dataset", filters: Mapping[str, Any], plugins: Plugins, where: str
) -> tuple["Dataset", list[dict[str, Any]]]:
    """Apply filters in their order; return what is left and what each filter did.

    Raises StageError where a filter fails or no row is left.
    """
    counts: list[dict[str, Any]] = []
    for name, options in filters.items():
        if options is None:
            continue
        before, offer = len(rows), plugins.find("filter", name)
        with errors_named(f"{where}.{name}"):
            answer = offer.bind({**options, **_benchmark_rows(offer, options, plugins)})(rows)
            rows, reasons = kept(rows, answer)
        count: dict[str, Any] = {"filter": name, "in": before, "out": len(rows)}
        counts.append(count | ({"reasons": _most(reasons)} if reasons else {}))
        if not len(rows):
            story = ", ".join(f"{c['filter']} kept {c['out']} of {c['in']}" for c in counts)
            raise StageError(f"{where}: no row is left: {story}")
    return rows, counts


def kept(rows: "Dataset", answer: Any) -> tuple["Dataset", Counter[str]]:
    """Return the rows that a filter keeps, and how often it gave each reason for the others."""
    from datasets import Dataset

    if isinstance(answer, Dataset):
        return answer, Counter()
    if not isinstance(answer, Sequence) or len(answer) != len(rows):
        size = f" of {len(answer)} entries" if isinstance(answer, Sequence) else ""
        raise TypeError(
            f"returned a {type(answer).__name__}{size} for {len(rows)} rows; "
            "a filter returns a Dataset, or one entry per row: None, or why it goes"
        )
    reasons = Counter(reason for reason in answer if reason is not None)
    return rows.select([i for i, reason in enumerate(answer) if reason is None]), reasons


def _most(reasons: Counter[str]) -> dict[str, int]:
    """Return the most frequent reasons, and how many rows went for others."""
    most = dict(reasons.most_common(MOST_REASONS))
    others = reasons.total() - sum(most.values())
    return most | ({"other reasons": others} if others else {})


def _benchmark_rows(offer: Offer, options: Mapping[str, Any], plugins: Plugins) -> dict[str, Any]:
    """Load the rows of the benchmarks that stage.yaml names in a filter's options."""
    from r1trl.data.sources import load_source

    return {
        option: {
            name: load_source(source, plugins, 0, f"benchmarks.{name}")
            for name, source in options[option].items()
        }
        for option in offer.options_of(Benchmarks)
        if options.get(option)
    }
