"""Variants on a source of training data: checked by the plan, shown by it, part of identities."""

from typing import Any

import pytest

from r1trl.config.compose import compose
from r1trl.errors import ConfigError
from r1trl.identity.identity import compared_settings
from r1trl.plan.details import details
from r1trl.plan.plan import Plan, make_plan

UPPER = "sources.problems.variants={upper: {variant: case, style: upper}}"


def planned(*overrides: str) -> Plan:
    """Plan overrides of a recipe at scale=tiny."""
    return make_plan(compose(["scale=tiny", "name=x", *overrides], None))


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (
            ["recipe=zero", "sources.problems.variants={typo: {}}"],
            "sources.problems.variants: no variant is called 'typo' (did you mean 'typos'?); there",
        ),
        (
            ["recipe=zero", "sources.problems.variants={upper: {variant: case, stile: upper}}"],
            "sources.problems.variants.upper: variant 'case' has no option 'stile' (did you mean",
        ),
        (
            ["recipe=zero", "stages.zero.data.problems.variants={boxed: {on: 3}}"],
            "stages.zero.data.problems.variants.boxed.on: value '3' of type 'int' is not a bool",
        ),
        (
            ["recipe=zero", "sources.problems.variants={reference: {variant: boxed}}"],
            "sources.problems.variants.reference: is what the rows as they are are called; give",
        ),
        (
            ["recipe=zero", UPPER, "sources.problems.varied=1.5"],
            "sources.problems.varied: 1.5 is not possible; it must be above 0 and at most 1",
        ),
        (
            ["recipe=zero", "sources.problems.varied=0.5"],
            "sources.problems.varied: is the share of rows in other forms, and there are no",
        ),
        (
            ["recipe=zero", UPPER, "stages.zero.rewards.accuracy.where={variant: uper}"],
            "stages.zero.rewards.accuracy.where.variant: no variant of this stage is called 'uper'",
        ),
        (
            ["recipe=zero", "benchmarks.held_out.variants={boxed: {}}"],
            "benchmarks.held_out.variants: are for rows that are trained on; an evaluate stage",
        ),
        (
            ["recipe=zero", "stages.scoreboard.benchmarks.b={dataset: tiny_problems, variants: "
             "{boxed: {}}}"],
            "stages.scoreboard.benchmarks.b.variants: are for rows that are trained on; an",
        ),
        (
            ["recipe=r1", "sources.general.variants={boxed: {}}"],
            "stages.dev3.data.general.variants: a stage of kind sft learns from answers that were",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_variants_of_a_source_is_said_with_its_key(
    overrides: list[str], problem: str
) -> None:
    with pytest.raises(ConfigError) as found:
        planned(*overrides)
    assert any(line.startswith(problem) for line in found.value.problems), found.value.problems


def test_a_stage_that_draws_completions_takes_them_and_an_sft_stage_can_leave_them_out() -> None:
    given = "sources.general.variants={boxed: {}}", "stages.dev3.data.general.variants={}"
    stages = {stage.spec.stage: stage.config for stage in planned("recipe=r1", *given).stages}
    assert not stages["dev3"].data["general"].variants
    assert stages["zero"].data["problems"].variants == {}


def test_the_plan_shows_them_with_the_share_of_rows_that_get_one() -> None:
    def shown(*overrides: str) -> dict[str, str]:
        lines = details(planned("recipe=zero", *overrides)).splitlines()
        return {line.split()[0]: " ".join(line.split()[1:]) for line in lines if ".vari" in line}

    case = {"data.problems.variants.upper": "variant=case style=upper"}
    assert shown(UPPER) == {**case, "data.problems.varied": "0.5"}
    assert shown(UPPER, "sources.problems.varied=0.2")["data.problems.varied"] == "0.2"
    assert shown() == {}


def identities(*overrides: str) -> dict[str, Any]:
    """Return the identity of the stage zero_first, and the settings in it."""
    spec = planned("recipe=zero", *overrides).stages[0].spec
    settings = compared_settings(spec, spec.identity["inputs"])
    return {**spec.identity, "compared": settings["data"]["problems"]}


def test_they_are_part_of_a_result_with_the_source_of_their_plugin_and_nothing_if_not_given() -> (
    None
):
    plain, upper = identities(), identities(UPPER)
    assert "variants" not in plain["compared"] and "varied" not in plain["compared"]
    assert "r1trl_variants" in upper["plugins"] and "r1trl_variants" not in plain["plugins"]
    others = [
        identities(UPPER, "sources.problems.varied=0.2"),
        identities("sources.problems.variants={upper: {variant: case, style: lower}}"),
        identities("sources.problems.variants={lower: {variant: case, style: upper}}"),
    ]
    found = [each["settings"] for each in (plain, upper, *others)]
    assert len(set(found)) == len(found)
