"""The metrics of rollouts: pass@1 and the paper's others, and the means of all rewards."""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from r1trl.errors import StageError
from r1trl.rewards.outcomes import is_right
from r1trl.rewards.texts import gold_hint

if TYPE_CHECKING:
    from datasets import Dataset

Z95 = 1.959964
ANSWER = "answer/"  # the columns with the answers that rewards have found
FAILURES = ("timeout", "error")  # which count as wrong under scoring.on_failure=zero


def sampled_metrics(rollouts: "Dataset") -> dict[str, float]:
    """Return the means of every reward and of the length in tokens, and the share cut off.

    Without a name whose values are all None.
    """
    metrics = {
        name: _mean(rollouts[name])
        for name in rollouts.column_names
        if name == "reward" or name.startswith("rewards/")
    }
    metrics["tokens"] = _mean(rollouts["completion_tokens"])
    metrics["tokens_spent"] = _spent(rollouts)
    metrics["truncated"] = 1 - _mean(rollouts["finished"])
    return {name: value for name, value in metrics.items() if not math.isnan(value)}


def benchmark_metrics(rollouts: "Dataset", names: Mapping[str, str]) -> dict[str, float]:
    """Return a model's metrics on a benchmark, in the paper's terms; shares are from 0 to 1.

    `names` maps each metric to the reward whose mean it is; `correct` is the reward that is 1
    for a right answer; its column `answer/…`, or that of a reward with the same values, as where
    `first_of` stands for another, holds the answers for cons@k. Without one there is no cons@k.
    pass@1 is the mean over all samples with a verdict, with a 95 % interval over problems. Problems
    on which the reward abstains on every sample, having no gold that can be compared, do not count:
    `abstained` is their share, and `no_verdict` the share of the others' samples that have none,
    as after a timeout, even if they count as wrong. Both are left out if 0. Raises StageError if no
    problem counts.
    """
    groups: dict[int, list[int]] = defaultdict(list)
    for i, problem in enumerate(rollouts["problem"]):
        groups[problem].append(i)
    values = rollouts[f"rewards/{names['correct']}"][:]
    scored = {p: [i for i in group if values[i] is not None] for p, group in groups.items()}
    outcomes = rollouts[f"outcome/{names['correct']}"][:]
    counted = {
        p: group for p, group in groups.items() if {outcomes[i] for i in group} != {"abstain"}
    }
    right = [is_right(value) for value in values]
    means = [_mean([right[i] for i in scored[p]]) for p in counted if scored[p]]
    if not means:
        raise StageError(_no_verdict_at_all(rollouts, names["correct"], len(groups)))
    mean, half = _mean(means), _half_width(means)
    samples = [i for group in counted.values() for i in group]
    metrics = {
        "pass@1": mean,
        "pass@1_low": max(0.0, mean - half),
        "pass@1_high": min(1.0, mean + half),
        "pass@k": _mean([any(right[i] for i in group) for group in counted.values()]),
        "tokens": _mean(rollouts["completion_tokens"]),
        "tokens_spent": _spent(rollouts),
        "truncated": 1 - _mean(rollouts["finished"]),
    }
    missing = {
        "abstained": 1 - len(counted) / len(groups),
        "no_verdict": _mean([values[i] is None or outcomes[i] in FAILURES for i in samples]),
    }
    metrics |= {name: share for name, share in missing.items() if share}
    answering = [n.removeprefix(ANSWER) for n in rollouts.column_names if n.startswith(ANSWER)]
    answering.sort(key=lambda name: name != names["correct"])
    if name := next((name for name in answering if rollouts[f"rewards/{name}"][:] == values), None):
        answers = rollouts[f"{ANSWER}{name}"][:]
        majorities = [_majority_right(group, answers, right) for group in counted.values()]
        metrics["cons@k"] = _mean(majorities)
    for metric, reward in names.items():
        if metric != "correct":
            metrics[metric] = _mean(rollouts[f"rewards/{reward}"])
    return {name: value for name, value in metrics.items() if not math.isnan(value)}


def _no_verdict_at_all(rollouts: "Dataset", reward: str, problems: int) -> str:
    gold = rollouts["solution"][0] if "solution" in rollouts.column_names else None
    such = f", such as the solution {str(gold)[-160:]!r}{gold_hint(gold)}" if gold else ""
    return f"reward '{reward}' has no verdict on any completion of the {problems} problems{such}"


def _majority_right(group: list[int], answers: list[str | None], right: list[bool | None]) -> bool:
    """Return True if the commonest answer is right; of equally common ones the first counts."""
    given = [answers[i] for i in group if answers[i] is not None]
    if not given:
        return False
    majority = Counter(given).most_common(1)[0][0]
    return any(right[i] for i in group if answers[i] == majority)


def _spent(rollouts: "Dataset") -> float:
    """Return the mean tokens generated for a completion; NaN if no more than it has."""
    spent, kept = rollouts["tokens_spent"][:], rollouts["completion_tokens"][:]
    return _mean(spent) if spent != kept else math.nan


def _mean(values: Any) -> float:
    present = [float(value) for value in values if value is not None]
    return sum(present) / len(present) if present else math.nan


def _half_width(means: list[float]) -> float:
    """Return half of the 95 % interval of a mean over problems (normal approximation)."""
    if len(means) < 2:
        return 0.0
    centre = sum(means) / len(means)
    variance = sum((m - centre) ** 2 for m in means) / (len(means) - 1)
    return Z95 * math.sqrt(variance / len(means))
