"""Rollouts of several turns, with tools or without, are those of TRL's trainer."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import trl
from datasets import Dataset
from plain_sgd import PLAIN_SGD
from transformers import Qwen2Config, Qwen2ForCausalLM
from trl.chat_template_utils import qwen2_5_chat_template

from r1trl.config.stage_parts import ScoringConfig
from r1trl.rewards.bound_reward import BoundReward
from r1trl.rewards.scorer import Scorer
from r1trl.rewards.verifier import verifier
from r1trl.training.rollouts import RolloutMixin
from r1trl.training.trainers import with_rollouts

pytestmark = pytest.mark.slow

CALL = '<tool_call>\n{"name": "double", "arguments": {"n": 21}}\n</tool_call>'
HEADER = "<|im_end|>\n<|im_start|>assistant\n"
OPTIONS = {
    **PLAIN_SGD,
    "num_generations": 2,
    "per_device_train_batch_size": 2,
    "generation_batch_size": 4,
    "max_steps": 2,
    "beta": 0.1,
}


def double(n: int) -> int:
    """Double a number.

    Args:
        n: The number.

    Returns:
        Twice the number.
    """
    return 2 * n


@pytest.fixture
def calling_model(tokenizer: Any, tmp_path: Path) -> Path:
    """Return a model that calls `double` after a question, and says "42" after its answer."""
    tokenizer.chat_template = qwen2_5_chat_template
    tokenizer.add_special_tokens({"eos_token": "<|im_end|>"})
    tokenizer.add_tokens(["<|im_start|>"], special_tokens=True)
    tokenizer.add_tokens([CALL])
    path = tmp_path / "calling"
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 2048}
    config = Qwen2Config(vocab_size=len(tokenizer), **sizes, **heads, pad_token_id=0)
    torch.manual_seed(0)
    Qwen2ForCausalLM(config).save_pretrained(path)
    tokenizer.save_pretrained(path)
    said = (f"?{HEADER}{CALL}", f">{HEADER}4", f"{HEADER}42", f"{CALL}<|im_end|>", "42<|im_end|>")
    texts = [tokenizer(text)["input_ids"] for text in said]
    own = {"sequence_bias": [[ids, 100.0] for ids in texts], "eos_token_id": texts[-1][-1]}
    (path / "generation_config.json").write_text(json.dumps(own))
    return path


def trained(class_: Any, scorer: Any, reward: Any, **more: Any) -> Any:
    """Train; return the trainer and its weights. `scorer` is for ours, `reward` is for TRL's."""
    ours = issubclass(class_, RolloutMixin)
    trainer = class_(**({"scorer": scorer} if ours else {"reward_funcs": [reward]}), **more)
    trainer.train()
    named = trainer.model.named_parameters()
    return trainer, {name: value.detach().clone() for name, value in named}


def assert_equal(ours: Any, theirs: Any) -> list[dict[str, float]]:
    """Check the weights of two trainers and what they logged; return TRL's log."""
    for name, value in theirs[1].items():
        torch.testing.assert_close(ours[1][name], value, rtol=0, atol=1e-6)
    logs = [[row for row in t.state.log_history if "loss" in row] for t, _ in (ours, theirs)]
    for our_row, row in zip(*logs, strict=True):
        for metric in row.keys() - {"step_time"}:
            assert our_row[metric] == pytest.approx(row[metric], rel=1e-3, abs=2e-6), metric
    return logs[1]


def test_a_model_that_calls_tools_trains_as_with_trl(calling_model: Path, tmp_path: Path) -> None:
    seen: list[Any] = []

    def placed(completions: Any, completion_ids: Any, **_: Any) -> list[float]:
        seen.append(completions)
        return [float(i % 2) for i in range(len(completion_ids))]

    args = trl.GRPOConfig(str(tmp_path), **OPTIONS, max_completion_length=128)
    prompts = [[{"role": "user", "content": f"What is twice {n}?"}] for n in (21, 1021)]
    results = []
    for class_ in (with_rollouts(trl.GRPOTrainer), trl.GRPOTrainer):
        scorer = Scorer([BoundReward("placed", placed, {})], ScoringConfig(5.0, processes=1))
        data = Dataset.from_dict({"prompt": prompts})
        more = {"model": str(calling_model), "train_dataset": data, "tools": [double]}
        results.append(trained(class_, scorer, placed, args=args, **more))
    (row, *_) = assert_equal(*results)
    assert row["tools/call_frequency"] == 1 and row["tools/failure_frequency"] == 0
    for completions in seen:
        for messages in completions:
            assert [message["role"] for message in messages] == ["assistant", "tool", "assistant"]
            assert messages[1]["content"] == "42" and messages[2]["content"] == "42"


class TwoTurns:
    """Lets half of its completions be continued, as TRL's loop of tool calls does."""

    def _generate_single_turn(
        self, prompt_ids: Any, images: Any, multimodal_fields: Any, num_generations: int
    ) -> Any:
        generate = super()._generate_single_turn  # type: ignore[misc]
        first, _ = generate(prompt_ids, images, multimodal_fields, num_generations)
        half = range(0, len(first), self.every)  # type: ignore[attr-defined]
        longer = [prompt_ids[i] + first[i] for i in half]
        second, logprobs = generate(longer, None, {}, num_generations=1, has_tool_images=False)
        assert logprobs is None
        for i, ids in zip(half, second, strict=True):
            first[i] = first[i] + ids
        return first, None


@verifier
def even(completion: str) -> float:
    """Score a completion by its length."""
    return float(len(completion) % 3)


def length(completions: Any, **_: Any) -> list[float]:
    """Score as `even` does."""
    return [float(len(completion) % 3) for completion in completions]


@pytest.mark.parametrize("every", [1, pytest.param(2, marks=pytest.mark.long)])
def test_what_is_known_of_the_last_turn_is_not_taken_for_all(
    every: int, tiny_model: Path, tmp_path: Path
) -> None:
    greedy = {"do_sample": False, "suppress_tokens": [16], "repetition_penalty": 1.5}
    args = trl.GRPOConfig(
        str(tmp_path), **OPTIONS, max_completion_length=6, generation_kwargs=greedy
    )
    results = []
    for base in (with_rollouts(trl.GRPOTrainer), trl.GRPOTrainer):
        class_ = type("Trainer", (TwoTurns, base), {"every": every})
        scorer = Scorer([BoundReward("length", even, {})], ScoringConfig(5.0, processes=1))
        data = Dataset.from_dict({"prompt": ["What is 1?", "Say more."]})
        more = {"model": str(tiny_model), "train_dataset": data}
        results.append(trained(class_, scorer, length, args=args, **more))
        scorer.close()
    assert_equal(*results)


@pytest.mark.parametrize("kind", ["grpo", "rloo"])
def test_a_turn_is_generated_however_trl_calls_it(
    kind: str, tiny_model: Path, tmp_path: Path
) -> None:
    config, base = {
        "grpo": (trl.GRPOConfig, trl.GRPOTrainer),
        "rloo": (trl.RLOOConfig, trl.RLOOTrainer),
    }[kind]
    greedy = {"do_sample": False}
    args = config(str(tmp_path), **OPTIONS, max_completion_length=4, generation_kwargs=greedy)
    data = Dataset.from_dict({"prompt": ["a", "b"]})
    more = {"model": str(tiny_model), "args": args, "train_dataset": data}
    scorer = Scorer([BoundReward("length", length, {})], ScoringConfig(5.0, processes=1))
    ours = with_rollouts(base)(scorer=scorer, **more)
    theirs = base(reward_funcs=[length], **more)
    prompts = [[5, 6, 7], [8, 9]]
    calls: list[tuple[Any, ...]] = [((prompts, None, {}), {})]
    if kind == "grpo":
        calls = [
            ((prompts, None, {}, 2), {}),
            ((prompts, None, {}), {"num_generations": 1, "has_tool_images": False}),
            ((prompts[:1], None, {}, 1), {"has_tool_images": False}),
        ]
    for given, named in calls:
        wanted = theirs._generate_single_turn(*given, **named)
        assert ours._generate_single_turn(*given, **named) == wanted
