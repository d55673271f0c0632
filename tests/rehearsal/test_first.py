"""A run begins with its preflight: it shows what is trained on, and stops on what is wrong."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stand_ins import CHATML

from r1trl.plan import stages
from r1trl.plan.plan import make_plan
from r1trl.plan.saved import read_plan, write_settings
from r1trl.rehearsal.first import shown
from r1trl.rehearsal.training_rows import training_rows
from r1trl.stage import devices

MESSAGES = """
# @package _global_
defaults:
  - /stage@stages.dev1: sft
  - /stage@stages.answers: sample
  - _self_
stages:
  dev1:
    model: {model}
    data: {{chats: {{path: {rows}}}}}
  answers:
    model: stage:dev1
    data: {{chats: {{path: {rows}}}}}
"""
CHAT = (
    '{"messages": [{"role": "user", "content": "Hi?"}, {"role": "assistant", "content": "Yes."}],'
    ' "prompt": "Hi?"}\n'
)


@pytest.fixture
def chatml(tiny_model: Path, tmp_path: Path) -> Path:
    """Return a model whose template ends turns with a token that is not the end token."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = tmp_path / "chatml"
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.chat_template = CHATML
    tokenizer.save_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def planned(composed: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """Return a function that plans SFT on messages and sampling from the model that it makes."""

    def plan(model: Path, *overrides: str, recipe: str = MESSAGES) -> Any:
        (tmp_path / "rows.jsonl").write_text(CHAT * 4)
        (tmp_path / "conf" / "recipe").mkdir(parents=True, exist_ok=True)
        text = recipe.lstrip().format(model=model, rows=tmp_path / "rows.jsonl")
        (tmp_path / "conf" / "recipe" / "mine.yaml").write_text(text)
        fixed = ("recipe=mine", "scale=tiny", f"runs_dir={tmp_path / 'runs'}")
        return make_plan(composed(*fixed, *overrides, own=tmp_path / "conf"))

    return plan


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_turns_that_end_with_a_token_at_which_generation_does_not_stop_are_found(
    planned: Any, chatml: Path, tmp_path: Path
) -> None:
    assert training_rows(planned(chatml), tmp_path)[1] == [], "the template's end is taken"
    own = "stages.dev1.args.eos_token='<eos>'"
    rows, [finding] = training_rows(planned(chatml, own), tmp_path)
    assert finding.wrong and finding.text.startswith(
        "stages.dev1.data.chats: the model learns to end a turn with '<|im_end|>', and generation "
        "stops at '<eos>', which is not in the loss; set stages.dev1.args.eos_token='<|im_end|>'"
    )
    assert "".join(text for text, _ in rows[0].pieces) == (
        "<|im_start|>user\nHi?<|im_end|>\n<|im_start|>assistant\nYes.<|im_end|>"
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_mend_that_is_named_mends_it(planned: Any, chatml: Path, tmp_path: Path) -> None:
    plan = planned(chatml, "stages.dev1.args.eos_token='<|im_end|>'")
    assert training_rows(plan, tmp_path)[1] == []


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_row_is_shown_with_its_loss(planned: Any, tiny_model: Path, tmp_path: Path) -> None:
    columns = "stages.dev1.data.chats.columns={prompt: prompt, completion: prompt}"
    [row], findings = training_rows(planned(tiny_model, columns), tmp_path)
    assert findings == []
    assert row.key == "stages.dev1.data.chats"
    assert row.pieces == [("<|user|>Hi?\n<|assistant|>", False), ("Hi?<eos>", True)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_rows_that_max_length_cuts_are_told(planned: Any, tiny_model: Path, tmp_path: Path) -> None:
    columns = "stages.dev1.data.chats.columns={prompt: prompt, completion: prompt}"
    short = ("stages.dev1.args.max_length=27", "stages.answers.model=x")
    plan = planned(tiny_model, columns, *short, "stages.dev1.max_truncated_rate=1.0")
    [finding] = training_rows(plan, tmp_path)[1]
    assert not finding.wrong and finding.text.startswith(
        "stages.dev1.data.chats: of its first rows, 4 rows; max_length=27 cuts 4 rows, and leaves"
    )
    refused = planned(tiny_model, columns, *short)
    [finding] = training_rows(refused, tmp_path)[1]
    assert finding.wrong and finding.text.startswith("stages.dev1.args.max_length: 4 rows; max_len")


def test_the_loss_is_coloured_on_a_terminal_and_in_brackets_elsewhere() -> None:
    rows = [{"key": "stages.a.data.b", "pieces": [["ask ", False], ["tell", True]]}]
    assert "ask \x1b[32mtell\x1b[0m\n" in shown(rows, colours=True)
    assert "ask ⟦tell⟧\n" in shown(rows, colours=False)


def test_a_long_piece_is_cut_in_its_middle() -> None:
    text = shown([{"key": "k", "pieces": [["a" * 5000, True]]}], colours=False)
    assert " … " in text and len(text) < 800


@pytest.fixture
def r1trl(tmp_path: Path) -> Callable[..., Any]:
    """Return a function that calls the command line in a folder of its own."""

    def call(*words: str) -> Any:
        command = [sys.executable, "-m", "r1trl.cli", *words]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, env=os.environ, check=False
        )

    return call


@pytest.mark.slow
def test_a_run_stops_before_its_first_stage_on_what_is_wrong(r1trl: Any, tmp_path: Path) -> None:
    wrong = "stages.zero.args.max_completion_length=100000"
    done = r1trl("run", "recipe=zero", "scale=tiny", "name=x", wrong)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "error: stages.zero.args.max_completion_length: a prompt of " in done.stderr
    assert "preflight=false" in done.stderr
    assert not (tmp_path / "runs" / "x" / "stages").exists()


def test_preflight_can_be_turned_off(composed: Callable[..., Any]) -> None:
    from r1trl.launch.workers import Workers
    from r1trl.rehearsal.first import check_first

    plan = make_plan(composed("recipe=zero", "scale=tiny", "preflight=false"))
    check_first(plan, Workers())
    assert not plan.folder.exists()


NO_TEMPLATE = """
# @package _global_
defaults:
  - /stage@stages.rm: reward_model
  - _self_
stages:
  rm:
    objective: pointwise
    text: response
    model: {model}
    data:
      chats:
        path: {rows}
        columns: {{prompt: prompt, completion: prompt, label: "{{{{ 1 }}}}"}}
"""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_model_without_chat_template_is_told_where_one_is_needed(
    planned: Any, chatml: Path
) -> None:
    from transformers import AutoTokenizer

    from r1trl.trust.preflight import preflight

    (chatml / "chat_template.jinja").unlink(missing_ok=True)
    tokenizer = AutoTokenizer.from_pretrained(chatml)
    tokenizer.chat_template = None
    tokenizer.save_pretrained(chatml)
    texts = [f.text for f in preflight(planned(chatml, recipe=NO_TEMPLATE)) if f.wrong]
    assert texts == [
        "stages.rm.template: the tokenizer has no chat template; give the stage a template=…, "
        f"or one of kind sft args.chat_template_path=… ({chatml})"
    ]


def test_a_plan_that_needs_a_gpu_is_read_where_the_gpus_are_hidden(
    composed: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "driver_gpus", lambda: devices.Gpus(1))
    monkeypatch.setattr(stages, "find_spec", lambda name: name)
    quantized = "stages.dev1.adapter={quantize: 4bit}"
    with monkeypatch.context() as driver:
        for name in devices.NO_GPU:
            driver.delenv(name, raising=False)
        plan = make_plan(composed("recipe=r1", "scale=tiny", quantized))
    write_settings(plan, tmp_path)
    for name, value in devices.NO_GPU.items():
        monkeypatch.setenv(name, value)
    assert read_plan(tmp_path).config == plan.config
    assert {name: os.environ[name] for name in devices.NO_GPU} == devices.NO_GPU
