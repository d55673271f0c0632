"""From a recipe's name and overrides to a config: groups, own folders, sweeps, what is refused."""

from pathlib import Path
from typing import Any

import pytest

from r1trl.config.compose import compose, conf_folder
from r1trl.errors import ConfigError
from r1trl.plan.plan import make_plan

RECIPE = """\
# @package _global_
defaults:
  - /recipe/zero
  - _self_
stages:
  zero:
    args:
      learning_rate: 7e-6
"""


def problems_of(*overrides: str, own: Path | None = None) -> list[str]:
    """Return what is wrong with overrides."""
    with pytest.raises(ConfigError) as caught:
        compose(["name=x", *overrides], own)
    return caught.value.problems


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("recipe=zreo", "recipe: no recipe is called 'zreo' (did you mean 'zero'?); there are: "),
        ("model=qwen2.5-7", "model: no model is called 'qwen2.5-7' (did you mean 'qwen2.5-7b'?)"),
        ("model@student=tinny", "model@student: no model is called 'tinny' (did you mean 'tiny'?)"),
        ("scale=teeny", "scale: no scale is called 'teeny' (did you mean 'tiny'?)"),
        ("launch=loca", "launch: no launch is called 'loca' (did you mean 'local'?)"),
        ("dataset=gsm8", "dataset: no dataset is called 'gsm8' (did you mean 'gsm8k'?)"),
    ],
)
def test_an_unknown_option_of_a_group_suggests_one(override: str, message: str) -> None:
    (problem,) = problems_of("recipe=zero", override)
    assert problem.startswith(message)


@pytest.mark.parametrize("plus", ["", "+", "++"])
def test_a_key_is_added_or_overridden_with_and_without_a_plus(plus: str, composed: Any) -> None:
    config = composed(
        "recipe=zero", f"{plus}stages.zero.args.top_k=5", f"{plus}stages.zero.args.min_p=0.1"
    ).config
    assert config.stages["zero"].args["top_k"] == 5
    assert config.stages["zero"].args["min_p"] == 0.1
    assert "min_p" not in config.stages["zero_first"].args


def test_an_override_of_one_stage_leaves_the_others_alone(composed: Any) -> None:
    config = composed("recipe=zero", "stages.zero_first.model=some/other").config
    assert config.stages["zero_first"].model == "some/other"
    assert config.model.path == config.stages["scoreboard"].models["base"].path != "some/other"


def test_a_stage_can_be_of_another_kind_and_a_reward_be_dropped(composed: Any) -> None:
    config = composed("recipe=zero", "~stages.zero.rewards.think_format").config
    assert "think_format" not in config.stages["zero"].rewards
    assert "accuracy" in config.stages["zero"].rewards
    assert "think_format" in config.stages["zero_first"].rewards


def test_groups_choose_the_problems_the_models_and_further_benchmarks(composed: Any) -> None:
    config = composed(
        "recipe=zero",
        "dataset=gsm8k",
        "model=qwen2.5-1.5b",
        "model@student=smollm2-135m",
        "+dataset@benchmarks.aime_2025=aime-2025",
    ).config
    assert config.sources["problems"].path == "openai/gsm8k"
    assert config.stages["zero"].data["problems"].path == "openai/gsm8k"
    assert config.sources["problems"].split == "train"
    assert config.model.path == "Qwen/Qwen2.5-1.5B"
    assert config.student.path == "HuggingFaceTB/SmolLM2-135M"
    assert list(config.benchmarks) == ["math_500", "aime_2024", "aime_2025"]


def test_a_source_of_a_stage_is_the_runs_own_with_the_stages_changes(composed: Any) -> None:
    config = composed("recipe=r1", "scale=tiny", "stages.zero.data.problems.split=test").config
    source = config.sources["problems"]
    drawn = config.stages["zero_samples"].data["problems"]
    assert (drawn.dataset, drawn.sample_rows) == (
        source.dataset,
        config.scale["samples"]["prompts"],
    )
    assert config.stages["zero"].data["problems"].split == "test" and source.split is None


def test_a_source_with_a_path_of_its_own_is_not_the_runs(composed: Any) -> None:
    config = composed("recipe=zero", "scale=tiny", "stages.zero.data.problems.path=my/rows").config
    own = config.stages["zero"].data["problems"]
    assert (own.path, own.dataset, own.options) == ("my/rows", None, {})


def test_a_recipe_of_ones_own_derives_from_a_shipped_one(tmp_path: Path, composed: Any) -> None:
    (tmp_path / "recipe").mkdir()
    (tmp_path / "recipe" / "mine.yaml").write_text(RECIPE)
    mine = composed("recipe=mine", "scale=tiny", own=tmp_path)
    config = mine.config
    assert config.stages["zero"].args["learning_rate"] == 7e-6
    assert config.stages["zero_first"].args["learning_rate"] == config.scale["rl"]["learning_rate"]
    assert "# recipe=mine" in mine.text
    make_plan(mine)
    (problem,) = problems_of("recipe=mien", own=tmp_path)
    assert problem.startswith("recipe: no recipe is called 'mien' (did you mean 'mine'?)")


def test_a_file_of_ones_own_that_a_shipped_one_would_hide_is_refused(tmp_path: Path) -> None:
    (tmp_path / "recipe").mkdir()
    (tmp_path / "recipe" / "zero.yaml").write_text(RECIPE)
    (problem,) = problems_of("recipe=zero", own=tmp_path)
    assert problem.startswith(f"--config-dir: {tmp_path / 'recipe' / 'zero.yaml'} would be hidden")


def test_a_missing_folder_of_ones_own_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere"
    assert problems_of(own=missing) == [f"--config-dir: there is no folder {missing}"]


def test_the_package_resolver_finds_an_installed_packages_folder(composed: Any) -> None:
    import r1trl_tiny

    config = composed("model.path=${package:r1trl_tiny}/models/base").config
    assert Path(config.model.path) == Path(r1trl_tiny.__file__).parent / "models" / "base"
    assert Path(config.model.path, "config.json").is_file()


def test_the_overrides_stand_at_the_top_of_the_composed_yaml(composed: Any) -> None:
    text = composed("recipe=zero", "seed=7").text
    head = ["# composed from these overrides:", "# recipe=zero", "# seed=7", "# name=test"]
    assert text.splitlines()[:4] == head
    assert "\nseed: 7\n" in text


def test_the_shipped_configs_are_found() -> None:
    assert (conf_folder() / "config.yaml").is_file()


def test_a_plugin_file_is_executed_once(plugin_file: Any, tmp_path: Path, composed: Any) -> None:
    path = plugin_file(f"open({str(tmp_path / 'loads')!r}, 'a').write('x')\n")
    composed("recipe=zero", "scale=tiny", f"plugins.load=[{path}]")
    assert (tmp_path / "loads").read_text() == "x"
