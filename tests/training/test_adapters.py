"""Adapters in every kind that trains: the weights of bare TRL and PEFT, merged and handed on."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import one_step
import pytest
import torch
import trl
from awkward_models import awkward_model
from datasets import Dataset
from one_step import ROWS, SETTINGS, OneStep
from peft import LoraConfig
from safetensors.torch import load_file
from stage_runs import Run
from transformers import AutoTokenizer

import r1trl
from r1trl.config.stage_parts import AdapterConfig
from r1trl.errors import StageError
from r1trl.models.adapter import merge_adapter
from r1trl.run.work import StageWork

pytestmark = pytest.mark.slow
LORA = {"r": 4, "lora_alpha": 8.0, "target_modules": "all-linear"}
# TRL's trainer of a kind, and the columns that it reads.
BARE: Mapping[str, tuple[Any, list[str]]] = {
    "grpo": (trl.GRPOTrainer, ["prompt"]),
    "rloo": (trl.RLOOTrainer, ["prompt"]),
    "sft": (trl.SFTTrainer, ["prompt", "completion"]),
    "pairwise": (trl.RewardTrainer, ["chosen", "rejected"]),
    "dpo": (trl.DPOTrainer, ["prompt", "chosen", "rejected"]),
    "distillation": (trl.DistillationTrainer, ["prompt"]),
}
STEPS = {"max_steps": 3, "optim": "sgd", "learning_rate": 0.5, "max_grad_norm": 1e6}


def some_of(names: Iterable[str], *fast: str) -> list[Any]:
    """Return names as parameters of a test; all but some are for `make test-long`."""
    return [name if name in fast else pytest.param(name, marks=pytest.mark.long) for name in names]


class WithAdapter(OneStep):
    """A few steps with an adapter in place of all weights."""

    adapter = AdapterConfig(rank=4, alpha=8.0)

    def stage(self, args: Mapping[str, Any]) -> Any:
        """Return the settings of a stage with arguments and the adapter."""
        return replace(super().stage({**STEPS, **args}), adapter=self.adapter)

    @property
    def made(self) -> Path:
        """Return the folder of the model that the last stage has made."""
        return self.folder / f"{self.name}-{self.count}" / "model"


class Watched(StageWork):
    """Keeps the config of TRL, once more, and what the trainer draws."""

    args: Any = None
    drawn: list[Any] = []  # noqa: RUF012 - replaced by each test

    def arguments(self, config_class: Any, **fixed: Any) -> Any:
        """Return TRL's config, and keep one like it."""
        Watched.args = super().arguments(config_class, **fixed)
        return super().arguments(config_class, **fixed)

    def train(self, trainer: Any) -> dict[str, float]:
        """Train, and keep the completions."""
        draw = getattr(trainer, "_generate_single_turn", None)
        if self.kind.draws == "while training" and "rollout" in self.kind.takes:

            def drawing(*given: Any, **named: Any) -> Any:
                Watched.drawn.append(draw(*given, **named))
                return Watched.drawn[-1]

            trainer._generate_single_turn = drawing
        return super().train(trainer)


def varied(completion_ids: list[list[int]], **_: Any) -> list[float]:
    """Return the reward of `one_step.VARIED`."""
    return [(sum(ids) + i) % 5 / 4 for i, ids in enumerate(completion_ids)]


def text_of(one: OneStep, row: Mapping[str, Any], column: str) -> Any:
    """Return what TRL's trainer reads of a row: a reward model the whole response."""
    if one.name != "pairwise":
        return row[column]
    return r1trl.scored_text(row["prompt"], row[column], "response")


def bare_weights(one: WithAdapter, drawn: list[Any]) -> dict[str, torch.Tensor]:
    """Train as our stage did with TRL and PEFT alone; return the merged weights."""
    class_, columns = BARE[one.name]
    rows = Dataset.from_list([{name: text_of(one, row, name) for name in columns} for row in ROWS])
    own: dict[str, Any] = {}
    if one.name in ("grpo", "rloo"):
        own = {"reward_funcs": [varied]}
    if one.name == "distillation":
        own, rows = {"teacher_model": str(one.folder / "teacher")}, rows.shuffle(seed=1)
    task = "SEQ_CLS" if one.name == "pairwise" else "CAUSAL_LM"
    trainer = class_(
        model=str(one.model),
        args=Watched.args,
        train_dataset=rows,
        processing_class=AutoTokenizer.from_pretrained(one.model),
        peft_config=LoraConfig(task_type=task, **LORA),
        **own,
    )
    if drawn:
        trainer._generate_single_turn = lambda *_, **__: drawn.pop(0)
    trainer.train()
    return dict(trainer.model.merge_and_unload().state_dict())


@pytest.mark.parametrize("name", some_of(BARE, "grpo", "sft", "pairwise"))
def test_the_merged_weights_are_those_of_trl_and_peft(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_step, "StageWork", Watched)
    monkeypatch.setattr(Watched, "drawn", [])
    one = WithAdapter(name, awkward_model("chatml", tmp_path), tmp_path)
    one.train({})
    theirs = bare_weights(one, Watched.drawn)
    merge_adapter(one.made)
    ours, start = (
        load_file(one.made / "model.safetensors"),
        load_file(one.model / "model.safetensors"),
    )
    moved = max(float((theirs[n] - start[n]).abs().max()) for n in start)
    assert moved > 1e-3, "training changed the weights"
    for weight, value in ours.items():
        torch.testing.assert_close(value, theirs[weight], rtol=0, atol=1e-4 * moved)


@pytest.mark.parametrize("name", some_of(SETTINGS, "pointwise"))
def test_an_adapter_of_each_kind_becomes_a_whole_model(name: str, tmp_path: Path) -> None:
    import transformers

    one = WithAdapter(name, awkward_model("qwen25_base", tmp_path), tmp_path)
    one.train({"max_steps": 1})
    adapter = load_file(one.made / "adapter_model.safetensors")
    scores = name in ("pairwise", "pointwise")
    assert any("score.weight" in weight for weight in adapter) == scores, "the head is whole"
    assert merge_adapter(one.made) == 14  # linear layers
    assert not list(one.made.glob("adapter*"))
    assert (one.made.parent / "adapter" / "adapter_model.safetensors").exists()
    suffix = "SequenceClassification" if scores else "CausalLM"
    class_ = getattr(transformers, f"AutoModelFor{suffix}")
    model, report = class_.from_pretrained(one.made, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    assert model.config.pad_token_id is not None
    assert not scores or model.config.num_labels == 1


def test_a_layer_that_the_model_lacks_is_refused_with_those_that_it_has(tmp_path: Path) -> None:
    one = WithAdapter("sft", awkward_model("chatml", tmp_path), tmp_path)
    one.adapter = AdapterConfig(target_modules=["q_proj", "k_porj"])
    wrong = r"stages.x.adapter.target_modules: no layer is called 'k_porj' \(did you mean 'k_proj'"
    with pytest.raises(StageError, match=wrong):
        one.train({})


RECIPE = """
# @package _global_
defaults:
  - /stage@stages.taught: sft
  - /stage@stages.rewarded: grpo
  - _self_
stages:
  taught:
    batch: 8
    adapter: {rank: 4}
    data: {problems: {}}
    transitions: {check_model: {}, best_checkpoint: {metric: loss, mode: min}}
    args: {per_device_train_batch_size: 8, max_steps: 2, save_strategy: steps, save_steps: 1,
           logging_steps: 1, save_total_limit: 2}
  rewarded:
    model: stage:taught
    adapter: {rank: 4, target_modules: [q_proj, v_proj]}
    template: "{{ prompt }}"
    data: {problems: {}}
    rollout: {outputs: 16, minibatches: 1}
    rewards: {digits: {}}
    transitions: {equal_rewards: null, entropy_collapse: null, length_runaway: null}
    args: {num_generations: 4, per_device_train_batch_size: 8, max_steps: 4, save_steps: 2,
           max_completion_length: 8, sync_ref_model: false, learning_rate: 0.001}
"""
REWARD = """
import r1trl

@r1trl.verifier
def digits(completion: str) -> float:
    return sum(map(str.isdigit, completion)) % 3 / 2

@r1trl.hookimpl
def r1trl_rewards():
    return {"digits": digits}
"""  # which no group has alike


@pytest.mark.long
def test_an_adapter_is_handed_on_whole_and_resumed_after_a_kill(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    texts = [
        f'{{"prompt": "{i} + 1", "completion": "{i + 1}", "solution": "{i}"}}' for i in range(32)
    ]
    rows.write_text("\n".join(texts))
    plugin = tmp_path / "mine.py"
    plugin.write_text(REWARD)
    loaded = f"plugins.load=[{plugin}]"
    own = (f"sources.problems={{path: {rows}}}", loaded, "preflight=false")
    whole = Run(tmp_path / "whole", RECIPE, *own)
    assert whole.carry_out() == 0, whole.log("taught")
    killed = Run(tmp_path / "killed", RECIPE, *own)
    killed.carry_out_killed("rewarded", 3, plugin)
    assert killed.weights("taught") == whole.weights("taught")
    assert killed.weights("rewarded") == whole.weights("rewarded")
    assert whole.weights("rewarded") != whole.weights("taught")
