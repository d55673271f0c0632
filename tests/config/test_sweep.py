"""A sweep on the command line becomes a run per combination, each with a name of its own."""

import pytest

from r1trl.config.compose import compose
from r1trl.config.overrides import sweep
from r1trl.errors import ConfigError
from r1trl.plan.plan import make_plan


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (("recipe=zero", "seed=1,2"), ["seed=1", "seed=2"]),
        (("recipe=zero", "name=mine", "seed=1,2"), ["seed=1", "seed=2"]),
        (("recipe=zero,r1",), ["", ""]),
        (("recipe=zero,r1", "name=mine"), ["recipe=zero", "recipe=r1"]),
        (("name=a,b", "scale=tiny,paper"), ["scale=tiny", "scale=paper"] * 2),
        (("seed=range(1,3)",), ["seed=1", "seed=2"]),
        (("recipe=zero", "stages.zero.args.beta=0.5,1.5"), ["beta=0.5", "beta=1.5"]),
        (
            ("recipe=zero", "model.path=Qwen/A,./b", "seed=1,2"),
            [
                "path=Qwen-A,seed=1",
                "path=Qwen-A,seed=2",
                "path=.-b,seed=1",
                "path=.-b,seed=2",
            ],
        ),
        (
            ("recipe=zero", "model@student=tiny,tiny-student"),
            ["model-student=tiny", "model-student=tiny-student"],
        ),
    ],
)
def test_the_name_of_every_run_of_a_sweep_ends_in_what_is_swept(
    overrides: tuple[str, ...], expected: list[str]
) -> None:
    assert [tail for _, tail in sweep(overrides)] == expected


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ((), ["zero-tiny-beta=0.5", "zero-tiny-beta=1.5"]),
        (("name=mine",), ["mine-beta=0.5", "mine-beta=1.5"]),
    ],
)
def test_the_runs_of_a_sweep_compose_to_what_their_names_say(
    named: tuple[str, ...], expected: list[str]
) -> None:
    found = []
    swept = ("recipe=zero", "scale=tiny", "stages.zero.args.beta=0.5,1.5", "seed=3", *named)
    for overrides, tail in sweep(swept):
        config = make_plan(compose(overrides, None, tail)).config
        found.append((config.name, config.stages["zero"].args["beta"], config.seed))
    assert found == [(expected[0], 0.5, 3), (expected[1], 1.5, 3)]


def test_the_recipes_of_a_sweep_have_the_names_that_they_have_alone() -> None:
    runs = sweep(("recipe=zero,dapo", "scale=tiny"))
    names = [compose(overrides, None, tail).config.name for overrides, tail in runs]
    assert names == ["zero-tiny", "dapo-tiny"]


def test_without_a_choice_there_is_one_run() -> None:
    overrides = ["recipe=zero", "name=x", "plugins.load=[a,b]"]
    assert sweep(overrides) == [(overrides, "")]


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("recipe", "'recipe': is no override; give key=value, group=option or ~key"),
        ("seed=interval(1,2)", "seed: interval(1,2) cannot be listed; give seed=a,b"),
        ("recipe=glob(*)", "recipe: glob(*) cannot be listed; give recipe=a,b"),
    ],
)
def test_a_sweep_that_cannot_be_read_is_told_in_one_line(override: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        sweep([override])
    assert caught.value.problems == [problem]
