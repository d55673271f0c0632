"""The default name of a run, groups that cannot be chosen, and `${key}`s that are not there."""

from pathlib import Path

import pytest

from r1trl.config.compose import compose
from r1trl.config.keys import referred_to, unknown_references
from r1trl.errors import ConfigError

MINE = "# @package _global_\ndefaults: [/recipe/zero, _self_]\n"
BROKEN = {
    "missing": (
        "# @package _global_\ndefaults: [/recipe/zreo]\n",
        "recipe/missing: there is no config recipe/zreo (did you mean 'zero'?)",
    ),
    "nowhere": (
        "# @package _global_\ndefaults: [override /dataset@sources.problms: gsm8k]\n",
        "recipe/nowhere: dataset@sources.problms: nothing is chosen there (did you mean "
        "'dataset@sources.problems'?); to add one: +dataset@sources.problms=…",
    ),
    "syntax": ("# @package _global_\nstages: {x: {a: 1\n", "syntax.yaml, line 3: expected ',' or"),
    "twice": ("# @package _global_\nseed: 1\nseed: 2\n", "twice.yaml, line 3: found duplicate key"),
    "misspelt": (
        f"{MINE}stages: {{zer: {{args: {{max_steps: 3}}}}}}\n",
        "stages.zer: the recipe has no stage 'zer' (did you mean 'zero'?); to add a stage give it "
        "a kind: stages.zer.kind=…",
    ),
}


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Return a folder of one's own recipes."""
    files = {name: text for name, (text, _) in BROKEN.items()}
    files |= {"sub/mine": MINE, "named": f"{MINE}name: fixed\n"}
    for name, text in files.items():
        file = tmp_path / "recipe" / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        (["recipe=zero"], "zero-paper"),
        (["recipe=zero", "scale=tiny"], "zero-tiny"),
        (["recipe=zero", "name=x"], "x"),
        (["recipe=zero", "name=null"], "zero-paper"),
        (["recipe=sub/mine", "scale=tiny"], "sub-mine-tiny"),
        (["recipe=named"], "fixed"),
        ([], "run-paper"),
    ],
)
def test_a_run_is_named_after_its_recipe_and_scale(
    overrides: list[str], name: str, own: Path
) -> None:
    assert compose(overrides, own).config.name == name


@pytest.mark.parametrize("recipe", BROKEN)
def test_a_broken_recipe_of_ones_own_is_told_in_one_line(recipe: str, own: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        compose([f"recipe={recipe}", "scale=tiny"], own)
    (problem,) = caught.value.problems
    assert BROKEN[recipe][1] in problem and "\n" not in problem


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("model@studnt=tiny", "model@studnt: nothing is chosen there (did you mean 'model@student"),
        ("stage@stages.zer=sft", "stage@stages.zer: nothing is chosen there (did you mean 'stage@"),
        ("+model@student=tiny", "model@student: is chosen already; leave out the +"),
        ("~dataset@benchmarks.x", "dataset@benchmarks.x: there is nothing to delete"),
        ("launch={how: local}", "launch: no launch is called '{'how': 'local'}'; there are: accel"),
    ],
)
def test_a_group_that_cannot_be_chosen_is_told_in_one_line(override: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compose(["recipe=zero", override], None)
    (found,) = caught.value.problems
    assert found.startswith(problem)


@pytest.mark.parametrize(
    ("override", "own_key"),
    [
        ("model=Qwen/Qwen2.5-7B", "model.path"),
        ("dataset=a.jsonl", "sources.problems.path"),
        ("launch={how: local}", "launch.how"),
        ("scale={rl: {group: 4}}", "scale.<key>"),
    ],
)
def test_a_value_that_is_no_option_of_a_group_is_told_its_key(override: str, own_key: str) -> None:
    with pytest.raises(ConfigError, match=f"; for a value of your own: {own_key}=…$"):
        compose(["recipe=zero", override], None)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("${template.zro}", "refers to template.zro, which is not there (did you mean 'template.z"),
        ("${scale.zero.stepz}", "refers to scale.zero.stepz, which is not there (did you mean 'sc"),
        (
            "${scal.zero.steps}",
            "refers to scal.zero.steps, which is not there (did you mean 'scale",
        ),
        (
            "${.modle}",
            "refers to stages.zero.modle, which is not there (did you mean 'stages.zero.m",
        ),
        ("'${package:no_such_package}'", "no package is called 'no_such_package'"),
        ("'${oc.env:NO_SUCH_VARIABLE}'", "\"Environment variable 'NO_SUCH_VARIABLE' not found\""),
        ("'${no_resolver:x}'", "Unsupported interpolation type no_resolver"),
        ("'${template'", ""),
    ],
)
def test_a_reference_to_nothing_is_told_with_the_key_that_it_stands_at(
    value: str, problem: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        compose(["recipe=zero", "scale=tiny", f"stages.zero.system={value}"], None)
    (found,) = caught.value.problems
    assert found.startswith(f"stages.zero.system: {problem}") and "\n" not in found


def test_every_reference_to_nothing_is_told_at_once() -> None:
    values = {"a": "${b} and ${c.d}", "b": {"x": "${.y}", "y": 1}, "e": [r"\${f}", "${g:x} ${e.0}"]}
    assert unknown_references(values) == ["a: refers to c.d, which is not there"]


def test_what_stages_refer_to_is_found_through_other_references() -> None:
    values = {
        "scale": {"x": "${scale.y}", "y": 1, "z": "${model.path}", "dynamic": {"a": 1}},
        "model": {"path": "m"},
        "stages": {"a": {"n": "${scale.x}", "m": "${scale.dynamic.${name}}"}},
    }
    reached = referred_to(values, ("scale", "model"))
    assert reached == {"scale.x", "scale.y", "scale.dynamic", "name"}
