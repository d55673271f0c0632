"""What rollouts say of the model that made them: pass@1 and the paper's other measures."""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datasets import Dataset

Z95 = 1.959964


def sampled_metrics(rollouts: "Dataset") -> dict[str, float]:
    """Return the mean of every reward, of the length, and the share that did not finish."""
    metrics = {
        name: _mean(rollouts[name])
        for name in rollouts.column_names
        if name == "reward" or name.startswith("rewards/")
    }
    metrics["tokens"] = _mean(rollouts["completion_tokens"])
    metrics["tokens_spent"] = _spent(rollouts)
    metrics["truncated"] = 1 - _mean(rollouts["finished"])
    return {name: value for name, value in metrics.items() if not math.isnan(value)}


def benchmark_metrics(rollouts: "Dataset", measures: Mapping[str, str]) -> dict[str, float]:
    """Return a model's metrics on a benchmark, in the paper's terms.

    `measures` names, for each metric, the reward it is the mean of; `correct` is the one that is 1
    for a right answer, and whose column `answer/…`, if it has one, holds the votes of cons@k.
    pass@1 is the mean over all samples, with a 95 % interval over problems.
    """
    groups: dict[int, list[int]] = defaultdict(list)
    for i, problem in enumerate(rollouts["problem"]):
        groups[problem].append(i)
    right = [value == 1.0 for value in rollouts[f"rewards/{measures['correct']}"]]
    means = [sum(right[i] for i in group) / len(group) for group in groups.values()]
    mean, half = _mean(means), _half_width(means)
    metrics = {
        "pass@1": mean,
        "pass@1_low": max(0.0, mean - half),
        "pass@1_high": min(1.0, mean + half),
        "pass@k": _mean([any(right[i] for i in group) for group in groups.values()]),
        "tokens": _mean(rollouts["completion_tokens"]),
        "tokens_spent": _spent(rollouts),
        "truncated": 1 - _mean(rollouts["finished"]),
    }
    if f"answer/{measures['correct']}" in rollouts.column_names:
        votes = rollouts[f"answer/{measures['correct']}"][:]
        majorities = [_majority_right(group, votes, right) for group in groups.values()]
        metrics["cons@k"] = _mean(majorities)
    for metric, reward in measures.items():
        if metric != "correct":
            metrics[metric] = _mean(rollouts[f"rewards/{reward}"])
    return {name: value for name, value in metrics.items() if not math.isnan(value)}


def _majority_right(group: list[int], votes: list[str | None], right: list[bool]) -> bool:
    """Tell whether the commonest answer is right; of equally common ones the first counts."""
    cast = [votes[i] for i in group if votes[i] is not None]
    if not cast:
        return False
    winner = Counter(cast).most_common(1)[0][0]
    return any(right[i] for i in group if votes[i] == winner)


def _spent(rollouts: "Dataset") -> float:
    """Return the tokens drawn for a completion where more were drawn than it has."""
    spent, kept = rollouts["tokens_spent"][:], rollouts["completion_tokens"][:]
    return _mean(spent) if spent != kept else math.nan


def _mean(values: Any) -> float:
    known = [float(value) for value in values if value is not None]
    return sum(known) / len(known) if known else math.nan


def _half_width(means: list[float]) -> float:
    """Return half of the 95 % interval of a mean over problems (normal approximation)."""
    if len(means) < 2:
        return 0.0
    centre = sum(means) / len(means)
    variance = sum((m - centre) ** 2 for m in means) / (len(means) - 1)
    return Z95 * math.sqrt(variance / len(means))
