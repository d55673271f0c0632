"""Former names of keys, offers and options are accepted, with a note, wherever they stand."""

from pathlib import Path
from typing import Any

import pytest

from r1trl.config.compose import compose
from r1trl.plan.plan import make_plan

RECIPE = """\
# @package _global_
defaults:
  - /recipe/zero
  - _self_
sources:
  problems:
    limit: 100
stages:
  zero:
    samplers:
      adaptive: {reward: accuracy, memory: 0.25}
    filters:
      near_duplicates: {}
  scoreboard:
    measures: {extra: think_format}
    attention: eager
    sampling: {enough: 1, max_n: 8}
"""


@pytest.fixture
def composed_with(tmp_path: Path) -> Any:
    """Return a function that composes a recipe of old names with overrides, and plans it."""
    (tmp_path / "recipe").mkdir()
    (tmp_path / "recipe" / "old.yaml").write_text(RECIPE)

    def compose_(*overrides: str) -> Any:
        groups = ["recipe=old", "scale=tiny", "name=x"]
        found = compose([*groups, *overrides], tmp_path)
        make_plan(found)
        return found

    return compose_


def test_an_old_name_in_a_file_counts_over_the_new_one_of_a_shipped_file(
    composed_with: Any,
) -> None:
    found = composed_with()
    board, zero = found.config.stages["scoreboard"], found.config.stages["zero"]
    assert board.metrics["extra"] == "think_format" and board.metrics["format"] == "think_format"
    assert (board.attn_implementation, board.sampling.stop_after_correct) == ("eager", 1)
    assert zero.data["problems"].sample_rows == 100
    assert zero.samplers == {"adaptive": {"reward": "accuracy", "ema_decay": 0.25}}
    assert list(zero.filters) == ["deduplicate_near"]
    assert set(found.notes) == {
        "sources.problems.limit is called 'sample_rows' now",
        "stages.zero.samplers.adaptive.memory is called 'ema_decay' now",
        "stages.zero.filters.near_duplicates is called 'deduplicate_near' now",
        "stages.scoreboard.measures is called 'metrics' now",
        "stages.scoreboard.attention is called 'attn_implementation' now",
        "stages.scoreboard.sampling.enough is called 'stop_after_correct' now",
    }


@pytest.mark.parametrize("name", ["enough", "stop_after_correct"])
@pytest.mark.parametrize("plus", ["", "+", "++"])
def test_the_command_line_overrides_an_old_name_of_a_file(
    name: str, plus: str, composed_with: Any
) -> None:
    found = composed_with(f"{plus}stages.scoreboard.sampling.{name}=2")
    assert found.config.stages["scoreboard"].sampling.stop_after_correct == 2


def test_the_command_line_overrides_one_entry_of_a_mapping(composed_with: Any) -> None:
    old, new = "stages.scoreboard.measures.extra", "stages.scoreboard.metrics.correct"
    found = composed_with(f"{old}=accuracy", f"{new}=think_format")
    metrics = found.config.stages["scoreboard"].metrics
    assert (metrics["extra"], metrics["correct"]) == ("accuracy", "think_format")


@pytest.mark.parametrize("name", ["measures", "metrics"])
def test_a_mapping_of_the_command_line_replaces_an_old_name_of_a_file(
    name: str, composed_with: Any
) -> None:
    found = composed_with(f"stages.scoreboard.{name}={{correct: accuracy}}")
    assert found.config.stages["scoreboard"].metrics == {"correct": "accuracy"}


def test_a_reward_of_a_former_name_keeps_its_key(plugin_file: Any) -> None:
    path = plugin_file(
        """
        import r1trl
        @r1trl.verifier
        def today(completion: str) -> float:
            '''Return 1.'''
            return 1.0
        @r1trl.hookimpl
        def r1trl_rewards():
            return {"today": today, "was": "today"}
        """
    )
    rewards = "stages.zero.rewards"
    overrides = [f"{rewards}.was={{}}", f"{rewards}.again={{reward: was, requires: [was]}}"]
    run = ["recipe=zero", "scale=tiny", "name=x", f"plugins.load=[{path}]", *overrides]
    found = compose(run, None)
    make_plan(found)
    chosen = found.config.stages["zero"].rewards
    assert chosen["was"] == {"reward": "today"}
    assert chosen["again"] == {"reward": "today", "requires": ["was"]}
