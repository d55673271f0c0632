"""`r1trl list`: names with where they are from, those of the user's own folders and plugins too."""

from collections.abc import Callable
from pathlib import Path

import pytest

from r1trl.catalog.listing import listing
from r1trl.config.compose import conf_folder
from r1trl.errors import ConfigError

PLUGIN = """
import r1trl

@r1trl.verifier
def brevity(completion: str) -> float:
    '''Return 1 for a short completion.'''
    return float(len(completion) < 9)

@r1trl.hookimpl
def r1trl_rewards():
    return {"brevity": brevity}
"""


def rows(text: str) -> dict[str, list[str]]:
    """Return the columns of a table's lines by the first one."""
    return {line.split()[0]: line.split() for line in text.splitlines()}


def test_without_a_word_it_says_what_can_be_listed_and_how_many_there_are() -> None:
    told = rows(listing(None, (), None))
    count = len(list((conf_folder() / "recipe").glob("*.yaml")))
    assert told["recipes"] == ["recipes", str(count), "recipe=NAME"]
    assert {"models", "hardware", "kinds", "rewards", "variants"} < told.keys()
    assert "chains" not in told  # of which only recipes are made


def test_a_name_stands_with_its_folder_or_plugin_and_its_first_sentence(
    tmp_path: Path, plugin_file: Callable[..., str]
) -> None:
    (tmp_path / "recipe").mkdir()
    text = "# @package _global_\n# Mine of\n# 2.5 lines. And more.\nseed: 2\n"
    (tmp_path / "recipe" / "mine.yaml").write_text(text)
    told = listing("recipe", (), tmp_path).splitlines()
    (own,) = (line for line in told if line.startswith("mine "))
    assert own.split(maxsplit=2) == ["mine", str(tmp_path / "recipe"), "Mine of 2.5 lines."]
    assert rows("\n".join(told))["zero"][1] == "conf/recipe"
    path = plugin_file(PLUGIN)
    rewards = listing("rewards", [path], None)
    assert f"plugin {path}" in rewards and "Return 1 for a short completion." in rewards
    assert rows(rewards)["accuracy"][1:3] == ["plugin", "math"]


def test_configs_and_sources_of_rows_of_one_sort_are_listed_together() -> None:
    told = rows(listing("datasets", (), None))
    assert told["gsm8k"][1] == "conf/dataset" and told["tiny_problems"][1:3] == ["plugin", "tiny"]


def test_a_slip_is_refused_with_what_was_meant(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'launches'"):
        listing("lanches", (), None)
    with pytest.raises(ConfigError, match="--config-dir: there is no folder"):
        listing("recipes", (), tmp_path / "none")
