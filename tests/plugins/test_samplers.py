"""Samplers that learn from groups, that order prompts, and that refuse groups."""

import json
from collections import Counter
from typing import Any

import pytest
from datasets import Dataset
from r1trl_sampling.adaptive import Adaptive
from r1trl_sampling.curriculum import Curriculum
from r1trl_sampling.gates import Dynamic, RewardRange
from r1trl_sampling.phases import Phases
from r1trl_sampling.uniform import Uniform

from r1trl import Group
from r1trl.plugins.loading import load

ROWS = Dataset.from_dict({"difficulty": [5.0, 1.0, 4.0, 2.0, 3.0], "prompt": list("abcde")})
NONE = Dataset.from_dict({"difficulty": [], "prompt": []})


def group(index: int, *values: float | None) -> Group:
    """Return a group whose only reward is accuracy."""
    return Group(index, list(values), {"accuracy": list(values)}, [3] * len(values))


def counts(sampler: Any, count: int = 1, steps: int = 400) -> Counter[int]:
    """Count how often each row is chosen."""
    return Counter(i for step in range(steps) for i in sampler.choose(ROWS, count, step, 1))


def test_adaptive_samples_uncertain_prompts_more_often() -> None:
    sampler = Adaptive(retire_at=2.0)
    sampler.observe([group(0, 1, 1, 1, 1), group(1, 0, 0, 0, 0), group(2, 1, 0, 1, 0)])
    chosen = counts(sampler)
    assert chosen[2] > 3 * chosen[0] and chosen[2] > 3 * chosen[1]
    assert chosen[0] and chosen[1], "solved and hopeless prompts come too"
    assert chosen[3] == pytest.approx(chosen[2], rel=0.4), "unvisited prompts count as uncertain"


def test_adaptive_retires_prompts_solved_on_two_visits() -> None:
    sampler = Adaptive()
    sampler.observe([group(0, 1, 1)])
    assert counts(sampler)[0]
    sampler.observe([group(0, 1, 1), group(1, 1, None)])
    assert not counts(sampler)[0] and counts(sampler)[1]
    sampler.observe([group(i, 1, 1) for i in range(5)] * 2)
    assert set(counts(sampler)) == set(range(5)), "all are retired: all come again"


def test_adaptive_chooses_no_row_twice_while_there_are_others() -> None:
    sampler = Adaptive()
    assert sorted(sampler.choose(ROWS, 5, 0, 1)) == [0, 1, 2, 3, 4]
    assert len(sampler.choose(ROWS, 12, 0, 1)) == 12


def test_adaptive_forgets_slowly() -> None:
    sampler = Adaptive(ema_decay=0.5)
    sampler.observe([group(0, 0, 0)])
    sampler.observe([group(0, 1, 1)])
    assert sampler.state_dict() == {"seen": [[0, 2, 0.5]]}


def test_adaptive_chooses_the_same_with_the_state_it_had() -> None:
    sampler, restored = Adaptive(), Adaptive()
    sampler.observe([group(0, 1, 0), group(3, 0, 0)])
    before = sampler.state_dict()
    sampler.choose(ROWS, 3, 7, 1)
    assert sampler.state_dict() == before, "choose changes nothing"
    restored.load_state_dict(json.loads(json.dumps(before)))
    assert [restored.choose(ROWS, 3, s, 1) for s in range(9)] == [
        sampler.choose(ROWS, 3, s, 1) for s in range(9)
    ]


def test_adaptive_uses_the_reward_of_its_option() -> None:
    sampler = Adaptive(reward="form")
    with pytest.raises(ValueError, match="no reward of the stage is called 'form'"):
        sampler.observe([group(0, 1.0)])
    total = Adaptive(reward=None)
    total.observe([group(0, 2.0, 0.5)])
    assert total.state_dict() == {"seen": [[0, 1, 0.5]]}


def test_curriculum_begins_with_the_easy_and_ends_with_all() -> None:
    sampler = Curriculum(steps=100, start_fraction=0.4)
    assert {i for s in range(20) for i in sampler.choose(ROWS, 2, 0, s)} == {1, 3}
    assert {i for s in range(40) for i in sampler.choose(ROWS, 2, 50, s)} == {1, 3, 4, 2}
    assert {i for s in range(60) for i in sampler.choose(ROWS, 2, 100, s)} == set(range(5))


def test_curriculum_needs_numbers_in_its_column() -> None:
    with pytest.raises(ValueError, match="the rows have no column 'level'; there are: difficulty"):
        Curriculum(steps=5, by="level").choose(ROWS, 1, 0, 1)
    with pytest.raises(ValueError, match="'prompt' must hold a number for every row"):
        Curriculum(steps=5, by="prompt").choose(ROWS, 1, 0, 1)


METHODS = ("choose", "generate", "admit")
OFFERED = {name: offer.target for name, offer in load().offers["sampler"].items()}
# Samplers that choose, with a column they need; those that generate are in test_search.py.
CHOOSERS: dict[str, tuple[Any, str | None]] = {
    "adaptive": (Adaptive, None),
    "curriculum": (lambda: Curriculum(steps=3, by="difficulty"), "difficulty"),
    "phases": (lambda: Phases(start_steps={}, by="prompt"), "prompt"),
    "uniform": (Uniform, None),
}
GATES: dict[str, Any] = {"dynamic": Dynamic, "reward_range": lambda: RewardRange(min_mean=0.5)}


def samplers_with(method: str) -> list[str]:
    """Return the names of the samplers of any plugin that have a method."""
    return sorted(name for name, class_ in OFFERED.items() if hasattr(class_, method))


def test_every_sampler_that_chooses_or_admits_is_tested_here() -> None:
    assert samplers_with("choose") == sorted(CHOOSERS)
    assert samplers_with("admit") == sorted(GATES)
    assert sorted(OFFERED) == sorted({name for method in METHODS for name in samplers_with(method)})


@pytest.mark.parametrize("name", samplers_with("choose"))
def test_no_rows_are_an_error_and_one_row_is_enough(name: str) -> None:
    sampler = CHOOSERS[name][0]()
    with pytest.raises(ValueError, match=r"there are no rows|no row of any 'prompt' has begun"):
        sampler.choose(NONE, 2, 0, 1)
    assert sampler.choose(ROWS.select([1]), 3, 0, 1) == [0, 0, 0]


@pytest.mark.parametrize("name", samplers_with("choose"))
def test_a_sampler_names_the_column_it_needs(name: str) -> None:
    make, column = CHOOSERS[name]
    rows = Dataset.from_dict({"other": ["x"]})
    if column is None:
        assert make().choose(rows, 1, 0, 1) == [0]
        return
    with pytest.raises(ValueError, match=f"the rows have no column '{column}'; there are: other"):
        make().choose(rows, 1, 0, 1)


@pytest.mark.parametrize("name", samplers_with("admit"))
def test_a_gate_refuses_a_group_without_completions_or_values(name: str) -> None:
    gate = GATES[name]()
    assert gate.admit(group(0)) is gate.admit(group(0, None)) is False
    assert gate.admit(group(0, 1.0)) is (name == "reward_range"), "one alone has no signal"


def test_a_gate_names_the_reward_that_the_stage_lacks() -> None:
    with pytest.raises(ValueError, match="no reward of the stage is called 'form'; there are: acc"):
        RewardRange(min_mean=0.5, reward="form").admit(group(0, 1.0))


@pytest.mark.parametrize(
    ("rewards", "admitted"),
    [
        ((1.0, 0.0), True),
        ((1.0, 1.0), False),
        ((0.0, 0.0, 0.0), False),
        ((0.5, 0.5 + 1e-9), False),
        ((None, 1.0, 0.0), True),
        ((None, 1.0), False),
        ((None, None), False),
    ],
)
def test_dynamic_refuses_groups_without_signal(
    rewards: tuple[float | None, ...], admitted: bool
) -> None:
    assert Dynamic().admit(group(0, *rewards)) is admitted


def test_reward_range_uses_the_mean() -> None:
    gate = RewardRange(min_mean=0.25, max_mean=0.75, reward="accuracy")
    groups = ((0, 0), (0, 1), (1, 1), (None, 0.5), (None, None))
    assert [gate.admit(group(0, *values)) for values in groups] == [False, True, False, True, False]
    with pytest.raises(ValueError, match="needs a bound"):
        RewardRange()


@pytest.mark.parametrize(
    ("make", "option"),
    [
        (lambda: Dynamic(rounds=-1), "rounds"),
        (lambda: Adaptive(ema_decay=1.0), "ema_decay"),
        (lambda: Adaptive(floor=0.0), "floor"),
        (lambda: Curriculum(steps=0), "steps"),
    ],
)
def test_impossible_options_are_refused(make: Any, option: str) -> None:
    with pytest.raises(ValueError, match=option):
        make()
