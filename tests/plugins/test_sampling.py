import subprocess
import sys
import time
from collections import Counter

import pytest
from datasets import Dataset
from r1trl_sampling.phases import Phases
from r1trl_sampling.uniform import Uniform

ROWS = Dataset.from_dict({"source": ["math", "general", "code", "general", "math"] * 20})


def sources(indices: list[int]) -> set[str]:
    return {ROWS[index]["source"] for index in indices}


def test_general_rows_are_sampled_from_their_step_on():
    phases = Phases(start_steps={"general": 1300})
    for step in (0, 1299):
        assert sources(phases.choose(ROWS, 60, step, seed=1)) == {"math", "code"}
    assert sources(phases.choose(ROWS, 60, 1300, seed=1)) == {"math", "code", "general"}


def test_a_source_is_sampled_in_proportion_to_its_rows():
    phases = Phases(start_steps={"general": 10})
    counts = Counter(
        ROWS[i]["source"] for s in range(10, 210) for i in phases.choose(ROWS, 5, s, 0)
    )
    assert counts["general"] / counts.total() == pytest.approx(0.4, abs=0.05)


def test_the_column_that_names_the_source_can_be_another():
    rows = Dataset.from_dict({"domain": ["a", "b"]})
    assert Phases(start_steps={"b": 1}, by="domain").choose(rows, 2, 0, seed=1) == [0, 0]


@pytest.mark.parametrize("sampler", [Phases(start_steps={"general": 5}), Uniform()])
def test_a_choice_depends_on_nothing_but_its_arguments(sampler):
    first = sampler.choose(ROWS, 10, 7, seed=3)
    sampler.choose(ROWS, 10, 8, seed=3)
    assert sampler.choose(ROWS, 10, 7, seed=3) == first
    assert sampler.choose(ROWS, 10, 8, seed=3) != first
    assert sampler.choose(ROWS, 10, 7, seed=4) != first


def test_a_choice_is_the_same_in_another_process():
    code = (
        "from r1trl_sampling import Phases; from datasets import Dataset; "
        "rows = Dataset.from_dict({'source': list('abcde') * 9}); "
        "print(Phases(start_steps={'b': 2}).choose(rows, 8, 3, 42))"
    )
    rows = Dataset.from_dict({"source": list("abcde") * 9})
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == str(Phases(start_steps={"b": 2}).choose(rows, 8, 3, 42))


@pytest.mark.parametrize("sampler", [Phases(start_steps={"general": 5}), Uniform()])
def test_no_row_comes_twice_while_there_are_others(sampler):
    assert sorted(sampler.choose(ROWS, 100, 5, seed=1)) == list(range(100))
    twice = Counter(sampler.choose(ROWS, 250, 5, seed=1))
    assert len(twice) == 100
    assert set(twice.values()) == {2, 3}


def test_other_rows_replace_the_sorted_ones():
    phases = Phases(start_steps={"b": 1})
    assert phases.choose(Dataset.from_dict({"source": ["a", "b"]}), 1, 0, seed=1) == [0]
    assert phases.choose(Dataset.from_dict({"source": ["b", "a"]}), 1, 0, seed=1) == [1]


def test_errors_name_the_available_values():
    with pytest.raises(ValueError, match=r"\['genera'\], but column 'source' has: code, general"):
        Phases(start_steps={"genera": 1}).choose(ROWS, 1, 0, seed=1)
    with pytest.raises(ValueError, match="no column 'domain'; there are: source"):
        Phases(start_steps={}, by="domain").choose(ROWS, 1, 0, seed=1)
    with pytest.raises(ValueError, match="no row of any 'source' has begun at step 0"):
        Phases(start_steps={"math": 1, "code": 1, "general": 1}).choose(ROWS, 1, 0, seed=1)
    with pytest.raises(ValueError, match="no rows"):
        Uniform().choose(Dataset.from_dict({"source": []}), 1, 0, seed=1)


def test_choosing_from_a_million_rows_takes_no_time_once_they_are_sorted():
    rows = Dataset.from_dict({"source": ["math", "general"] * 500_000})
    phases = Phases(start_steps={"general": 10})
    phases.choose(rows, 512, 0, seed=1)
    start = time.process_time()
    for step in range(20):
        phases.choose(rows, 512, step, seed=1)
    assert time.process_time() - start < 1.0
