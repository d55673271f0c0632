"""A model's completions of rows, with their scores beside the rows' own columns."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from stage_runs import assert_rounds_end_with_a_right_answer

from r1trl.config.schema import StageConfig
from r1trl.config.stage_parts import SamplingConfig, ScoringConfig
from r1trl.generation.answers import RowGenerator
from r1trl.plugins.loading import Plugins, load
from r1trl.rewards.bound_reward import BoundReward
from r1trl.rewards.scorer import make_scorer
from r1trl.types import Model

pytestmark = pytest.mark.slow
PLUGIN = """\
import r1trl

def right(prompts, completions, completion_ids, **columns):
    return [float(sum(ids) % 3 == 0) for ids in completion_ids]

def never(prompts, completions, completion_ids, **columns):
    return [None for _ in prompts]

@r1trl.describe(extract_answer=lambda completion: completion[-1:] or None)
def last(prompts, completions, completion_ids, wanted, **columns):
    return [float(c[-1:] == w) for c, w in zip(completions, wanted, strict=True)]

@r1trl.hookimpl
def r1trl_rewards():
    return {"right": right, "never": never, "last": last}
"""
Make = Callable[..., RowGenerator]


@pytest.fixture
def plugins(plugin_file: Any) -> Plugins:
    """Return plugins with the rewards above."""
    return load([plugin_file(PLUGIN)])


@pytest.fixture
def make(tiny_model: Path, plugins: Plugins) -> Make:
    """Return a function that makes a generator with a random model and the rewards above."""

    def make_(correct: str | None = None, *, prefill: str = "", **sampling: Any) -> RowGenerator:
        stage = StageConfig(
            kind="sample",
            model=Model(str(tiny_model)),
            dtype="float32",
            template="Q: {{ prompt }} A: ",
            prefill=prefill,
            rewards={"right": {}, "never": {}, "last": {"weight": 0.5}},
            sampling=SamplingConfig(max_tokens=6, batch_size=16, **sampling),
        )
        scorer = make_scorer(stage.rewards, ScoringConfig(processes=1), plugins)
        return RowGenerator(stage, scorer, plugins, "stages.samples", Path(), correct)

    return make_


def rows(count: int) -> Dataset:
    """Return numbered rows."""
    columns = {"prompt": [f"p{i}" for i in range(count)], "wanted": ["x"] * count}
    return Dataset.from_dict({**columns, "problem": list(range(count))})


def test_rows_keep_their_columns_and_get_those_of_the_completions(make: Make) -> None:
    rollouts = make(prefill="<think>", n=3).generate(rows(4), 1)
    assert rollouts["problem"][:] == [i for i in range(4) for _ in range(3)]
    assert rollouts["prompt"][:] == [f"p{i}" for i in range(4) for _ in range(3)]
    assert set(rollouts.column_names) == {
        *("problem", "prompt", "question", "wanted", "completion", "finished", "reward"),
        *("completion_tokens", "tokens_spent", "rewards/right", "rewards/never", "rewards/last"),
        *("outcome/right", "outcome/never", "outcome/last", "answer/last"),
    }
    for row in rollouts:
        assert row["completion"].startswith("<think>")
        assert 0 < row["completion_tokens"] == row["tokens_spent"] <= 6
        assert row["finished"] or row["completion_tokens"] == 6
        assert row["outcome/never"] == "abstain"
        assert row["reward"] == row["rewards/right"] + 0.5 * row["rewards/last"]
        assert row["answer/last"] in (None, row["completion"][-1])


def test_a_column_without_values_has_the_type_of_the_other_shards(make: Make) -> None:
    features = make().generate(rows(1), 1).features
    assert features["rewards/never"].dtype == features["reward"].dtype == "float64"
    assert features["answer/last"].dtype == features["outcome/never"].dtype == "string"


def test_completions_depend_on_the_rows_and_the_seed_alone(make: Make) -> None:
    generator = make(n=2)
    first = generator.generate(rows(4), 1)["completion"][:]
    assert generator.generate(rows(4), 2)["completion"][:] != first
    assert generator.generate(rows(4), 1)["completion"][:] == first


class Missing:
    """A reward whose model is not there."""

    def load(self) -> None:
        """Raise what loading raises."""
        raise FileNotFoundError("no weights")

    def __call__(self, prompts: Any, completions: Any, completion_ids: Any, **_: Any) -> Any:
        """Score nothing."""
        return [None for _ in prompts]


def test_a_reward_that_cannot_be_loaded_ends_the_stage_before_its_model_is(make: Make) -> None:
    generator = make()
    generator.scorer.rewards.append(BoundReward("missing", Missing(), {}))
    with pytest.raises(FileNotFoundError, match="no weights"):
        generator.generate(rows(1), 1)
    assert generator.model is None


def test_rows_get_completions_until_enough_are_right(make: Make) -> None:
    rollouts = make("right", n=2, stop_after_correct=1, max_n=5).generate(rows(40), 1)
    assert_rounds_end_with_a_right_answer(rollouts, "right", 40)
