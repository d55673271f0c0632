"""Filters by the scores, answers and pass rates that sampling wrote into the rows."""

from collections import Counter
from typing import TYPE_CHECKING

from r1trl_curation.columns import DropReasons, drop_reasons, keep_only, rows_by_prompt, values

if TYPE_CHECKING:
    from datasets import Dataset


def correct(rows: "Dataset", *, reward: str = "accuracy", min_value: float = 1.0) -> DropReasons:
    """Keep rows whose column `rewards/<reward>` is at least `min_value`.

    A row without a value (the reward did not apply, failed or timed out) is dropped. Raises
    ValueError if the column is missing.
    """

    def reason(value: float | None) -> str | None:
        if value is None:
            return f"no value of {reward}"
        return None if value >= min_value else f"{reward} under {min_value:g}"

    return drop_reasons(rows, f"rewards/{reward}", reason)


def finished(rows: "Dataset") -> DropReasons:
    """Keep completions that ended by themselves rather than at the length limit."""
    return drop_reasons(rows, "finished", lambda value: None if value else "cut off at the limit")


def majority_answer(
    rows: "Dataset", *, reward: str = "accuracy", min_share: float = 0.5
) -> DropReasons:
    """Keep a prompt's completions with the commonest answer, if the share `min_share` has it.

    The share is of all completions of the prompt. The answers are those in the column
    `answer/<reward>`, which sampling writes; no gold answer is needed (self-consistency, arXiv
    2203.11171). Of equally common answers the first one counts.
    """
    answers = list(values(rows, f"answer/{reward}"))
    reasons: DropReasons = ["no answer"] * len(rows)
    for group in rows_by_prompt(rows).values():
        votes = Counter(answers[i] for i in group if answers[i] is not None)
        winner, count = votes.most_common(1)[0] if votes else (None, 0)
        for i in group:
            if answers[i] is not None:
                agreed = count / len(group) >= min_share
                minority = None if answers[i] == winner else "not the commonest answer"
                reasons[i] = minority if agreed else f"agreement under {min_share:g}"
    return reasons


def pass_rate(
    rows: "Dataset", *, reward: str = "accuracy", min_rate: float = 0.0, max_rate: float = 1.0
) -> DropReasons:
    """Keep prompts with a pass rate from `min_rate` to `max_rate`.

    The pass rate is the share of a prompt's completions for which `rewards/<reward>` is at least 1;
    completions without a value do not count, and a prompt without any value is dropped.
    `min_rate: 0.1, max_rate: 0.9` leaves the prompts that a model can learn from.
    """
    if not 0 <= min_rate <= max_rate <= 1:
        raise ValueError(
            f"min_rate={min_rate:g} and max_rate={max_rate:g} are not shares with "
            "min_rate <= max_rate"
        )
    reasons: DropReasons = [None] * len(rows)
    for group, rate in pass_rates(rows, reward):
        for i in group:
            reasons[i] = out_of_range(rate, min_rate, max_rate, reward)
    return reasons


def out_of_range(rate: float | None, min_rate: float, max_rate: float, reward: str) -> str | None:
    """Return why a pass rate is not from `min_rate` to `max_rate`, or None."""
    if rate is None:
        return f"no value of {reward}"
    if rate < min_rate:
        return f"pass rate under {min_rate:g}"
    return f"pass rate over {max_rate:g}" if rate > max_rate else None


def pass_rates(rows: "Dataset", reward: str) -> list[tuple[list[int], float | None]]:
    """Return the row indices and the pass rate of each prompt; None if no row has a value."""
    scores, rates = list(values(rows, f"rewards/{reward}")), []
    for group in rows_by_prompt(rows).values():
        scored = [scores[i] for i in group if scores[i] is not None]
        rates.append((group, sum(value >= 1 for value in scored) / len(scored) if scored else None))
    return rates


def difficulty(
    rows: "Dataset",
    *,
    shares: list[float],
    edges: list[float] = [0.25, 0.75],  # noqa: B006 - shown to users, never changed
    reward: str = "accuracy",
) -> DropReasons:
    """Keep prompts in given shares of difficulty for the model that they were sampled from.

    Pass rates are sorted into buckets at `edges` (a rate equal to an edge is in the upper one);
    `shares` are the buckets' shares of the kept prompts, from the hardest bucket to the easiest.
    As many prompts as possible are kept, the first ones of each bucket. Prompts without a value are
    dropped.
    """
    if len(shares) != len(edges) + 1 or min(shares, default=0) < 0 or sum(shares) <= 0:
        raise ValueError(f"shares must be {len(edges) + 1} numbers from 0, one more than edges")
    if sorted(edges) != list(edges):
        raise ValueError(f"edges must rise: {edges}")
    buckets: list[list[list[int]]] = [[] for _ in shares]
    for group, rate in pass_rates(rows, reward):
        if rate is not None:
            buckets[sum(rate >= edge for edge in edges)].append(group)
    wanted = [share / sum(shares) for share in shares]
    sizes = [len(bucket) / share for bucket, share in zip(buckets, wanted, strict=True) if share]
    counts = [int(min(sizes) * share + 1e-9) for share in wanted]
    chosen = zip(buckets, counts, strict=True)
    kept = {i for bucket, count in chosen for group in bucket[:count] for i in group}
    return keep_only(kept, len(rows), "more than its difficulty's share")
