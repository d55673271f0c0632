"""What is given and reaches nothing is refused with its key, and what is misspelt with a hint."""

from pathlib import Path

import pytest

from r1trl.config.compose import compose
from r1trl.errors import ConfigError
from r1trl.plan.plan import make_plan

R1 = ("recipe=r1", "scale=tiny")
SERVED = "stages.dev2_samples"
# Overrides of one run, each with what is wrong with it.
REFUSED = {
    "launch.processes=4": "launch.processes: how=local starts one process; give how=accelerate too",
    "launch.config.x=1": "launch.config: how=local does not use accelerate; give how=accelerate",
    "stages.dev3.launch={processes: 2}": "stages.dev3.launch.processes: how=local starts one",
    "stages.r1.launch.config={a: b}": "stages.r1.launch.config: how=local does not use accelerate",
    "stages.zero.launch.gpu=true": "stages.zero.launch.gpu: only the run's is read, by generation",
    "sources.problems.split=test": "sources.problems.split: a plugin's dataset has none; set it",
    "sources.problems.filters.hed={}": "sources.problems.filters: no filter is called 'hed' (did",
    "stages.dev1.data.cold_start.split=x": "stages.dev1.data.cold_start.split: stage:zero_samples "
    "is one file and has none; set it to null",
    "stages.dev1.data.cold_start.options.count=3": "stages.dev1.data.cold_start.options: a source "
    "with a path has none; they are those of a plugin's dataset",
    "stages.dev3.data.reasoning.name=x": "stages.dev3.data.reasoning.name: stage:dev2_samples is",
    "stages.zero.data.probs.sample_rows=3": "stages.zero.data.probs: needs a path or a dataset "
    "(did you mean 'problems'?); the run has: general, ",
    "sources.helpfl.path=a/b": "sources.helpfl.path: no stage reads the source 'helpfl' (did you "
    "mean 'helpful'?)",
    "sources.general={path: README.md}": "sources.general.path: README.md is no file of rows",
    "benchmarks.held_uot.split=test": "benchmarks.held_uot: needs a path or a dataset (did you "
    "mean 'held_out'?); the run has: harder, held_out, helpful, safe, unseen",
    "benchmarks.held_out.weight=2": "benchmarks.held_out.weight: benchmarks are not mixed",
    "stages.zero.benchmarks.x.path=a/b": "stages.zero.benchmarks: a stage of kind grpo is not run",
    "scale.zero.stepz=3": "scale.zero.stepz: nothing in this run refers to ${scale.zero.stepz} "
    "(did you mean 'scale.zero.steps'?)",
    "template.zro=x": "template.zro: nothing in this run refers to ${template.zro} (did you mean "
    "'template.zero'?)",
    "teacher=a/b": "teacher: nothing in this run refers to ${teacher}",
    "stages.dev1.prefill=x": "stages.dev1.prefill: a stage of kind sft generates no completions",
    "stages.dev1.scoring.deadline=3": "stages.dev1.scoring: the stage has no rewards to score",
    "stages.zero.scoring.patience=9": "stages.zero.scoring.patience: 9 is not possible; it must be "
    "at least scoring.deadline=10, and is 6 times as much if it is not given",
    "stages.dev2.scoring.patience=10": "",
    "stages.scoreboard.template='{{ prompt }}'": "stages.scoreboard.template: each model has its "
    "own: models.<name>.template",
    "stages.scoreboard.prefill=x": "stages.scoreboard.prefill: each model has its own",
    "stages.zero.template=zeroo": "stages.zero.template: 'zeroo' has no {{ prompt }} (did you mean "
    "'zero'?); one of the run's is given as ${template.<name>}",
    f"{SERVED}.endpoints={{urls: [http://x]}}": "",
    f"{SERVED}.dtype=float32": f"{SERVED}.dtype: the servers of endpoints load the model; set it",
    f"{SERVED}.attn_implementation=sdpa": f"{SERVED}.attn_implementation: the servers of endpoints",
    f"{SERVED}.sampling.batch_size=3": f"{SERVED}.sampling.batch_size: the servers of endpoints",
    f"{SERVED}.rewards.accuracy.from_step=3": f"{SERVED}.rewards.accuracy.from_step: a stage of "
    "kind sample has no steps",
    "stages.zero.attn_implementation=spda": "stages.zero.attn_implementation: 'spda' is not "
    "possible (did you mean 'sdpa'?); choose one of: eager, ",
    "stages.dev2.attn_implementation=kernels-community/flash-attn": "",
    "stages.dev2.rewards.language_consistency.unless={source: [problms]}": "stages.dev2.rewards."
    "language_consistency.unless.source: no source of this stage is called 'problms' (did you mean",
    "stages.dev2.rewards.accuracy.where={source: problms}": "stages.dev2.rewards.accuracy.where."
    "source: no source of this stage is called 'problms' (did you mean 'problems'?)",
    "stages.r1.rewards.safety.until_step=20": "stages.r1.rewards.safety.until_step: 20 is not "
    "after from_step=30; the reward would never count",
    "stages.r1.rewards.accuracy.weight=nan": "stages.r1.rewards.accuracy.weight: nan is not finite",
    "stages.r1.rewards.think_format.weight=true": "stages.r1.rewards.think_format.weight: value "
    "'True' of type 'bool' is not a float",
    "stages.r1.rewards.helpfulness.weigth=2": "stages.r1.rewards.helpfulness: reward 'reward_model'"
    " has no option 'weigth' (did you mean 'weight'?); its options: model, ",
    "stages.r1.samplers.phases.start_steps={helpfull: 3}": "stages.r1.samplers.phases: no source "
    "of this stage is called 'helpfull' (did you mean 'helpful'?); there are: helpful, problems,",
    "stages.scoreboard.models.bsae.prefill=x": "stages.scoreboard.models.bsae.path: must be given "
    "for a new entry (did you mean 'base'?)",
    "stages.zer.args.x=1": "stages.zer: the recipe has no stage 'zer' (did you mean 'zero'?); to "
    "add a stage give it a kind: stages.zer.kind=…",
    "rewards.accuracy.weight=2": "rewards: there is no such key; it is a key of a stage, such as "
    "stages.zero_first.rewards; there are: ",
    "recpie=zero": "recpie: there is no such key (did you mean 'recipe'?); there are: benchmarks, ",
    "wandb.mod=offline": "wandb.mod: there is no such key (did you mean 'mode'?)",
    "~stages.dev2.rewards.acuracy": "stages.dev2.rewards.acuracy: there is nothing to delete (did "
    "you mean 'accuracy'?)",
}
ALLOWED = {
    "a local path over a dataset of the Hub": ("recipe=zero", "sources.problems.path={rows}"),
    "a local path over a plugin's": ("recipe=zero", "scale=tiny", "sources.problems.path={rows}"),
    "a template of one's own": (
        *("recipe=zero", "template.own='Q: {{{{ prompt }}}}'"),
        "stages.zero.template='${{template.own}}'",
    ),
    "a source of one's own": (
        *("recipe=zero", "stages.zero.data.own={{}}", "sources.own.path={rows}"),
    ),
    "the reasons of a phase in another column": (
        *("recipe=zero", "stages.zero.samplers.phases={{start_steps: {{hard: 3}}, by: level}}"),
    ),
    "processes of accelerate": ("recipe=zero", "launch.how=accelerate", "launch.processes=2"),
}


def problems_of(*overrides: str) -> list[str]:
    """Return what is wrong with a run, as the command line tells it."""
    problems, run = [], None
    try:
        run = compose([*overrides], None)
    except ConfigError as error:
        problems, run = error.problems, error.partial
    with pytest.raises(ConfigError) as caught:
        make_plan(run)
    return problems + caught.value.problems


def test_what_reaches_nothing_or_is_misspelt_is_refused_all_at_once() -> None:
    problems = problems_of(*R1, *REFUSED)
    for override, start in REFUSED.items():
        found = [problem for problem in problems if start and problem.startswith(start)]
        assert len(found) == bool(start), (override, problems)
        problems = [problem for problem in problems if problem not in found]
    assert problems == []


@pytest.mark.parametrize("what", ALLOWED)
def test_what_reaches_a_stage_is_planned_without_a_note(what: str, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"prompt": "1 + 1?", "solution": "2"}\n')
    plan = make_plan(compose([each.format(rows=rows) for each in ALLOWED[what]], None))
    assert plan.notes == []


def test_keys_of_the_files_that_this_recipe_does_not_read_are_noted() -> None:
    given = [
        "scale.r1.steps=3",
        "student.path=a/b",
        "sources.general.path=a/b",
        "model@student=tiny",
    ]
    plan = make_plan(compose(["recipe=zero", *given, "scale.zero.steps=32"], None))
    assert plan.notes == [
        "scale.r1.steps: nothing in this run refers to ${scale.r1.steps} (did you mean "
        "'scale.zero.steps'?)",
        "sources.general.path: no stage reads the source 'general'",
        "student: nothing in this run refers to ${student}",
        "student.path: nothing in this run refers to ${student.path}",
    ]
