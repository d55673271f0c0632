"""Numbers of prompt sensitivity, from how often each prompt gets each question right.

Everywhere `rates` is an array (prompts, questions) of shares from 0 to 1: of the samples that a
model drew for a question under a prompt, those that are right.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from r1trl import bootstrap_interval

Rates = NDArray[np.float64]
Predictions = Sequence[Sequence[Sequence[str]]]  # by prompt, question and sample
SUBSETS = 200  # of prompts
Z95 = 1.959964


def differences(rates: Rates) -> Rates:
    """Return |Y(p) - Y(q)| of every two prompts, (prompts, prompts): the mean over questions."""
    return np.abs(rates[:, None] - rates[None]).mean(axis=2)


def agreement(predictions: Predictions) -> Rates:
    """Return the share of pairs of predictions that agree, of every two prompts.

    The result is (prompts, prompts), the mean over questions; with several samples each of one
    prompt is compared with each of the other.
    """
    total, questions = 0.0, 0
    for by_prompt in zip(*predictions, strict=True):
        kinds = {said: i for i, said in enumerate({each for said in by_prompt for each in said})}
        shares = np.zeros((len(by_prompt), len(kinds)))
        for prompt, said in enumerate(by_prompt):
            for each in said:
                shares[prompt, kinds[each]] += 1 / len(said)
        total, questions = total + shares @ shares.T, questions + 1
    return np.asarray(total / questions)


def mean_of_pairs(matrix: Rates) -> float:
    """Return the mean over pairs of different prompts.

    Of `differences` it is the PromptSensiScore of ProSA (arXiv 2410.12405), 0 if no prompt matters:
    there Y is how well a question is answered under a prompt. Of `agreement` it is the consistency
    rate of SCORE (arXiv 2503.00137), which NeMo-Skills reports.
    """
    return float(matrix[np.triu_indices(len(matrix), 1)].mean())


def flip_rate(rates: Rates, reference: Rates) -> float:
    """Return how often a verdict is another one than under the reference prompt.

    The mean over prompts and questions of the chance that of two samples, one under each prompt,
    one is right and the other wrong. `reference` are the reference's rates, (questions,).
    """
    return float((rates * (1 - reference) + (1 - rates) * reference).mean())


def numbers_of(rates: Rates, agreed: Rates, names: Sequence[str]) -> dict[str, Any]:
    """Return the numbers of a set of prompts, of which the first is the reference.

    `agreed` is their `agreement`.

    `mean` over prompts; `best` and `worst` prompts, `spread`
    between them; `std`, the standard deviation over prompts (n - 1) of NeMo-Skills;
    `worst_per_question`, the mean over questions of the worst prompt of each; `pss`, `consistency`,
    `flips`. Raises ValueError if there is one prompt alone.
    """
    if len(rates) < 2:
        raise ValueError("there is one prompt alone, and sensitivity is a comparison")
    accuracies = rates.mean(axis=1)
    best, worst = int(accuracies.argmax()), int(accuracies.argmin())
    return {
        "mean": float(accuracies.mean()),
        "best": float(accuracies[best]),
        "best_prompt": names[best],
        "worst": float(accuracies[worst]),
        "worst_prompt": names[worst],
        "spread": float(accuracies[best] - accuracies[worst]),
        "std": float(accuracies.std(ddof=1)),
        "worst_per_question": float(rates.min(axis=0).mean()),
        "pss": mean_of_pairs(differences(rates)),
        "consistency": mean_of_pairs(agreed),
        "flips": flip_rate(rates[1:], rates[0]),
    }


def of_as_many(rates: Rates, agreed: Rates, names: Sequence[str], count: int) -> dict[str, float]:
    """Return the mean of each number over sets of `count` prompts, the reference in each.

    So they compare with the noise of `count` seeds: more prompts are further apart by chance alone.
    """
    rng, others = np.random.default_rng(0), np.arange(1, len(rates))
    every = count >= len(rates)
    sets = [others] if every else [rng.permutation(others)[: count - 1] for _ in range(SUBSETS)]
    found = []
    for chosen in sets:
        each = np.array([0, *chosen])
        named = [names[i] for i in each]
        found.append(numbers_of(rates[each], agreed[np.ix_(each, each)], named))
    kept = [name for name, value in found[0].items() if isinstance(value, float)]
    return {name: float(np.mean([numbers[name] for numbers in found])) for name in kept}


def noise_of_accuracy(seeds: Rates) -> float:
    """Return the standard deviation of a prompt's accuracy by sampling alone.

    `seeds` are the rates of one prompt under several seeds; of each question the variance over
    seeds is unbiased (n - 1), and the questions' samples are independent.
    """
    return float(np.sqrt(seeds.var(axis=0, ddof=1).sum()) / seeds.shape[1])


def effect_of(rates: Rates, reference: Rates, noise: float | None) -> dict[str, Any]:
    """Return the effect of a factor: the accuracy under its prompts less the reference's.

    With its 95 % interval by a paired bootstrap over questions, and, if the standard deviation
    `noise` of an accuracy is known, `noise`: how far the two would differ by sampling in 95 % of
    all cases, had the factor no effect on these questions. `outside`: the effect is larger, and 0
    is not in its interval: where every draw is right, a single question is no effect yet.
    """
    differences = rates.mean(axis=0) - reference
    low, high = bootstrap_interval(differences)
    effect = float(differences.mean())
    found: dict[str, Any] = {"effect": effect, "low": low, "high": high}
    if noise is not None:
        floor = Z95 * noise * float(np.sqrt(1 + 1 / len(rates)))
        found |= {"noise": floor, "outside": abs(effect) > floor + 1e-12 and not low <= 0 <= high}
    return found
