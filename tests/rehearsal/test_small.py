"""A stage's settings are made small by the names of keys, whatever its kind."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest

from r1trl.config.checked import Composed
from r1trl.plan.plan import make_plan
from r1trl.rehearsal.small import small_stage
from r1trl.rehearsal.small_plan import changes, small_plan

FULL = ("recipe=full",)


@pytest.fixture
def small(composed: Callable[..., Composed]) -> Callable[..., dict[str, Any]]:
    """Return a function that returns the small settings of a stage at the paper's scale."""

    def settings(stage: str, *overrides: str) -> dict[str, Any]:
        plan = make_plan(composed(*FULL, *overrides))
        planned = next(p for p in plan.stages if p.spec.stage == stage)
        return small_stage(asdict(planned.config), planned.kind)

    return settings


def at(settings: dict[str, Any], key: str) -> Any:
    """Return what stands at a dotted key."""
    found: Any = settings
    for part in key.split("."):
        found = found[part]
    return found


SMALL = [
    ("zero", (), "args.max_steps", 2),
    ("zero", (), "args.max_completion_length", 8),
    ("zero", (), "args.num_generations", 16),
    ("zero", (), "rollout.outputs", 32),
    ("zero", (), "args.per_device_train_batch_size", 16),
    ("zero", (), "args.save_steps", 1),
    ("zero", (), "args.ref_model_sync_steps", 1),
    ("zero", (), "args.learning_rate", 3e-6),
    ("zero", (), "args.loss_type", "grpo"),
    ("zero", (), "dtype", "float32"),
    ("zero", (), "data.problems.take", 32),
    ("zero", ("sources.problems.take=5",), "data.problems.take", 5),
    ("zero", ("stages.zero.args.use_vllm=true",), "args.use_vllm", False),
    ("zero", ("stages.zero.args.optim=adamw_8bit",), "args.optim", "adamw_torch"),
    ("zero", ("stages.zero.args.optim=adafactor",), "args.optim", "adafactor"),
    ("zero", ("stages.zero.attn_implementation=flash_attention_2",), "attn_implementation", None),
    ("zero", ("stages.zero.attn_implementation=eager",), "attn_implementation", "eager"),
    ("zero", ("launch=zero3",), "launch.how", "local"),
    ("dev1", (), "batch", 2),
    ("dev1", (), "args.max_length", 1024),
    ("dev1", (), "args.lr_scheduler_kwargs", {"min_lr_rate": 0.1}),
    ("zero_samples", (), "sampling.n", 2),
    ("zero_samples", (), "sampling.max_tokens", 8),
    ("zero_samples", (), "data.problems.sample_rows", 32),
    ("scoreboard", (), "benchmarks.aime_2024.take", 4),
    ("scoreboard", (), "sampling.temperature", 0.6),
    ("helpful_rm", (), "args.max_steps", 2),
]


@pytest.mark.parametrize(("stage", "overrides", "key", "value"), SMALL)
def test_what_becomes_of_a_setting(
    small: Any, stage: str, overrides: tuple[str, ...], key: str, value: Any
) -> None:
    assert at(small(stage, *overrides), key) == value


def test_a_slice_of_a_split_is_streamed_from_its_head(small: Any) -> None:
    settings = small("zero", "sources.problems.split='train[:10%]'")
    assert settings["data"]["problems"]["split"] == "train"


def test_what_is_not_read_stays(small: Any) -> None:
    assert small("zero")["sampling"]["n"] == 1  # a grpo stage takes no sampling


OWN = """
from dataclasses import dataclass
import r1trl

@dataclass
class Settings:
    rounds: int = 500

def run(work):
    return {}

def small(settings):
    return {**settings, "rounds": 1}

@r1trl.hookimpl
def r1trl_kinds():
    return {"own": r1trl.Kind(run=run, settings=Settings, small=small, size=lambda stage: "")}
"""


def test_a_kind_makes_its_own_settings_small(
    composed: Callable[..., Composed], plugin_file: Callable[..., str]
) -> None:
    chosen = (f"plugins.load=[{plugin_file(OWN)}]", "stages.own.kind=own")
    data = ("stages.own.model=x/y", "stages.own.data.a.dataset=tiny_problems")
    plan = make_plan(composed(*chosen, *data))
    assert small_stage(asdict(plan.stages[0].config), plan.stages[0].kind)["rounds"] == 1


def test_what_asks_other_machines_is_left_out_and_named(
    composed: Callable[..., Composed], tmp_path: Any
) -> None:
    judge = "{model: m, url: 'http://judge:1/v1'}"
    plan = make_plan(
        composed(
            "recipe=zero",
            "scale=tiny",
            f"stages.zero.rewards.taste={{reward: llm_judge, weight: 0.5, {judge[1:-1]}}}",
            f"stages.zero.filters.llm_judge={{judge: {judge}}}",
            "stages.zero.rewards.tests={reward: code, sandbox: piston, url: 'http://p:2'}",
            "stages.scoreboard.endpoints={urls: ['http://gpu:8000/v1']}",
            "wandb={enabled: true, mode: offline}",
        )
    )
    small = small_plan(plan, {}, tmp_path)
    assert sorted(small.not_asked) == [
        "stages.scoreboard.endpoints: a small model here writes the completions instead",
        "stages.zero.filters.llm_judge: the judge m at http://judge:1/v1 is not asked",
        "stages.zero.rewards.taste: the judge m at http://judge:1/v1 is not asked",
        "stages.zero.rewards.tests: the sandbox piston is not asked",
        "trackers: nothing is told to wandb",
    ]
    zero = small.plan.config.stages["zero"]
    assert zero.rewards["taste"] == {"reward": "rehearsal_stand_in", "weight": 0.5}
    assert zero.filters["llm_judge"] is None
    assert small.plan.config.stages["scoreboard"].endpoints is None
    assert not small.plan.config.wandb.enabled


def test_what_is_changed_is_told_with_what_it_was(
    composed: Callable[..., Composed], tmp_path: Any
) -> None:
    plan = make_plan(composed(*FULL, "launch=zero3", "stages.zero.args.optim=adamw_8bit"))
    told = changes(plan, small_plan(plan, {}, tmp_path).plan)
    assert "args.optim=adamw_torch in place of adamw_8bit" in told
    assert "dtype=float32 in place of bfloat16" in told
    assert "launch.how=local in place of accelerate" in told
    assert "args.max_steps=2 in place of 8200, 2200, 1000, 1700, 10400" in told
    assert not [line for line in told if "learning_rate" in line or "in place of nothing" in line]
