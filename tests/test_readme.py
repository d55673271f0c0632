"""The README and the pages on using r1trl agree with the code: names, examples, links, tables."""

import inspect
import re
from pathlib import Path

import pytest
import yaml

from r1trl import hookspecs
from r1trl.config.kinds import load_plugins
from r1trl.config.parse import parse
from r1trl.config.stage_parts import LaunchConfig

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {file.stem: file.read_text(encoding="utf-8") for file in (ROOT / "docs").glob("*.md")}
HOOKS = [name for name in vars(hookspecs) if name.startswith("r1trl_")]
TABLES = {
    "reward": ("REWARDS", "| reward | its value |"),
    "filter": ("CHOOSING", "| filter | keeps |"),
    "sampler": ("CHOOSING", "| sampler | what it does |"),
    "transition": ("CHOOSING", "| transition | what it does |"),
    "kind": ("KINDS", "| kind | what a stage does |"),
}


def test_it_has_at_most_a_thousand_words() -> None:
    assert len(README.split()) <= 1000


def test_the_reward_it_shows_is_the_example_that_the_tests_run() -> None:
    example = (ROOT / "examples" / "brevity.py").read_text(encoding="utf-8")
    assert example.partition('"""\n\n')[2] in README


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_listed_with_its_arguments(hook: str) -> None:
    arguments = ", ".join(inspect.signature(getattr(hookspecs, hook)).parameters)
    assert f"`{hook}({arguments})`" in PAGES["PLUGINS"]


@pytest.mark.parametrize("recipe", [p.stem for p in (ROOT / "conf" / "recipe").glob("*.yaml")])
def test_every_recipe_is_listed(recipe: str) -> None:
    assert f"| `{recipe}` |" in PAGES["USING"]


@pytest.mark.parametrize("launch", [p.stem for p in (ROOT / "conf" / "launch").glob("*.yaml")])
def test_every_launch_fits_the_schema(launch: str) -> None:
    text = (ROOT / "conf" / "launch" / f"{launch}.yaml").read_text(encoding="utf-8")
    assert not parse(LaunchConfig, yaml.safe_load(text))[1]


def test_its_pictures_and_links_exist() -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[\w-]*)?\)", README):
        assert (ROOT / target).exists(), target


@pytest.mark.parametrize("role", TABLES)
def test_a_table_has_every_built_in_offer_and_no_other(role: str) -> None:
    page, head = TABLES[role]
    rows = PAGES[page][PAGES[page].index(head) :].partition("\n\n")[0].splitlines()[2:]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert named == set(load_plugins().offers[role])
