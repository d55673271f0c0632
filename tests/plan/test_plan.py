"""Everything wrong with a run is told before it starts, all at once, each with its key."""

import copy
import functools
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from finished import finish as finished

from r1trl.config.checked import Composed, checked
from r1trl.config.compose import compose
from r1trl.config.keys import delete_key, set_key
from r1trl.errors import ConfigError
from r1trl.plan.describe import describe, gpu_notes
from r1trl.plan.plan import make_plan
from r1trl.run.loop import locked

HIDING = """\
import r1trl

def ask(prompts, completions, completion_ids, *, timeout: int = 3, needed: str, **columns):
    return [1.0 for _ in completions]

@r1trl.hookimpl
def r1trl_rewards():
    return {"ask": ask}
"""
ZERO = ("recipe=zero", "scale=tiny")
R1 = ("recipe=r1", "scale=tiny")
REWARDS = ", ".join(
    "accuracy code cosine_length first_of function_call group_length instructions json_schema "
    "language_consistency llm_judge reasoning_gym reasoning_steps reflection_words refusal "
    "repetition reward_model "
    "safe_reply soft_overlong tag_count think_format".split()
)
WRONG: dict[str, tuple[tuple[str, ...], list[str]]] = {
    "an unknown reward": (
        (*ZERO, "stages.zero.rewards.acuracy={weight: 1.0}"),
        [
            "stages.zero.rewards: no reward is called 'acuracy' (did you mean 'accuracy'?); "
            f"there are: {REWARDS}"
        ],
    ),
    "an unknown reward behind a name of one's own": (
        (*ZERO, "stages.zero.rewards.mine={reward: tag_cuont}"),
        ["stages.zero.rewards: no reward is called 'tag_cuont' (did you mean 'tag_count'?)"],
    ),
    "an option that names a reward which the stage does not have": (
        (*ZERO, "stages.zero.rewards.short={reward: group_length, correct: acuracy}"),
        [
            "stages.zero.rewards.short.correct: no other reward is called 'acuracy' (did you mean "
            "'accuracy'?)"
        ],
    ),
    "a default that names a reward which the stage does not have": (
        (*ZERO, "stages.zero.rewards={group_length: {}, accuracy: null}"),
        ["stages.zero.rewards.group_length.correct: no other reward is called 'accuracy'"],
    ),
    "a reward of groups that processes would get parts of": (
        (
            *ZERO,
            "stages.zero.rewards.group_length={}",
            "launch=cpu2",
            "stages.zero.args.per_device_train_batch_size=4",
            "stages.zero.rollout.outputs=24",
            "stages.zero.rollout.minibatches=1",
            "stages.zero.args.save_steps=20",
        ),
        [
            "stages.zero.rewards.group_length: compares the completions of a prompt, but rollout."
            "outputs=24 over 2 processes does not divide into whole groups of args.num_generations"
        ],
    ),
    "a reward that this machine cannot give": (
        (*ZERO, "stages.zero.rewards.tests={reward: code, sandbox: piston}"),
        ["stages.zero.rewards.tests: "],
    ),
    "an unknown filter": (
        (*ZERO, "stages.zero.filters.hed={count: 3}"),
        ["stages.zero.filters: no filter is called 'hed' (did you mean 'head'?)"],
    ),
    "an unknown filter of one source": (
        (*ZERO, "stages.zero.data.problems.filters.corect={}"),
        ["stages.zero.data.problems.filters: no filter is called 'corect' (did you mean 'correct'"],
    ),
    "an unknown sampler": (
        (*ZERO, "stages.zero.samplers.phase={}"),
        ["stages.zero.samplers: no sampler is called 'phase' (did you mean 'phases'?)"],
    ),
    "an unknown transition": (
        (*ZERO, "stages.zero.transitions.platoe={}"),
        ["stages.zero.transitions: no transition is called 'platoe' (did you mean 'plateau'?)"],
    ),
    "an unknown dataset": (
        (*ZERO, "stages.zero.data.more.dataset=tiny_problem"),
        ["stages.zero.data.more.dataset: no dataset is called 'tiny_problem' (did you mean 'tiny_"],
    ),
    "an unknown kind": (
        (*ZERO, "stages.zero.kind=grop"),
        ["stages.zero.kind: no kind is called 'grop' (did you mean 'grpo'?); there are:"],
    ),
    "an unknown TRL argument": (
        (*ZERO, "stages.zero.args.learning_rtae=1.0"),
        ["stages.zero.args: GRPOConfig has no 'learning_rtae' (did you mean 'learning_rate'?)"],
    ),
    "a TRL argument of the wrong type": (
        (*ZERO, "stages.zero.args.max_steps=many"),
        ["stages.zero.args.max_steps: value 'many' of type 'str' is not an int"],
    ),
    "a TRL argument that r1trl sets": (
        (*ZERO, "stages.zero.args.output_dir=here"),
        ["stages.zero.args.output_dir: r1trl sets it itself: a stage has a folder of its own"],
    ),
    "an option that the reward does not have": (
        (*ZERO, "stages.zero.rewards.accuracy.anser=boxed"),
        ["stages.zero.rewards.accuracy: reward 'accuracy' has no option 'anser' (did you mean 'an"],
    ),
    "an option that is none of the choices": (
        (*ZERO, "stages.zero.rewards.accuracy.answer=boxes"),
        ["stages.zero.rewards.accuracy.answer: 'boxes' is not possible (did you mean 'boxed'?)"],
    ),
    "an option of the wrong type": (
        (*ZERO, "stages.zero.samplers.phases.start_steps=soon"),
        ["stages.zero.samplers.phases.start_steps: value 'soon' is not a mapping"],
    ),
    "a missing option": (
        (*ZERO, "stages.zero.samplers.phases={}"),
        ["stages.zero.samplers.phases: sampler 'phases' needs the option 'start_steps'"],
    ),
    "a dataset's option of the wrong type": (
        (*ZERO, "stages.zero.data.problems.options.count=all"),
        ["stages.zero.data.problems.options.count: value 'all' of type 'str' is not an int"],
    ),
    "a reward that is no mapping": (
        (*ZERO, "stages.zero.rewards.accuracy=3"),
        ["stages.zero.rewards.accuracy: must be a mapping of options"],
    ),
    "a weight that is no number": (
        (*ZERO, "stages.zero.rewards.accuracy.weight=heavy"),
        ["stages.zero.rewards.accuracy.weight: value 'heavy' of type 'str' is not a float"],
    ),
    "a reward that requires an unknown one": (
        (*ZERO, "stages.zero.rewards.accuracy.requires=[think_fromat]"),
        [
            "stages.zero.rewards.accuracy.requires: no other reward is called 'think_fromat' "
            "(did you mean 'think_format'?)"
        ],
    ),
    "a reward that requires itself": (
        (*ZERO, "stages.zero.rewards.accuracy.requires=[accuracy]"),
        ["stages.zero.rewards.accuracy.requires: no other reward is called 'accuracy'"],
    ),
    "a column that hides an option": (
        (*ZERO, "stages.zero.data.problems.columns={prompt: prompt, answer: solution}"),
        [
            "stages.zero.rewards.accuracy: the data has a column 'answer' "
            "(stages.zero.data.problems.columns), which would hide the reward's option"
        ],
    ),
    "a reference to a later stage": (
        (*R1, "stages.dev1.data.more.path=stage:dev2_samples"),
        ["stages.dev1.data.more.path: stage 'dev2_samples' comes later in the recipe"],
    ),
    "a dataset where a model is needed": (
        (*R1, "stages.dev2.model=stage:zero_samples"),
        ["stages.dev2.model: stage 'zero_samples' makes a dataset, not a model"],
    ),
    "a model where a dataset is needed": (
        (*R1, "stages.dev1.data.cold_start.path=stage:zero"),
        ["stages.dev1.data.cold_start.path: stage 'zero' makes a model, not a dataset"],
    ),
    "a reference to nothing": (
        (*R1, "stages.dev2.model=stage:safty_rm2"),
        ["stages.dev2.model: no stage is called 'safty_rm2' (did you mean 'safety_rm'?)"],
    ),
    "a reward's reference to nothing": (
        (*R1, "stages.r1.rewards.safety.model=stage:safty_rm"),
        ["stages.r1.rewards.safety.model: no stage is called 'safty_rm' (did you mean 'safety_rm'"],
    ),
    "a reference to nothing in an evaluation": (
        (*ZERO, "stages.scoreboard.models.more.path=stage:r1"),
        ["stages.scoreboard.models.more.path: no stage is called 'r1'; there are: scoreboard,"],
    ),
    "an sft stage that is evaluated without rewards": (
        (*R1, "stages.dev1.evaluate.every=10"),
        ["stages.dev1.evaluate.metrics.correct: no reward of this stage is called 'accuracy'"],
    ),
    "evaluations of what generates nothing": (
        (*R1, "stages.helpful_rm.evaluate.every=10"),
        ["stages.helpful_rm.evaluate: RewardTrainer takes no evaluate; "],
    ),
    "evaluations with a reward, samples and shards that are not there": (
        (
            *R1,
            "stages.zero.evaluate={every: 5, metrics: {correct: accuracy, kind: politeness}}",
            "stages.zero.evaluate.sampling={max_n: 4, shard_size: 8}",
            "stages.zero.evaluate.benchmarks=[helt_out]",
        ),
        [
            "stages.zero.evaluate.benchmarks: no benchmark is called 'helt_out' (did you mean",
            "stages.zero.evaluate.metrics.kind: no reward of this stage is called 'politeness'",
            "stages.zero.evaluate.sampling.max_n: means nothing without sampling.stop_after",
            "stages.zero.evaluate.sampling.shard_size: reaches nothing: no shards are written",
        ],
    ),
    "a reward of right completions that is not there": (
        (*R1, "stages.zero.metrics.correct=acuracy"),
        [
            "stages.zero.metrics.correct: no reward of this stage is called 'acuracy' (did you "
            "mean 'accuracy'?); there are: accuracy, ",
        ],
    ),
    "another metric of rollouts": (
        (*R1, "stages.dev2.metrics.format=think_format"),
        ["stages.dev2.metrics.format: "],
    ),
    "evaluations of a model that vLLM draws from": (
        (*R1, "stages.zero.evaluate.every=5", "stages.zero.args.use_vllm=true"),
        ["stages.zero.evaluate.every: r1trl's own decoding answers held-out rows"],
    ),
    "rewards on an sft stage": (
        (*R1, "stages.dev1.rewards.accuracy={}"),
        ["stages.dev1.rewards: score held-out rows alone, and there are none; set evaluate.every"],
    ),
    "samplers on a stage that draws nothing": (
        (*R1, "stages.dev1.samplers.uniform={}"),
        ["stages.dev1.samplers: SFTTrainer takes no samplers; grpo, rloo, sample, evaluate"],
    ),
    "trainer arguments on a stage without a trainer": (
        (*R1, "stages.zero_samples.args.max_steps=1"),
        ["stages.zero_samples.args: a stage of kind sample has no trainer"],
    ),
    "reinforcement learning without a reward": (
        (*ZERO, "~stages.zero.rewards"),
        ["stages.zero.rewards: a stage of kind grpo needs at least one"],
    ),
    "no model": (
        (*ZERO, "stages.zero.model=null"),
        ["stages.zero.model: must be given: a folder, a Hub id or stage:<name>"],
    ),
    "no data": (
        (*ZERO, "~stages.zero.data.problems"),
        ["stages.zero.data: must name at least one source"],
    ),
    "a source without rows": (
        (*ZERO, "stages.zero.data.mine={sample_rows: 3}"),
        ["stages.zero.data.mine: needs a path or a dataset; the run has: general, helpful,"],
    ),
    "a measure of a reward that the stage has not": (
        (*ZERO, "stages.scoreboard.metrics.format=thinking"),
        ["stages.scoreboard.metrics.format: no reward of this stage is called 'thinking'"],
    ),
    "a missing model folder": (
        (*ZERO, "stages.zero_first.model=./no_such_model"),
        ["stages.zero_first.model: there is no folder ./no_such_model"],
    ),
    "a missing file": (
        (*ZERO, "stages.zero.data.more.path=no_such_rows.jsonl"),
        ["stages.zero.data.more.path: there is no file no_such_rows.jsonl"],
    ),
    "a rollout that does not divide into micro-batches": (
        (*ZERO, "stages.zero.args.per_device_train_batch_size=48"),
        [
            "stages.zero.rollout.outputs: 256 in rollout.minibatches=2 updates does not divide "
            "into micro-batches of 48 (args.per_device_train_batch_size × 1 processes)"
        ],
    ),
    "a rollout that does not divide over the processes": (
        (*ZERO, "stages.zero.launch={how: accelerate, processes: 3}"),
        ["stages.zero.rollout.outputs: 256 in rollout.minibatches=2 updates does not divide into "],
    ),
    "a rollout that does not divide into groups": (
        (*ZERO, "stages.zero.args.num_generations=24"),
        ["stages.zero.rollout.outputs: 256 is not a multiple of args.num_generations=24"],
    ),
    "checkpoints within a rollout": (
        (*ZERO, "stages.zero.args.save_steps=5"),
        [
            "stages.zero.args.save_steps: 5 is not a multiple of rollout.minibatches=2; a "
            "checkpoint within a rollout cannot be resumed exactly; choose 4 or 6"
        ],
    ),
    "checkpoints within a rollout that is trained on twice": (
        (*ZERO, "stages.zero.args.save_steps=6", "stages.zero.args.num_iterations=2"),
        [
            "stages.zero.args.save_steps: 6 is not a multiple of rollout.minibatches=2 × "
            "args.num_iterations=2; a checkpoint within a rollout cannot be resumed exactly; "
            "choose 4 or 8"
        ],
    ),
    "checkpoints at a share of the steps": (
        (*ZERO, "stages.zero.args.save_steps=0.1", "stages.zero.args.max_steps=30"),
        [
            "stages.zero.args.save_steps: 0.1 of 30 steps, 3 is not a multiple of "
            "rollout.minibatches=2; a checkpoint within a rollout cannot be resumed exactly; "
            "choose 2 or 4"
        ],
    ),
    "checkpoints at the ends of epochs": (
        (*ZERO, "stages.zero.args.save_strategy=epoch"),
        [
            "stages.zero.args.save_strategy: epoch may end within the steps of "
            "rollout.minibatches=2; "
            "a checkpoint within a rollout cannot be resumed exactly; use steps"
        ],
    ),
    "no checkpoints asked for, and TRL's own within a rollout": (
        (
            *ZERO,
            "~stages.zero.args.save_steps",
            "stages.zero.rollout.minibatches=16",
            "stages.zero.args.per_device_train_batch_size=16",
        ),
        ["stages.zero.args.save_steps: TRL's own 500 is not a multiple of rollout.minibatches=16"],
    ),
    "a rollout of nothing": (
        (*ZERO, "stages.zero.rollout.minibatches=0"),
        ["stages.zero.rollout.minibatches: 0 is not possible; it must be at least 1"],
    ),
    "a sampler without an end": (
        (*ZERO, "stages.zero.samplers.uniform={}", "~stages.zero.args.max_steps"),
        ["stages.zero.args.max_steps: must be given if a sampler chooses the prompts"],
    ),
    "an unknown policy for failures": (
        (*ZERO, "stages.zero.scoring.on_failure=masked"),
        ["stages.zero.scoring.on_failure: 'masked' is not possible (did you mean 'mask'?)"],
    ),
    "an unknown way to launch": (
        (*ZERO, "stages.zero.launch={how: kubernetes}"),
        ["stages.zero.launch.how: 'kubernetes' is not possible; choose one of: local, accelerate"],
    ),
    "an unknown objective": (
        (*R1, "stages.helpful_rm.objective=pairs"),
        ["stages.helpful_rm.objective: 'pairs' is not possible (did you mean 'pairwise'?)"],
    ),
    "a name that is no folder's": (
        (*ZERO, "name=a/b"),
        ["name: 'a/b' cannot be the name of a folder"],
    ),
    "names that are no folders'": (
        (
            *ZERO,
            "stages.zero.data={../x: {path: a}}",
            "stages.scoreboard.models={p/q: {path: a}}",
            "benchmarks={..: {path: a}}",
        ),
        [
            "benchmarks: '..' cannot be the name of a folder; use letters, digits and . _ = , + -",
            "stages.zero.data: '../x' cannot be the name of a folder",
            "stages.scoreboard.models: 'p/q' cannot be the name of a folder",
        ],
    ),
    "a model of a stage that has its own": (
        (*ZERO, "stages.scoreboard.model=some/model"),
        ["stages.scoreboard.model: a stage of kind evaluate takes no model; "],
    ),
    "no recipe": ((), ["stages: the recipe has none; choose one with recipe=…"]),
    "a plugin that is not there": (
        (*ZERO, "plugins.load=[./no_such_plugin.py]"),
        ["plugins.load: './no_such_plugin.py' cannot be imported: FileNotFoundError"],
    ),
    "a key of the wrong type": (
        (*ZERO, "stages.zero.rollout.outputs=many"),
        ["stages.zero.rollout.outputs: value 'many' of type 'str' is not an int"],
    ),
    "stages that are no mapping": (
        (*ZERO, "stages=3"),
        ["stages: value '3' is not a mapping", "stages: the recipe has none; choose one with"],
    ),
    "data that is no mapping": (
        (*ZERO, "stages.zero.data=problems"),
        [
            "stages.zero.data: value 'problems' is not a mapping",
            "stages.zero.data: must name at least one source",
        ],
    ),
    "several problems at once": (
        (
            *R1,
            "stages.zero.rewards.acuracy={}",
            "stages.dev1.args.learning_rtae=1.0",
            "stages.dev2.model=stage:safty_rm2",
            "stages.dev3.filters.corect={}",
            "stages.r1.samplers.phases.by=3",
            "name=a/b",
        ),
        [
            "name: 'a/b'",
            "stages.zero.rewards: no reward is called 'acuracy'",
            "stages.dev1.args: SFTConfig has no 'learning_rtae'",
            "stages.dev2.model: no stage is called 'safty_rm2'",
            "stages.dev3.filters: no filter is called 'corect'",
            "stages.r1.samplers.phases.by: value '3' of type 'int' is not a str",
        ],
    ),
}
WRONG |= {
    "an adapter that cannot be trained or handed over": (
        (*R1, "stages.dev2.adapter={}", "stages.helpful_rm.adapter={}"),
        ["stages.dev2.adapter: the reference is the model without it, and cannot be replaced"],
    ),
    "a setting that OpenAI's own servers refuse": (
        (
            *R1,
            "stages.dev2_samples.endpoints={urls: ['http://a/v1'], api: openai}",
            "stages.dev2_samples.sampling.top_k=5",
        ),
        ["stages.dev2_samples.endpoints.api: openai knows no sampling.top_k (5); leave it out"],
    ),
    "a file of a stage that is no dataset": (
        (
            *R1,
            "stages.dev2.model=stage:dev1/best",
            "stages.dev2.data.problems={path: stage:zero_samples/hardest.txt}",
            "stages.dev3.data.dev2_samples.path=stage:dev2_sampels/hardest.parquet",
        ),
        [
            "stages.dev2.model: 'best' is no model; a stage's folder may hold a file of rows",
            "stages.dev2.data.problems.path: 'hardest.txt' is no dataset; a stage's folder may",
            "stages.dev3.data.dev2_samples.path: no stage is called 'dev2_sampels' (did you mean",
        ],
    ),
}
WRONG |= {
    "an inference sampler in training": (
        (*R1, "stages.dev2.samplers={best_of_n: {reward: accuracy}}"),
        ["stages.dev2.samplers.best_of_n: has no choose or observe or admit, which is all that"],
    ),
    "rewards of a guard that the stage does not have": (
        (*R1, "stages.scoreboard.samplers={retry: {rewards: [accuracy, format]}}"),
        ["stages.scoreboard.samplers.retry.rewards: no reward of this stage is called 'format'"],
    ),
    "a training sampler at inference": (
        (
            *R1,
            "stages.scoreboard.samplers={dynamic: {}}",
            "stages.dev2_samples.samplers={phases: {start_steps: {}}}",
        ),
        [
            "stages.dev2_samples.samplers.phases: has no generate, which is all that a stage of",
            "stages.scoreboard.samplers.dynamic: has no generate, which is all that a stage of",
        ],
    ),
    "servers": (
        (
            *R1,
            "stages.dev1.endpoints={urls: [http://x]}",
            "stages.dev2_samples.endpoints={urls: [], timeout: 0}",
            "stages.scoreboard.models.r1.endpoints={urls: [localhost:8000]}",
        ),
        [
            "stages.dev2_samples.endpoints.timeout: 0 is not possible; it must be above 0",
            "stages.dev1.endpoints: SFTTrainer takes no endpoints; sample, evaluate stages do",
            "stages.dev2_samples.endpoints.urls: must name at least one server",
            "stages.scoreboard.models.r1.endpoints.urls: 'localhost:8000' is no address",
        ],
    ),
    "stopping early": (
        (
            *R1,
            "stages.zero_samples.sampling={max_n: 8}",
            "stages.dev2_samples.sampling={stop_after_correct: 1, n: 4, max_n: 4}",
            "stages.dev2_samples.metrics={correct: acuracy}",
        ),
        [
            "stages.zero_samples.sampling.max_n: means nothing without sampling.stop_after_correct",
            "stages.dev2_samples.sampling.max_n: must be given and above sampling.n=4",
            "stages.dev2_samples.sampling.stop_after_correct: needs the reward that ",
        ],
    ),
    "a mixture": (
        (
            *R1,
            "stages.r1.data.problems.weight=2",
            "stages.r1.data.safety.weight=-1",
        ),
        [
            "stages.r1.data.safety.weight: -1 is not possible; it must be above 0",
            "stages.r1.data.helpful.weight: must be given, as other sources have one",
            "stages.r1.data.safety.weight: must be given, as other sources have one",
        ],
    ),
    "a system prompt in a raw template": (
        (*R1, "stages.zero.system=x", "stages.scoreboard.models.zero.system=x"),
        [
            "stages.zero.system: a raw template has no system prompt; write it into template",
            "stages.scoreboard.models.zero.system: a raw template has no system prompt",
        ],
    ),
    "variables of a raw template": (
        (*R1, "stages.zero.chat_template_kwargs={enable_thinking: false}"),
        ["stages.zero.chat_template_kwargs: a raw template reads none; write it into template"],
    ),
    "benchmarks of a filter": (
        (
            *R1,
            "stages.dev1.filters={decontaminate: {benchmarks: [held_uot]}}",
            "stages.dev3.filters={decontaminate: {benchmarks: held_out}}",
        ),
        [
            "stages.dev1.filters.decontaminate.benchmarks: no benchmark is called 'held_uot' (did",
            "stages.dev3.filters.decontaminate.benchmarks: value 'held_out' is not a list",
        ],
    ),
}
UNKNOWN: dict[str, tuple[tuple[str, ...], list[str]]] = {
    "an unknown top-level key": (
        (*ZERO, "sede=3"),
        ["sede: there is no such key (did you mean 'seed'?); there are: benchmarks,"],
    ),
    "an unknown top-level key with a plus": (
        (*ZERO, "+sede=3"),
        ["sede: there is no such key (did you mean 'seed'?); there are: benchmarks,"],
    ),
    "an unknown nested key": (
        (*ZERO, "stages.zero.rollout.output=3"),
        ["stages.zero.rollout.output: there is no such key (did you mean 'outputs'?); there are:"],
    ),
    "an unknown nested key with a plus": (
        (*ZERO, "++stages.zero.modle=x"),
        ["stages.zero.modle: there is no such key (did you mean 'model'?); there are: adapter,"],
    ),
    "several unknown keys at once": (
        (*ZERO, "sede=3", "stages.zero.modle=x", "model.paht=y"),
        ["model.paht: there is no", "sede: there is no", "stages.zero.modle: there is no"],
    ),
}


@functools.cache
def composed_once(groups: tuple[str, ...]) -> dict[str, Any]:
    """Compose a recipe; return the run as plain values."""
    return asdict(compose([*groups, "name=test"], None).config)


def run_of(*overrides: str) -> Composed:
    """Return a run: composed once for its groups, then changed key by key."""
    groups = tuple(o for o in overrides if o.startswith(("recipe=", "scale=", "launch=")))
    values = copy.deepcopy(composed_once(groups))
    for override in overrides:
        if override not in groups:
            _change(values, override)
    return checked(values, "")


def _change(values: dict[str, Any], override: str) -> None:
    key, _, value = override.lstrip("~").partition("=")
    if override.startswith("~"):
        delete_key(values, key)
    else:
        list(set_key(values, key, yaml.safe_load(value)))


def problems_of(*overrides: str) -> list[str]:
    """Return what is wrong with a run, as the command line tells it."""
    problems = []
    try:
        run = run_of(*overrides)
    except ConfigError as error:
        problems, run = error.problems, error.partial
    try:
        if run is not None:
            make_plan(run)
    except ConfigError as error:
        problems = problems + error.problems
    assert problems, "nothing is wrong"
    return problems


def test_what_evaluates_is_refused_of_a_stage_that_does_not() -> None:
    with pytest.raises(ConfigError) as caught:
        make_plan(compose([*R1, "stages.dev1.evaluate.rows=8", "name=test"], None))
    key = "stages.dev1.evaluate.rows"
    assert caught.value.problems == [f"{key}: nothing is evaluated; set evaluate.every too"]


def test_a_stage_reads_the_benchmarks_that_its_evaluations_name_and_no_others() -> None:
    def stages(*overrides: str) -> dict[str, Any]:
        plan = make_plan(compose([*ZERO, "name=test", *overrides], None))
        return {stage.spec.stage: stage.spec.settings["benchmarks"] for stage in plan.stages}

    assert stages()["zero"] == {} and len(stages()["scoreboard"]) > 1
    every = stages("stages.zero.evaluate.every=5")
    assert every["zero"] == every["scoreboard"] and every["zero_first"] == {}
    one = stages("stages.zero.evaluate.every=5", "stages.zero.evaluate.benchmarks=[harder]")
    assert list(one["zero"]) == ["harder"] and one["scoreboard"] == every["scoreboard"]


@pytest.mark.parametrize(
    "override",
    [
        "benchmarks={mine: {path: ROWS}}",
        "benchmarks.mine.path=ROWS",
        "benchmarks.helpful=null",
        "~benchmarks.helpful",
    ],
)
def test_benchmarks_may_be_added_replaced_and_dropped(override: str, tmp_path: Path) -> None:
    rows = tmp_path / "mine.jsonl"
    rows.write_text('{"prompt": "1 + 1?", "solution": "2"}\n')
    run = compose([*ZERO, "name=test", override.replace("ROWS", str(rows))], None)
    board = make_plan(run).stages[-1].config
    assert ("mine" in board.benchmarks) == ("mine" in override)
    assert "helpful" not in board.benchmarks or override.startswith("benchmarks.mine")


def test_a_training_that_evaluates_has_no_rewards_for_sources_that_are_not_there() -> None:
    overrides = ("stages.zero.evaluate.every=5", "stages.zero.rewards.accuracy.where.source=chat")
    with pytest.raises(ConfigError) as caught:
        make_plan(compose([*ZERO, "name=test", *overrides], None))
    start = "stages.zero.rewards.accuracy.where.source: no source of this stage is called 'chat'"
    assert any(problem.startswith(start) for problem in caught.value.problems)


@pytest.mark.parametrize("what", UNKNOWN)
def test_an_unknown_key_is_told_with_and_without_a_plus(what: str) -> None:
    overrides, expected = UNKNOWN[what]
    with pytest.raises(ConfigError) as caught:
        compose([*overrides, "name=test"], None)
    for problem, start in zip(caught.value.problems, expected, strict=True):
        assert problem.startswith(start)


def test_several_problems_of_a_composed_run_are_told_at_once() -> None:
    overrides, expected = WRONG["several problems at once"]
    with pytest.raises(ConfigError) as caught:
        make_plan(compose([*overrides], None))
    for problem, start in zip(caught.value.problems, expected, strict=True):
        assert problem.startswith(start)


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_told_with_its_key(what: str) -> None:
    overrides, expected = WRONG[what]
    problems = problems_of(*overrides)
    for problem, start in zip(problems, expected, strict=True):
        assert problem.startswith(start)


def test_weights_in_four_bits_are_refused_on_a_cpu_and_without_their_package() -> None:
    cpu = "stages.helpful_rm.args.use_cpu=true"
    problems = problems_of(*R1, "stages.helpful_rm.adapter={quantize: 4bit}", cpu)
    key = "stages.helpful_rm.adapter.quantize"
    assert problems[-1].startswith(f"{key}: 4 bits are for GPUs, and the stage is on a CPU; leave")
    packages = [] if find_spec("bitsandbytes") else [f"{key}: needs the package bitsandbytes: pip"]
    assert [p.partition(" install")[0] for p in problems[:-1]] == packages


def test_a_column_that_hides_an_option_and_a_missing_option_of_a_plugin_file(
    plugin_file: Any,
) -> None:
    rewards = "stages.zero.rewards.ask={weight: 1.0}"
    columns = "stages.zero.data.problems.columns={prompt: prompt, timeout: '{{ 3 }}'}"
    load = f"plugins.load=[{plugin_file(HIDING)}]"
    missing, hidden = problems_of(*ZERO, load, rewards, columns)
    assert missing == "stages.zero.rewards.ask: reward 'ask' needs the option 'needed'"
    assert hidden.startswith("stages.zero.rewards.ask: the data has a column 'timeout'")


def test_a_kind_that_names_an_unknown_class_of_trl_is_named(plugin_file: Any) -> None:
    source = """
    import r1trl
    @r1trl.hookimpl
    def r1trl_kinds():
        return {"odd": r1trl.Kind(run=print, needs=("model",), trl_config="NopeConfig")}
    """
    load, stage = f"plugins.load=[{plugin_file(source)}]", "stages.odd={kind: odd, model: m}"
    (problem,) = problems_of(*ZERO, load, stage)
    assert problem.startswith("stages.odd.kind: plugin '")
    assert "kind 'odd': trl_config: TRL has no config class 'NopeConfig'" in problem


def test_a_kind_whose_functions_fail_is_named(plugin_file: Any) -> None:
    source = """
    import r1trl
    def broken(stage):
        raise KeyError("oops")
    @r1trl.hookimpl
    def r1trl_kinds():
        return {
            "one": r1trl.Kind(run=print, needs=("model",), problems=broken),
            "two": r1trl.Kind(run=print, needs=("model",), size=broken),
        }
    """
    load = f"plugins.load=[{plugin_file(source)}]"
    (problem,) = problems_of(*ZERO, load, "stages.odd={kind: one, model: m}")
    assert problem == "stages.odd: problems of kind 'one' failed: KeyError: 'oops'"
    plan = make_plan(run_of(*ZERO, load, "stages.odd={kind: two, model: m}"))
    with pytest.raises(ConfigError, match=r"stages.odd: size of kind 'two' failed: KeyError"):
        describe(plan)


def test_the_name_of_a_model_behind_a_judges_server_is_no_folder() -> None:
    reward = "{reward: llm_judge, model: accounts/a/models/b, url: 'http://a/v1', rubric: 'Good?'}"
    problems = model_problems(*ZERO, f"stages.zero_first.rewards.judge={reward}")
    assert not [line for line in problems if "there is no folder" in line]


def model_problems(*overrides: str) -> list[str]:
    """Return the problems of a run; none if there are none."""
    try:
        make_plan(run_of(*overrides))
    except ConfigError as error:
        return error.problems
    return []


def test_a_model_folder_without_weights_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (problem,) = problems_of(*ZERO, f"stages.zero_first.model={tmp_path}")
    assert problem == (
        f"stages.zero_first.model: the folder {tmp_path} has no model weights (*.safetensors)"
    )
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / "tokenizer.json").write_text("{}")
    make_plan(run_of(*ZERO, f"stages.zero_first.model={tmp_path}"))


def finish(run: Composed, name: str) -> Path:
    """Make a planned stage look finished, its inputs as they are."""
    return finished(next(s for s in make_plan(run).stages if s.spec.stage == name))


@pytest.fixture
def started(tmp_path: Path) -> Callable[..., Composed]:
    """Return a function that composes a run in a folder of the test's own."""

    def compose_(*overrides: str) -> Composed:
        return run_of(*ZERO, "name=run", f"runs_dir={tmp_path}", *overrides)

    return compose_


def test_a_finished_stage_is_not_to_be_done_again(started: Any) -> None:
    finish(started(), "zero_first")
    plan = make_plan(started())
    assert [stage.finished for stage in plan.stages] == [True, False, False]
    assert "finished" in describe(plan) and "to do" in describe(plan)


@pytest.mark.parametrize(
    ("override", "difference"),
    [
        (
            "stages.zero_first.args.learning_rate=7.0e-6",
            "stages.zero_first.args.learning_rate: was 0.5, would be 7e-06",
        ),
        ("seed=2", "seed: was 1, would be 2"),
        (
            "~stages.zero_first.rewards.think_format",
            "stages.zero_first.rewards.think_format: was {'weight': 1.0, 'profile': "
            "'think_answer'}, would be nothing",
        ),
    ],
)
def test_a_finished_stage_that_would_now_differ_names_the_key_and_the_mend(
    override: str, difference: str, started: Any
) -> None:
    rate = "stages.zero_first.args.learning_rate=0.5"
    folder = finish(started(rate), "zero_first")
    with pytest.raises(ConfigError) as caught:
        make_plan(started(rate, override))
    assert caught.value.problems == [
        f"{difference}, and the stage is finished",
        "stages.zero_first: undo the change, or: redo=zero_first carries it out again, and zero, "
        "scoreboard after it; keep=zero_first uses it as it is",
    ]
    make_plan(started(rate, override, "keep=zero_first"))
    shutil.rmtree(folder)
    make_plan(started(override))


def test_a_change_in_another_stage_leaves_a_finished_one_alone(started: Any) -> None:
    finish(started(), "zero_first")
    make_plan(started("stages.zero.args.learning_rate=7.0e-6"))


def test_a_finished_stage_whose_model_has_changed_is_named(started: Any) -> None:
    first = finish(started(), "zero_first")
    finish(started(), "zero")
    make_plan(started())
    (first / "model" / "weights").write_text("2")
    with pytest.raises(ConfigError, match="model/weights is not what the stage has made"):
        make_plan(started())


def test_a_stage_reads_what_an_earlier_one_leaves(started: Any) -> None:
    plan = make_plan(started())
    first, zero, board = (stage.spec for stage in plan.stages)
    model = str(plan.folder / "stages" / "zero_first" / "model")
    assert zero.inputs == {"stage:zero_first": model} and zero.settings["model"] == model
    assert board.settings["models"]["zero"]["path"].endswith("zero/model")
    assert "stage:" not in json.dumps([first.settings, zero.settings, board.settings])


def test_a_run_folder_in_use_is_refused(tmp_path: Path) -> None:
    told = pytest.raises(ConfigError, match="another r1trl is at work in")
    with locked(tmp_path), told, locked(tmp_path):
        raise AssertionError("two drivers hold one folder")
    with locked(tmp_path):
        pass


def test_a_plan_says_where_each_stage_starts_and_how_large_it_is(started: Any) -> None:
    sizes = ("stages.zero_first.args.max_steps=7", "stages.zero_first.rollout.outputs=512")
    plan = make_plan(started("launch=accelerate", "launch.processes=2", *sizes))
    lines = describe(plan).splitlines()
    assert lines[0].endswith("run: 3 stages, seed 1")
    cells = lines[3].split("  ")
    assert [c.strip() for c in cells if c.strip()] == [
        "zero_first",
        "grpo",
        "models/base",
        "problems",
        "7 steps × 256 outputs",
        "r1trl",
        "accelerate, 2 processes",
        "to do",
    ]
    assert lines[-1].endswith("that does not.")


def test_a_plan_says_who_draws_completions(started: Any) -> None:
    vllm = make_plan(started("stages.zero.args.use_vllm=true", "stages.zero_first.endpoints=null"))
    cells = [line.split() for line in describe(vllm).splitlines()]
    drawn = {line[0]: "vLLM," in line for line in cells if line and line[0].startswith("zero")}
    assert drawn == {"zero_first": False, "zero": True}


def test_vllm_that_is_not_installed_here_is_noted_as_it_may_be_elsewhere(
    composed: Callable[..., Composed],
) -> None:
    plan = make_plan(composed(*ZERO, "stages.zero.args.use_vllm=true"))
    assert plan.notes == [
        "stages.zero.args.use_vllm: vLLM is not installed here; pip install 'r1trl[vllm]' -c "
        "constraints-vllm.txt, or set generation.vllm=false"
    ]
    assert make_plan(composed(*ZERO)).notes == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"top_p": 0.95}, "args.top_p=0.95: vLLM draws from what that leaves"),
        ({"top_k": 20, "min_p": 0.1}, "args.top_k=20, args.min_p=0.1: vLLM draws from what that"),
        ({"top_p": 1.0, "top_k": 0, "min_p": None}, None),
    ],
)
def test_what_truncates_under_vllm_is_noted(
    given: dict[str, Any], said: str | None, composed: Callable[..., Composed]
) -> None:
    args = [f"stages.zero.args.{n}={'null' if v is None else v}" for n, v in given.items()]

    def notes(*more: str) -> list[str]:
        found = make_plan(composed(*ZERO, *args, *more)).notes
        return [note for note in found if "draws from" in note]

    assert notes() == [], "without vLLM, the trainer scores what it has drawn itself"
    told = notes("stages.zero.args.use_vllm=true")
    assert [note.startswith(f"stages.zero.{said}") for note in told] == ([True] if said else [])


@pytest.mark.parametrize(
    ("overrides", "gpus", "stages"),
    [
        ((), 1, []),
        ((), 2, ["zero_first", "zero", "scoreboard"]),
        (("launch=accelerate", "launch.processes=2"), 8, []),
        (("launch.environment={CUDA_VISIBLE_DEVICES: '0'}",), 8, []),
        (("stages.zero.args.use_cpu=true",), 8, ["zero_first", "scoreboard"]),
        (("stages.zero.launch={how: accelerate, processes: 2}",), 8, ["zero_first", "scoreboard"]),
    ],
)
def test_stages_that_leave_gpus_unused_are_named(
    overrides: tuple[str, ...], gpus: int, stages: list[str], composed: Any, tmp_path: Path
) -> None:
    plan = make_plan(composed(*ZERO, f"runs_dir={tmp_path}", *overrides))
    uses_all = f"launch=accelerate launch.processes={gpus} uses all"
    names = ", ".join(f"stages.{name}" for name in stages)
    expected = [f"{names}: one process uses 1 of {gpus} GPUs; {uses_all}"] if stages else []
    assert gpu_notes(plan, {}, gpus) == expected
