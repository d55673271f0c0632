"""The transition `guard_effects`: what each guard gains and costs, beside the model without it."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from r1trl import StageResult, bootstrap_interval


@dataclass
class Cell:
    """The completions of a model on a benchmark: values by question and variant, and tokens."""

    values: dict[Any, dict[Any, list[float]]] = field(default_factory=dict)
    tokens: list[int] = field(default_factory=list)

    def by_question(self) -> dict[Any, float]:
        """Return the mean value of each question over all of its variants and samples."""
        return {
            question: float(np.mean([v for values in variants.values() for v in values]))
            for question, variants in self.values.items()
        }

    def spread(self) -> float | None:
        """Return the best variant's mean minus the worst's (FormatSpread); None for one variant."""
        values = defaultdict[Any, list[float]](list)
        for variants in self.values.values():
            for variant, own in variants.items():
                values[variant] += own
        means = [float(np.mean(own)) for own in values.values()]
        return max(means) - min(means) if len(means) > 1 else None


def guard_effects(
    result: StageResult, *, without: str = "plain", correct: str = "accuracy", seed: int = 0
) -> StageResult:
    """Add what each model of an evaluate stage gains over the model `without` a guard.

    The metrics of a model on a benchmark: `gain`, the difference of the means of the reward
    `correct`, with `gain_low` and `gain_high`, a 95 % interval by a bootstrap over questions, which
    are paired; `cost`, the ratio of the tokens spent; `spread`, of the means over the variants that
    the rows name in a column `variant`. A guard whose interval reaches 0 has shown no gain, and the
    log says so. Raises ValueError if the stage has no rollouts, no such model or no such reward.
    """
    cells = cells_of(result, correct)
    models = {model for model, _ in cells}
    if without not in models:
        names = ", ".join(sorted(models))
        raise ValueError(f"without: no model of the stage is called '{without}'; there are {names}")
    metrics: dict[str, float] = {}
    for (model, benchmark), cell in cells.items():
        spread = cell.spread()
        found = {} if spread is None else {"spread": spread}
        plain = cells[without, benchmark]
        if model != without:
            found |= (gained := effect(cell, plain, seed))
            print(f"{model} on {benchmark}: {in_words(gained)}", flush=True)
        at = f"{model}/{benchmark}"
        metrics |= {f"{at}/{name}": value for name, value in found.items()}
    return replace(result, metrics={**result.metrics, **metrics})


def cells_of(result: StageResult, correct: str) -> dict[tuple[str, str], Cell]:
    """Return the completions of a stage by model and benchmark."""
    from datasets import Dataset

    if result.dataset is None:
        raise ValueError(f"stage '{result.stage}' has no rollouts to compare")
    rows = Dataset.from_parquet(str(result.dataset))
    names = set(rows.column_names)
    for needed in ("model", "benchmark", f"rewards/{correct}"):
        if needed not in names:
            raise ValueError(f"the rollouts have no column '{needed}': {', '.join(sorted(names))}")
    cells: dict[tuple[str, str], Cell] = {}
    for row in rows:
        cell = cells.setdefault((row["model"], row["benchmark"]), Cell())
        cell.tokens.append(row["tokens_spent"])
        value = row[f"rewards/{correct}"]
        if value is not None:
            question = row.get("question") or row["problem"]
            variants = cell.values.setdefault(question, {})
            variants.setdefault(row.get("variant"), []).append(value)
    return cells


def effect(cell: Cell, plain: Cell, seed: int) -> dict[str, float]:
    """Return a guard's gain with its interval, and its cost; nothing that cannot be compared."""
    mine, theirs = cell.by_question(), plain.by_question()
    gains = np.array([mine[q] - theirs[q] for q in mine if q in theirs])
    if not len(gains):
        return {}
    low, high = bootstrap_interval(gains, seed)
    spent = float(np.mean(plain.tokens))
    cost = {"cost": float(np.mean(cell.tokens)) / spent} if spent else {}
    return {"gain": float(gains.mean()), "gain_low": low, "gain_high": high, **cost}


def in_words(found: Mapping[str, float]) -> str:
    """Return a sentence on a guard, in points of 100."""
    if not found:
        return "no question has a verdict with it and without it: nothing to compare"
    gain, low, high = (100 * found[name] for name in ("gain", "gain_low", "gain_high"))
    verdict = "it helps" if low > 0 else "it harms" if high < 0 else "no gain is shown"
    spent = f", for {found['cost']:.2f} × the tokens" if "cost" in found else ""
    return f"{gain:+.1f} points ({low:+.1f} to {high:+.1f}){spent}: {verdict}"
