"""A recipe is carried out in miniature before it runs, and what is wrong is found at its key."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import byte_tokenizer

from r1trl.config.compose import compose
from r1trl.plan.plan import make_plan
from r1trl.rehearsal.outcome import outcome
from r1trl.rehearsal.rehearse import Rehearsal, rehearse

pytestmark = pytest.mark.slow
FAULTS = """
import r1trl

@r1trl.verifier
def raises(completion: str) -> float:
    return len(completion) / 0

def plain(prompts, completions, completion_ids, **columns):
    raise KeyError("golden")

def loses(result):
    '''Return nothing.'''

def talk():
    '''Return rows whose columns no plan can see.'''
    from datasets import Dataset
    return Dataset.from_list([{"prompt": "Hi", "reply": "y"}] * 9)

@r1trl.hookimpl
def r1trl_datasets():
    return {"talk": talk}

@r1trl.hookimpl
def r1trl_rewards():
    return {"raises": raises, "plain": plain}

@r1trl.hookimpl
def r1trl_transitions():
    return {"loses": loses}
"""
RECIPE = """
# @package _global_
defaults:
  - /stage@stages.column: sft
  - /stage@stages.template: grpo
  - /stage@stages.reward: grpo
  - /stage@stages.late: grpo
  - /stage@stages.transition: sft
  - /stage@stages.chat: sample
  - /stage@stages.context: sample
  - /stage@stages.after: sft
  - _self_
stages:
  column:
    data: {rows: {dataset: talk, columns: {prompt: prompt, completion: repyl}}}
  template:
    template: "{{ prompt }} {{ row.level.upper() }}"
    data: {rows: {path: rows.jsonl}}
    rewards: &rules {accuracy: {answer: answer_tag}}
    args: &short {max_completion_length: 64}
  reward:
    template: "{{ prompt }}"
    data: {rows: {path: rows.jsonl}}
    rewards: {plain: {}}
    args: *short
  late:
    template: "{{ prompt }}"
    data: {rows: {path: rows.jsonl}}
    rewards: {accuracy: {answer: answer_tag}, plain: {from_step: 1300}}
    args: *short
  transition:
    data: {rows: {path: rows.jsonl}}
    transitions: {loses: {}}
  chat:
    model: bare
    data: {rows: {path: rows.jsonl}}
    rewards: *rules
  context:
    model: ${model.path}
    template: "{{ prompt }}"
    data: {rows: {path: rows.jsonl}}
    sampling: {max_tokens: 510}
    rewards: *rules
  after:
    model: stage:transition
    data: {rows: {path: stage:chat}}
"""
FOUND = {
    "a wrong column": "stages.column.data.rows: columns.completion: the rows have no column 'repyl'"
    " (did you mean 'reply'?)",
    "a template that fails": "stages.template.template: ",
    "a reward that raises": "stages.reward.rewards.plain: reward 'plain' failed: KeyError: 'gold",
    "a reward that counts from a late step": "stages.late.rewards.plain: reward 'plain' failed",
    "a transition that returns nothing": "stages.transition.transitions.loses: returned None",
    "a tokenizer without chat template": "stages.chat.template: the tokenizer has no chat template",
    "a context too small": "stages.context.sampling.max_tokens: a prompt of ",
}


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the rehearsal of a recipe in which every stage but the last has a fault."""
    folder = tmp_path_factory.mktemp("faulty")
    (folder / "conf" / "recipe").mkdir(parents=True)
    text = RECIPE.lstrip().replace("rows.jsonl", str(folder / "rows.jsonl"))
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = None
    _bare_model(folder / "bare", tokenizer)
    (folder / "conf" / "recipe" / "faulty.yaml").write_text(
        text.replace("model: bare", f"model: {folder / 'bare'}")
    )
    (folder / "faults.py").write_text(FAULTS)
    row = '{{"prompt": "What is {0} + 1?", "completion": "x", "reply": "y", "solution": "{0}"}}\n'
    (folder / "rows.jsonl").write_text("".join(row.format(i) for i in range(9)))
    plan = make_plan(
        compose(
            ["recipe=faulty", "scale=tiny", "name=x", f"plugins.load=[{folder / 'faults.py'}]"],
            folder / "conf",
        )
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(folder))
        return plan, rehearse(plan, lambda line: None)


def _bare_model(folder: Path, tokenizer: Any) -> None:
    from transformers import Qwen2Config

    tokenizer.save_pretrained(folder)
    Qwen2Config(vocab_size=len(tokenizer), architectures=["Qwen2ForCausalLM"]).save_pretrained(
        folder
    )
    (folder / "model.safetensors").write_bytes(b"")


@pytest.mark.parametrize("fault", FOUND)
def test_a_fault_is_found_at_its_stage_and_key(faulty: Any, fault: str) -> None:
    _, done = faulty
    assert [p for p in done.problems if p.startswith(FOUND[fault])], done.problems


def test_every_fault_is_told_once_and_nothing_else_is(faulty: Any) -> None:
    _, done = faulty
    assert len(done.problems) == len(FOUND)


def test_what_needs_a_failed_stage_is_not_rehearsed(faulty: Any) -> None:
    plan, done = faulty
    assert done.states["after"] == "not, because chat left nothing"
    assert done.states["column"] == "failed" and done.states["context"] == "rehearsed"
    assert "not, because chat left nothing" in outcome(plan, done)


def test_the_files_of_a_rehearsal_with_problems_are_kept_and_named(faulty: Any) -> None:
    plan, done = faulty
    assert (done.folder / "runs" / "x" / "stages" / "column" / "log.txt").exists()
    assert f"the files of the rehearsal are in {done.folder}" in outcome(plan, done)


NOTED = """
import r1trl

class Impatient:
    '''Ends the stage at once, and the run after it.'''

    def __call__(self, result):
        from dataclasses import replace
        return replace(result, stop="enough")

    def should_stop(self, progress):
        return f"seen {progress.step}"

class Alarmed:
    '''Raises what it has seen, as alarms do.'''

    def __call__(self, result):
        raise r1trl.StageError("smoke")

    def should_stop(self, progress):
        return "smoke"

def nothing(rows):
    return ["bad"] * len(rows)

@r1trl.hookimpl
def r1trl_transitions():
    return {"impatient": Impatient, "alarmed": Alarmed}

@r1trl.hookimpl
def r1trl_filters():
    return {"nothing": nothing}
"""


@pytest.fixture(scope="module")
def zero(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the rehearsal of Zero with transitions and a filter that would end it."""
    plugin = tmp_path_factory.mktemp("noted") / "noted.py"
    plugin.write_text(NOTED)
    overrides = ["recipe=zero", "scale=tiny", "name=x", f"plugins.load=[{plugin}]"]
    overrides += ["stages.zero_first.transitions.impatient={}"]
    overrides += ["stages.zero.transitions.alarmed={}", "stages.zero.filters.nothing={}"]
    overrides += ["stages.zero_first.transitions.average_checkpoints={}"]
    lines: list[str] = []
    plan = make_plan(compose(overrides, None))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(plugin.parent))
        done = rehearse(plan, lines.append)
    return plan, done, lines, set(plugin.parent.iterdir()) - {plugin}


@pytest.mark.long
def test_a_recipe_that_works_is_rehearsed_and_leaves_nothing_behind(zero: Any) -> None:
    plan, done, lines, left = zero
    assert done.problems == []
    assert done.states == dict.fromkeys(["zero_first", "zero", "scoreboard"], "rehearsed")
    assert lines == [f"  {name}: rehearsed" for name in done.states]
    assert not done.folder.exists() and not left and not plan.folder.exists()


@pytest.mark.long
def test_what_would_end_a_stage_or_the_run_is_noted_and_not_obeyed(zero: Any) -> None:
    notes = zero[1].notes
    at = "stages.zero_first.transitions.impatient"
    assert f"{at}: would end the stage: seen 1" in notes
    assert f"{at}: would end the run: enough" in notes
    assert "stages.zero.transitions.alarmed: would end the stage: smoke" in notes


@pytest.mark.long
def test_a_filter_that_leaves_nothing_is_noted_with_its_counts(zero: Any) -> None:
    assert "stages.zero.filters: no row is left: nothing kept 0 of 32" in zero[1].notes


@pytest.mark.long
def test_the_outcome_is_the_plan_with_seconds_and_the_changes(zero: Any) -> None:
    plan, done, *_ = zero
    text = outcome(plan, done)
    assert "seconds  rehearsal" in text and "rehearsal: all 3 stages work" in text
    assert "args.max_steps=2 in place of" in text
    assert "args.max_steps=3 in place of" in text, "as many checkpoints as are averaged"


@pytest.mark.long
def test_a_model_that_does_not_become_small_is_named(
    composed: Callable[..., Any], tmp_path: Path
) -> None:
    from transformers import AutoConfig

    byte_tokenizer().save_pretrained(tmp_path)
    AutoConfig.for_model("jamba").save_pretrained(tmp_path)  # its attention is in a later layer
    (tmp_path / "model.safetensors").write_bytes(b"")
    plan = make_plan(composed("recipe=dr_grpo", "scale=tiny", f"model.path={tmp_path}"))
    done = rehearse(plan, lambda line: None)
    reason = f"not, because {tmp_path} cannot be made small"
    assert done.problems == [] and not done.folder.exists()
    assert done.states == {"dr_grpo": reason, "scoreboard": reason}
    [note] = [n for n in done.notes if n.startswith("stages.dr_grpo.model: ")]
    assert "cannot be made small: ValueError: " in note
    assert outcome(plan, done).endswith("rehearsal: what could be rehearsed works")


@pytest.mark.long
def test_a_signal_ends_a_rehearsal_and_its_folder_goes(
    composed: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import os
    import signal

    from r1trl.errors import R1trlError

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def interrupt(line: str) -> Rehearsal | None:
        os.kill(os.getpid(), signal.SIGTERM)
        return None

    old = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(R1trlError, match="interrupted"):
            rehearse(make_plan(composed("recipe=zero", "scale=tiny")), interrupt)
    finally:
        signal.signal(signal.SIGTERM, old[0])
        signal.signal(signal.SIGINT, old[1])
    assert not list(tmp_path.iterdir())
