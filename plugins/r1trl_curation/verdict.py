"""Filters by what a completion was found to be when it was sampled and scored."""

from collections import Counter
from typing import TYPE_CHECKING

from r1trl_curation.columns import Verdicts, only, problems, values, verdicts

if TYPE_CHECKING:
    from datasets import Dataset


def correct(rows: "Dataset", *, reward: str = "accuracy", least: float = 1.0) -> Verdicts:
    """Keep rows whose column `rewards/<reward>` is at least `least`.

    A row without a value (the reward did not apply, failed or timed out) goes: nobody has found it
    correct. Raises ValueError where the column is missing.
    """

    def reason(value: float | None) -> str | None:
        if value is None:
            return f"no value of {reward}"
        return None if value >= least else f"{reward} under {least:g}"

    return verdicts(rows, f"rewards/{reward}", reason)


def finished(rows: "Dataset") -> Verdicts:
    """Keep completions that ended by themselves rather than at the length limit."""
    return verdicts(rows, "finished", lambda value: None if value else "cut off at the limit")


def agreement(rows: "Dataset", *, reward: str = "accuracy", least: float = 0.5) -> Verdicts:
    """Keep completions with the answer that at least the share `least` of a prompt's have.

    The answers are those of the column `answer/<reward>`, which sampling leaves; no gold answer is
    needed (self-consistency, arXiv 2203.11171). Of equally common answers the first one counts.
    """
    answers = list(values(rows, f"answer/{reward}"))
    found: Verdicts = ["no answer"] * len(rows)
    for group in problems(rows).values():
        votes = Counter(answers[i] for i in group if answers[i] is not None)
        winner, count = votes.most_common(1)[0] if votes else (None, 0)
        for i in group:
            if answers[i] is not None:
                agreed = count / len(group) >= least
                other = None if answers[i] == winner else "not the commonest answer"
                found[i] = other if agreed else f"agreement under {least:g}"
    return found


def pass_rate(
    rows: "Dataset", *, reward: str = "accuracy", least: float = 0.0, most: float = 1.0
) -> Verdicts:
    """Keep prompts that a model solves in `least` to `most` of its completions.

    A completion solves the prompt where `rewards/<reward>` is at least 1; those without a value do
    not count, and a prompt without any value goes. `least: 0.1, most: 0.9` leaves what a model can
    learn from.
    """
    if not 0 <= least <= most <= 1:
        raise ValueError(f"least={least:g} and most={most:g} are not shares with least <= most")
    found: Verdicts = [None] * len(rows)
    for group, rate in rates(rows, reward):
        for i in group:
            found[i] = outside(rate, least, most, reward)
    return found


def outside(rate: float | None, least: float, most: float, reward: str) -> str | None:
    """Say why a pass rate is not in a band."""
    if rate is None:
        return f"no value of {reward}"
    if rate < least:
        return f"pass rate under {least:g}"
    return f"pass rate over {most:g}" if rate > most else None


def rates(rows: "Dataset", reward: str) -> list[tuple[list[int], float | None]]:
    """Return the rows of each prompt with the share of them that are right, in their order."""
    scores, found = list(values(rows, f"rewards/{reward}")), []
    for group in problems(rows).values():
        known = [scores[i] for i in group if scores[i] is not None]
        found.append((group, sum(value >= 1 for value in known) / len(known) if known else None))
    return found


def difficulty(
    rows: "Dataset",
    *,
    shares: list[float],
    edges: list[float] = [0.25, 0.75],  # noqa: B006 - shown to users, never changed
    reward: str = "accuracy",
) -> Verdicts:
    """Keep as many prompts as make a set of a wanted difficulty for the model that sampled them.

    Pass rates are sorted into buckets at `edges` (a rate equal to an edge is in the upper one);
    `shares` says, from the hardest bucket to the easiest, how much of the set each is to make up.
    Of a bucket the first prompts are kept. Prompts without a value go.
    """
    if len(shares) != len(edges) + 1 or min(shares, default=0) < 0 or sum(shares) <= 0:
        raise ValueError(f"shares must be {len(edges) + 1} numbers from 0, one more than edges")
    if sorted(edges) != list(edges):
        raise ValueError(f"edges must rise: {edges}")
    buckets: list[list[list[int]]] = [[] for _ in shares]
    for group, rate in rates(rows, reward):
        if rate is not None:
            buckets[sum(rate >= edge for edge in edges)].append(group)
    wanted = [share / sum(shares) for share in shares]
    sizes = [len(bucket) / share for bucket, share in zip(buckets, wanted, strict=True) if share]
    counts = [int(min(sizes) * share + 1e-9) for share in wanted]
    chosen = zip(buckets, counts, strict=True)
    kept = {i for bucket, count in chosen for group in bucket[:count] for i in group}
    return only(kept, len(rows), "more than its difficulty's share")
