"""The scales between tiny and paper: each recipe fits on the hardware that they are for."""

import functools

import pytest
from test_recipes import RECIPES

from r1trl.config.compose import compose
from r1trl.estimate.judge import estimated, verdict
from r1trl.estimate.speed import cost
from r1trl.plan.plan import Plan, make_plan

SCALES = {"gpu1": "rtx4090", "gpu1-80gb": "h100", "gpu8": "h100"}
HOURS = {"gpu1": 24, "gpu1-80gb": 48, "gpu8": 240}  # on the clock, of all stages


@functools.cache
def planned(recipe: str, scale: str) -> Plan:
    """Plan a recipe on the hardware of its scale."""
    chosen = [f"recipe={recipe}", f"scale={scale}", f"hardware={SCALES[scale]}", "name=x"]
    chosen += ["~benchmarks.calls"] if recipe == "regress" else []  # a wheel that is not here
    return make_plan(compose(chosen, None))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(
    "recipe",
    [pytest.param(name, marks=() if name == "full" else pytest.mark.long) for name in RECIPES],
)
def test_a_recipe_fits(recipe: str, scale: str) -> None:
    plan = planned(recipe, scale)
    assert verdict(plan, starts=False) == []
    stages = list(estimated(plan, plan.config.hardware))
    assert len(stages) == len(plan.stages), "the sizes of a model are not known"
    costs = [cost(given) for given in stages]
    hours = [(c.drawing + c.training) / 3600 for c in costs if c]
    assert len(hours) == len(stages), "the rows of a source are not known"
    assert sum(hours) < HOURS[scale]


@pytest.mark.parametrize("scale", SCALES)
def test_completions_are_drawn_by_vllm(scale: str) -> None:
    for given in estimated(planned("full", scale), None):
        assert given.kind.draws == "nothing" or given.vllm == "colocate" or given.server


@pytest.mark.parametrize("scale", ["tiny", "paper", *SCALES])
def test_every_scale_has_the_sizes_of_the_others(scale: str) -> None:
    def keys(values: object, at: str = "") -> set[str]:
        own = values.items() if isinstance(values, dict) and not at.endswith("replace") else ()
        return {at}.union(*(keys(value, f"{at}.{name}") for name, value in own))

    paper, this = (compose([f"scale={s}", "name=x"], None).config.scale for s in ("paper", scale))
    assert keys(this) == keys(paper)
    assert isinstance(this["reward_model"]["model"], str)
