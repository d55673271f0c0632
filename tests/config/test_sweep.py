"""A sweep on the command line becomes one list of overrides per combination, each with a name."""

import pytest

from r1trl.config.compose import compose, sweep
from r1trl.errors import ConfigError
from r1trl.plan.plan import make_plan


def names(*overrides: str) -> list[str]:
    """Return the names of a sweep's runs."""
    return [override[-1].removeprefix("name=").strip("'") for override in sweep([*overrides])]


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (("recipe=zero", "seed=1,2"), ["zero-seed=1", "zero-seed=2"]),
        (("recipe=zero", "name=mine", "seed=1,2"), ["mine-seed=1", "mine-seed=2"]),
        (("recipe=zero,r1",), ["zero-recipe=zero", "r1-recipe=r1"]),
        (("seed=range(1,3)",), ["run-seed=1", "run-seed=2"]),
        (
            ("recipe=zero", "stages.zero.args.beta=0.5,1.5"),
            ["zero-beta=0.5", "zero-beta=1.5"],
        ),
        (
            ("recipe=zero", "model.path=Qwen/A,./b", "seed=1,2"),
            [
                "zero-path=Qwen-A,seed=1",
                "zero-path=Qwen-A,seed=2",
                "zero-path=.-b,seed=1",
                "zero-path=.-b,seed=2",
            ],
        ),
        (
            ("recipe=zero", "model@student=tiny,tiny-student"),
            ["zero-model-student=tiny", "zero-model-student=tiny-student"],
        ),
    ],
)
def test_every_run_of_a_sweep_has_a_name_of_its_own(
    overrides: tuple[str, ...], expected: list[str]
) -> None:
    assert names(*overrides) == expected


def test_the_runs_of_a_sweep_compose_to_what_their_names_say() -> None:
    each = sweep(["recipe=zero", "scale=tiny", "stages.zero.args.beta=0.5,1.5", "seed=3"])
    found = []
    for overrides in each:
        composed = compose(overrides, None)
        config = make_plan(composed).config
        found.append((config.name, config.stages["zero"].args["beta"], config.seed))
    assert found == [("zero-beta=0.5", 0.5, 3), ("zero-beta=1.5", 1.5, 3)]


def test_without_a_choice_there_is_one_run() -> None:
    overrides = ["recipe=zero", "name=x", "plugins.load=[a,b]"]
    assert sweep(overrides) == [overrides]


def test_a_sweep_that_cannot_be_read_is_told_in_one_line() -> None:
    with pytest.raises(ConfigError, match="recipe"):
        sweep(["recipe"])
