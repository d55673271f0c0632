"""Numbers of sensitivity against values worked out by hand, and planted effects in made-up rows."""

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from r1trl_variants.numbers import (
    agreement,
    differences,
    effect_of,
    flip_rate,
    mean_of_pairs,
    noise_of_accuracy,
    numbers_of,
    of_as_many,
)
from r1trl_variants.transition import sensitivity

from r1trl import bootstrap_interval
from r1trl.types import StageResult

# Three prompts on four questions.
RATES = np.array([[1.0, 0.0, 1.0, 0.5], [1.0, 1.0, 0.0, 0.5], [1.0, 0.0, 0.0, 0.0]])


def test_prompt_sensi_score_is_the_mean_difference_of_pairs() -> None:
    # Pairs of question 1: 0 0 0; 2: 1 0 1; 3: 1 1 0; 4: 0 .5 .5: means 0, 2/3, 2/3, 1/3.
    score = mean_of_pairs(differences(RATES))
    assert score == pytest.approx((0 + 2 / 3 + 2 / 3 + 1 / 3) / 4)
    assert mean_of_pairs(differences(RATES[[0, 0, 0]])) == 0


def test_consistency_rate_is_the_share_of_pairs_that_agree() -> None:
    # Question 1: a a b: one pair of three agrees; question 2: all three do.
    agreed = agreement([[["a"], ["c"]], [["a"], ["c"]], [["b"], ["c"]]])
    assert agreed.tolist() == [[1, 1, 0.5], [1, 1, 0.5], [0.5, 0.5, 1]]
    assert mean_of_pairs(agreed) == pytest.approx((1 / 3 + 1) / 2)
    # Two samples each: of the four pairs (a, b) × (a, a) two agree.
    assert mean_of_pairs(agreement([[["a", "b"]], [["a", "a"]]])) == 0.5


def test_flip_rate_is_the_chance_of_another_verdict_than_the_references() -> None:
    # Prompt 2: 0 1 1 .5; prompt 3: 0 0 1 .5 (0.5 against 0.5: half of the pairs differ).
    assert flip_rate(RATES[1:], RATES[0]) == pytest.approx((2.5 + 1.5) / 8)
    assert flip_rate(np.array([[1.0, 0.0]]), np.array([1.0, 0.0])) == 0


def test_numbers_of_prompts_are_these() -> None:
    agreed = agreement([[[str(rate)] for rate in row] for row in RATES])
    found = numbers_of(RATES, agreed, ["reference", "one", "two"])
    # Accuracies .625, .625, .25; mean .5; squared deviations 2 · .125² + .25² = .09375, over 2.
    assert found["mean"] == 0.5 and found["std"] == pytest.approx((0.09375 / 2) ** 0.5)
    assert (found["best"], found["best_prompt"]) == (0.625, "reference")
    assert (found["worst"], found["worst_prompt"]) == (0.25, "two")
    assert found["spread"] == 0.375 and found["worst_per_question"] == 0.25
    assert found["pss"] == mean_of_pairs(differences(RATES))
    assert found["flips"] == flip_rate(RATES[1:], RATES[0])
    with pytest.raises(ValueError, match="one prompt alone"):
        numbers_of(RATES[:1], agreed[:1, :1], ["reference"])


def test_numbers_of_as_many_prompts_are_means_over_sets_with_the_reference() -> None:
    agreed = agreement([[[str(rate)] for rate in row] for row in RATES])
    pairs = of_as_many(RATES, agreed, ["reference", "one", "two"], 2)
    # The two pairs with the reference have the spreads 0 and .375 and are drawn equally often.
    assert pairs["spread"] == pytest.approx(0.375 / 2, abs=0.03)
    whole = of_as_many(RATES, agreed, ["reference", "one", "two"], 3)
    assert whole["spread"] == 0.375


def test_the_interval_of_a_mean_is_as_wide_as_the_normal_one() -> None:
    values = np.array([0.0, 1.0] * 200)
    low, high = bootstrap_interval(values)
    half = 1.96 * 0.5 / 20
    assert low == pytest.approx(0.5 - half, abs=0.01) and high == pytest.approx(
        0.5 + half, abs=0.01
    )
    assert bootstrap_interval(np.ones(5)) == (1.0, 1.0)
    assert bootstrap_interval(values) == (low, high)


def test_the_noise_of_an_accuracy_is_the_root_of_summed_variances_over_questions() -> None:
    # Variances over two seeds (n - 1): 0, .5, .5, 0: sqrt(1) / 4.
    assert noise_of_accuracy(np.array([[1.0, 0, 1, 0], [1.0, 1, 0, 0]])) == 0.25


def test_an_effect_has_a_paired_interval_and_a_floor_of_two_accuracies() -> None:
    found = effect_of(RATES[1:], RATES[0], 0.1)
    # Means of prompts 2 and 3: 1 .5 0 .25, less the reference: 0 .5 -1 -.25.
    assert found["effect"] == pytest.approx(-0.75 / 4)
    assert found["noise"] == pytest.approx(1.959964 * 0.1 * 1.5**0.5)
    assert found["outside"] is False and found["low"] < found["effect"] < found["high"]
    same = effect_of(RATES[[0, 0]], RATES[0], 0.0)
    assert (same["effect"], same["low"], same["high"], same["outside"]) == (0, 0, 0, False)
    assert "outside" not in effect_of(RATES[1:], RATES[0], None)
    right, slip = np.ones(50), np.ones((1, 50))
    slip[0, 0] = 0.0  # one question of fifty, and no noise at all
    found = effect_of(slip, right, 0.0)
    assert found["effect"] == -0.02 and found["high"] == 0.0 and found["outside"] is False
    assert effect_of(np.zeros((1, 50)), right, 0.0)["outside"] is True


def rollouts(
    folder: Path, costs: Mapping[str, float], *, seeds: int = 3, questions: int = 128
) -> StageResult:
    """Return the result of an evaluation with made-up rollouts, four samples per question.

    A model gets each question right with a probability of its own, less what each variant costs.
    """
    rng, rows = random.Random(5), list[dict[str, Any]]()
    chances = [rng.uniform(0.3, 0.9) for _ in range(questions)]
    cells = {"reference": ("reference", 0.0)}
    cells |= {f"seed_{i}": ("seed", 0.0) for i in range(1, seeds + 1)}
    cells |= {name: (name.partition(".")[0], cost) for name, cost in costs.items()}
    for variant, (factor, cost) in cells.items():
        for problem, chance in enumerate(chances):
            for _ in range(4):
                right = rng.random() < chance - cost
                answer = "7" if right else rng.choice(["8", "9", None])
                rows.append(
                    {
                        "model": "zero",
                        "benchmark": "sums",
                        "variant": variant,
                        "factor": factor,
                        "problem": problem,
                        "completion": "<think>\n</think>7" if right else "<think>so</think>",
                        "completion_tokens": 3,
                        "finished": answer is not None,
                        "rewards/accuracy": float(right),
                        "answer/accuracy": answer,
                    }
                )
    path = folder / "rollouts.parquet"
    Dataset.from_list(rows).to_parquet(path)
    return StageResult("s", "evaluate", folder, None, path, {"old": 1.0})


def test_a_planted_nothing_is_inside_the_noise_and_20_points_are_outside(tmp_path: Path) -> None:
    costs = {"nothing": 0.0, "costly": 0.2, "many.a": 0.2, "many.b": 0.0}
    result = sensitivity(rollouts(tmp_path, costs))
    found = json.loads((tmp_path / "sensitivity.json").read_text())["zero"]["sums"]
    nothing, costly = found["factors"]["nothing"], found["factors"]["costly"]
    assert nothing["outside"] is False and abs(nothing["effect"]) < nothing["noise"] < 0.06
    assert costly["outside"] is True and costly["low"] < -0.2 < costly["high"] < 0
    many = found["factors"]["many"]
    assert many["outside"] is True and many["effect"] == pytest.approx(-0.1, abs=0.03)
    assert many["prompts"]["many.b"]["outside"] is False
    assert found["variants"]["worst_prompt"] in ("costly", "many.a")
    assert 2 * found["noise"]["spread"] < found["as_many"]["spread"]
    assert found["as_many"]["spread"] < found["variants"]["spread"]
    assert found["questions"] == 128 and found["left_out"] == 0
    assert result.metrics["old"] == 1.0
    assert result.metrics["zero/sums/variants/spread"] == found["variants"]["spread"]
    assert result.metrics["zero/sums/noise/pss"] == found["noise"]["pss"]


def test_prompts_of_no_effect_give_the_numbers_of_the_noise(tmp_path: Path) -> None:
    sensitivity(rollouts(tmp_path, {f"v{i}": 0.0 for i in range(12)}))
    found = json.loads((tmp_path / "sensitivity.json").read_text())["zero"]["sums"]
    for number in ("mean", "pss", "consistency", "flips", "worst_per_question"):
        assert found["as_many"][number] == pytest.approx(found["noise"][number], abs=0.03), number
    assert found["as_many"]["spread"] < 2.5 * found["noise"]["spread"]
    outside = [name for name, effect in found["factors"].items() if effect["outside"]]
    assert len(outside) <= 1  # of twelve at 95 %


def test_what_is_beside_accuracy_is_the_mean_over_samples(tmp_path: Path) -> None:
    sensitivity(rollouts(tmp_path, {"worse": 0.3}, questions=64))
    found = json.loads((tmp_path / "sensitivity.json").read_text())["zero"]["sums"]["prompts"]
    own = found["worse"]
    assert own["empty_thoughts"] == own["rewards/accuracy"] == pytest.approx(own["accuracy"])
    assert own["tokens"] == 3 and own["no_answer"] == own["truncated"] > 0.1
    assert own["accuracy"] < found["reference"]["accuracy"] - 0.2


def test_every_question_is_there_for_a_closer_look(tmp_path: Path) -> None:
    sensitivity(rollouts(tmp_path, {"other": 0.0}, questions=8))
    rows = Dataset.from_parquet(str(tmp_path / "sensitivity.parquet")).to_list()
    assert len(rows) == 8 * 5
    assert {len(row["predictions"]) for row in rows} == {4}
    assert rows[0]["rate"] == rows[0]["predictions"].count("right") / 4


def test_without_other_seeds_there_is_no_floor(tmp_path: Path) -> None:
    sensitivity(rollouts(tmp_path, {"other": 0.2}, seeds=0, questions=16))
    found = json.loads((tmp_path / "sensitivity.json").read_text())["zero"]["sums"]
    assert found["noise"] is None and found["as_many"] is None
    assert "outside" not in found["factors"]["other"]


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    result = rollouts(tmp_path, {"other": 0.0}, questions=4)
    with pytest.raises(ValueError, match="no prompt is called 'plain'; there are: reference, "):
        sensitivity(result, reference="plain")
    with pytest.raises(ValueError, match="no column 'rewards/code'; there are: model, "):
        sensitivity(result, correct="code")
