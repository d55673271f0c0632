"""What the plan refuses or notes on the hardware that is given or at hand, and what to type."""

import dataclasses
import functools
import shlex
from typing import Any

import pytest

from r1trl.config.compose import compose, conf_folder
from r1trl.config.stage_parts import HardwareConfig
from r1trl.errors import ConfigError
from r1trl.estimate.given import Given
from r1trl.estimate.judge import verdict
from r1trl.estimate.memory import CACHE_SHARE, peak, room
from r1trl.estimate.plans import given_of
from r1trl.estimate.sharding import sharding_of
from r1trl.estimate.speed import cost, seconds_to_draw
from r1trl.plan.plan import Plan, make_plan

H100 = "hardware=h100"
ZERO = ("recipe=zero", "model=qwen2.5-7b")
NODES = ("launch=slurm-zero3", "launch.nodes=4")
CARDS = sorted(file.stem for file in (conf_folder() / "hardware").glob("*.yaml"))
RECIPES = sorted(file.stem for file in (conf_folder() / "recipe").glob("*.yaml"))


def planned(*overrides: str) -> Plan:
    return make_plan(compose(["name=x", *overrides], None))


def refused(*overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        verdict(planned(*overrides), starts=False)
    return caught.value.problems


def given(name: str, *overrides: str) -> Given:
    plan = planned(*overrides)
    (stage,) = [each for each in plan.stages if each.spec.stage == name]
    found = given_of(plan, stage, plan.config.hardware)
    assert found
    return found


PARALLEL = "launch.config.parallelism_config.parallelism_config_cp_size=2"
REFUSED: dict[str, tuple[tuple[str, ...], str, str]] = {
    "a 7B trained in full on one card": (
        (*ZERO, H100),
        "stages.zero_first: needs 170",
        "launch=zero3 launch.processes=8",
    ),
    "a 32B sampled on one card": (
        ("recipe=zero", "model=qwen2.5-32b", H100, *NODES, "scale.evaluation.tokens=65536"),
        "stages.scoreboard: needs 77",
        "+stages.scoreboard.serve.policy.tensor_parallel=2",
    ),
    "own decoding of long completions in training": (
        (*ZERO, H100, *NODES, "generation.vllm=false"),
        "stages.zero_first: drawing by r1trl takes about 7.4 hours for a rollout of 8,192",
        "stages.zero_first.args.use_vllm=true",
    ),
    "own decoding of many completions": (
        (*ZERO, H100, *NODES),
        "stages.scoreboard: drawing by r1trl takes about",
        "+stages.scoreboard.serve.policy.tensor_parallel=1",
    ),
    "vLLM with too little memory": (
        ("recipe=zero", "model=qwen2.5-32b", H100, *NODES),
        "stages.zero_first.args.vllm_gpu_memory_utilization: gives vLLM 23.9 GiB",
        "stages.zero_first.args.vllm_tensor_parallel_size=2",
    ),
    "a server with too few cards": (
        (
            *("recipe=zero", "model=llama-3.3-70b-instruct", H100, "launch=slurm"),
            *("launch.nodes=8", "stages.scoreboard.serve.policy.tensor_parallel=2"),
        ),
        "stages.scoreboard.serve.policy.args.gpu-memory-utilization: gives vLLM 71.6 GiB",
        "+stages.scoreboard.serve.policy.tensor_parallel=4",
    ),
    "context parallelism of rollouts": (
        (*ZERO, *NODES, PARALLEL, H100),
        "stages.zero_first.launch.config.parallelism_config: TRL has no context parallelism",
        "leave out parallelism_config_cp_size=2",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_it_is_refused_with_what_to_type(what: str) -> None:
    overrides, begins, mend = REFUSED[what]
    (problem,) = [text for text in refused(*overrides) if text.startswith(begins)]
    assert mend in problem


@pytest.mark.parametrize("model", ["qwen2.5-7b", "qwen2.5-32b"])
def test_what_is_to_be_typed_mends_it(model: str) -> None:
    overrides = ["recipe=zero", f"model={model}", H100, *NODES, "generation.vllm=false"]
    stages = ("zero_first", "zero", "scoreboard")
    for name in stages:
        (problem,) = [text for text in refused(*overrides) if text.startswith(f"stages.{name}")]
        lines = problem.replace("use vLLM: ", "what would fit: ").partition("what would fit: ")[2]
        overrides += shlex.split(lines.partition("; or: ")[0])
    assert verdict(planned(*overrides), starts=False) == []


@functools.cache
def tiny(recipe: str) -> Plan:
    return planned(f"recipe={recipe}", "scale=tiny")


@functools.cache
def hardware(card: str) -> Any:
    return compose([f"hardware={card}", "name=x"], None).config.hardware


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_tiny_recipe_is_never_refused(recipe: str, card: str) -> None:
    plan, assumed = tiny(recipe), hardware(card)
    plan = dataclasses.replace(plan, config=dataclasses.replace(plan.config, hardware=assumed))
    assert verdict(plan, starts=True) == []


def test_without_hardware_it_is_a_note_and_what_this_machine_cannot_hold_does_not_start() -> None:
    plan = planned("recipe=zero", "model=llama-3.3-70b-instruct")
    (note,) = verdict(plan, starts=False)
    assert note.startswith("stages.zero_first, stages.zero, stages.scoreboard: more than this")
    with pytest.raises(ConfigError) as caught:
        verdict(plan, starts=True)
    assert caught.value.problems[0].startswith("stages.zero_first: needs ")
    assert verdict(planned("recipe=zero", *NODES), starts=False) == []


def test_a_rehearsal_is_not_refused() -> None:
    notes = verdict(planned(*ZERO, H100), starts=False, rehearses=True)
    assert [note for note in notes if note.startswith("stages.zero_first: needs 170")]


@pytest.mark.parametrize(
    ("launch", "states"),
    [
        (("launch=zero3",), 16 / 8),
        (("launch=zero2",), 2 + 14 / 8),
        (("launch=zero1",), 4 + 12 / 8),
        (("launch=fsdp2",), 16 / 8),
        (("launch=local",), 16),
        (("launch=accelerate",), 16 + 4),  # DDP's buckets
        (("launch=zero3-offload",), 0),
    ],
)
def test_states_are_shared_as_the_launch_says(launch: tuple[str, ...], states: float) -> None:
    one = given("zero_first", *ZERO, *launch)
    sharding = sharding_of(one.stage, one.launch, gpu=True)
    assert sharding.weights + sharding.gradients + sharding.optimizer == pytest.approx(states)


def test_estimates_at_the_papers_scale() -> None:
    one = given("zero_first", *ZERO, H100, *NODES, "generation.vllm=false")
    assert seconds_to_draw(one, 8192) / 3600 == pytest.approx(7.6, rel=0.1)
    spent = cost(given("zero_first", *ZERO, H100, *NODES))
    assert spent and spent.training / 3600 == pytest.approx(113, rel=0.1)
    served = given("scoreboard", *ZERO, H100, *NODES, "stages.scoreboard.serve.policy={}")
    assert served.gpus == 32 and peak(served).parts == {"vLLM": 0.9 * 79.6 * 2**30}


def test_a_prompt_of_a_group_counts_once_and_a_pair_twice() -> None:
    grouped = given("zero_first", *ZERO, "scale.rl.micro_batch=16", "scale.zero.first_tokens=1000")
    assert grouped.passed_at_once == 512 + 16 * 1000
    assert given("helpful_rm", "recipe=r1").passed_at_once == 2 * 8192
    assert given("safety_rm", "recipe=r1").passed_at_once == 8192


def test_the_share_of_the_kv_cache_is_that_of_decoding() -> None:
    from r1trl.decoding.decode import CACHE_MEMORY_FRACTION

    assert CACHE_SHARE == CACHE_MEMORY_FRACTION


def test_an_adapter_has_states_for_its_own_weights_alone() -> None:
    own = "stages.dev1.adapter={rank: 16}"
    full, adapted = given("dev1", "recipe=r1", H100), given("dev1", "recipe=r1", H100, own)
    assert peak(full).total > (room(full) or 0) > peak(adapted).total


def test_processes_on_a_cpu_share_its_memory() -> None:
    one = given("zero_first", "recipe=zero", "scale=tiny", "launch=cpu2", "hardware=cpu")
    two = dataclasses.replace(one, hardware=HardwareConfig("CPU", "cpu", 124))
    assert (room(two) or 0) > 2 * (room(one) or 0) > 0
