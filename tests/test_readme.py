"""What the README says is so."""

import inspect
from pathlib import Path

import pytest

from r1trl import hookspecs
from r1trl.config.schema import LaunchConfig, build

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
HOOKS = [name for name in vars(hookspecs) if name.startswith("r1trl_")]


def test_the_reward_it_shows_is_the_example_that_the_tests_run() -> None:
    example = (ROOT / "examples" / "brevity.py").read_text(encoding="utf-8")
    assert example.partition('"""\n\n')[2] in README


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_in_it_with_its_arguments(hook: str) -> None:
    arguments = ", ".join(inspect.signature(getattr(hookspecs, hook)).parameters)
    assert f"`{hook}({arguments})`" in README


@pytest.mark.parametrize("recipe", [p.stem for p in (ROOT / "conf" / "recipe").glob("*.yaml")])
def test_every_recipe_is_in_it(recipe: str) -> None:
    assert f"| `{recipe}` |" in README


@pytest.mark.parametrize("launch", [p.stem for p in (ROOT / "conf" / "launch").glob("*.yaml")])
def test_every_launch_fits_the_schema(launch: str) -> None:
    import yaml

    text = (ROOT / "conf" / "launch" / f"{launch}.yaml").read_text(encoding="utf-8")
    assert not build(LaunchConfig, yaml.safe_load(text))[1]


def test_its_pictures_and_links_exist() -> None:
    import re

    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_every_built_in_reward_is_in_it() -> None:
    from r1trl.plugins.loading import load

    table = README[README.index("| reward | its value |") :].partition("\n\n")[0]
    missing = [name for name in load().offers["reward"] if f"`{name}`" not in table]
    assert not missing
