"""Shares of tokens whose importance ratio is far from 1, and whose weight TRL limits."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset

from r1trl.config.stage_parts import ScoringConfig
from r1trl.packing.ratios import tail_counts
from r1trl.rewards.bound_reward import BoundReward
from r1trl.rewards.scorer import Scorer

NAN = math.nan


def rollout(ratios: list[list[float]], weights: list[list[float]]) -> dict[str, torch.Tensor]:
    """Return a rollout of tokens with these ratios, NaN where the sampler gave none."""
    old = torch.full((len(ratios), len(ratios[0])), -2.0)
    sampled = old - torch.tensor(ratios).log()
    ratio = torch.nan_to_num(old - sampled, nan=0.0).exp()
    given = torch.tensor(weights)
    same = given < 0  # a weight below 0 stands for the ratio itself
    return {
        "old_per_token_logps": old,
        "sampling_per_token_logps": sampled,
        "completion_mask": torch.ones_like(old),
        "importance_sampling_ratio": torch.where(same, ratio, given) if same.any() else given,
    }


def test_tokens_outside_0_9_to_1_1_are_the_tail_and_changed_weights_are_limited() -> None:
    one = rollout([[1.0, 1.05, 1.2, 0.5, 4.0, 0.95]], [[-1, -1, -1, -1, 3.0, -1]])
    assert tail_counts(one).tolist() == [6, 3, 6, 1]


def test_a_token_without_a_ratio_is_in_no_tail_and_padding_counts_nowhere() -> None:
    one = rollout([[NAN, 1.0, 9.0, 9.0]], [[-1, -1, 0.0, 0.0]])
    one["completion_mask"][0, 3] = 0
    assert tail_counts(one).tolist() == [2, 1, 3, 1]


def test_what_a_tool_wrote_counts_nowhere() -> None:
    one = rollout([[1.0, 9.0, 9.0]], [[-1, -1, -1]])
    one["tool_mask"] = torch.tensor([[1, 0, 1]])
    assert tail_counts(one).tolist() == [2, 1, 2, 0]


def test_of_a_masked_completion_all_tokens_are_limited() -> None:
    one = rollout([[1.0, 9.0], [1.0, 1.0]], [[0.0], [1.0]])
    assert tail_counts(one).tolist() == [4, 1, 4, 2]


def scored(completions: list[Any], **_: Any) -> list[float]:
    """Return rewards of 0 and 1 in turn."""
    return [float(i % 2) for i in range(len(completions))]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "metric", "limited"),
    [
        ("token_truncate", "truncated", 2 / 20),  # 0.5 and 4.0, in every other completion
        ("sequence_mask", "masked", 1 / 2),  # every other completion: the product is 2.73
    ],
)
def test_trl_logs_the_extremes_and_r1trl_the_tails(
    mode: str, metric: str, limited: float, tmp_path: Path, tiny_model: Path
) -> None:
    import trl
    from transformers import AutoTokenizer

    from r1trl.training.trainers import with_rollouts

    factors = [1.0, 0.5, 4.0, 1.02, 1.0, 1.05, 0.97, 1.3, 1.0, 1.01]

    class Sampler(trl.GRPOTrainer):
        """Returns ten tokens a completion, as if a sampler had drawn them with other odds."""

        def _generate_single_turn(self, prompt_ids: Any, *_: Any, **__: Any) -> Any:
            completions = [list(range(5 + i, 15 + i)) for i in range(len(prompt_ids))]
            logps = []
            for i, (prompt, ids) in enumerate(zip(prompt_ids, completions, strict=True)):
                with torch.no_grad():
                    logits = self.model(torch.tensor([prompt + ids])).logits[0, -11:-1].float()
                own = logits.log_softmax(-1).gather(1, torch.tensor(ids)[:, None])[:, 0]
                shift = torch.tensor(factors if i % 2 == 0 else [1.0] * 10).log()
                logps.append((own - shift).tolist())
            return completions, logps

    args = trl.GRPOConfig(
        output_dir=str(tmp_path),
        use_cpu=True,
        bf16=False,
        report_to="none",
        max_steps=1,
        logging_steps=1,
        save_strategy="no",
        beta=0.0,
        num_generations=2,
        per_device_train_batch_size=4,
        max_completion_length=10,
        vllm_importance_sampling_mode=mode,
        vllm_importance_sampling_clip_min=0.6,
        vllm_importance_sampling_clip_max=2.5,
        model_init_kwargs={"dtype": "float32"},
    )
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    scoring = ScoringConfig(deadline=5.0, processes=1)
    scorer = Scorer([BoundReward("scored", scored, {})], scoring)
    rows = Dataset.from_dict({"prompt": ["What is 1 + 1?", "a"]})
    trainer = with_rollouts(Sampler)(
        model=str(tiny_model),
        args=args,
        train_dataset=rows,
        processing_class=tokenizer,
        scorer=scorer,
    )
    trainer.use_vllm = True  # after the trainer is made: no engine is started for it
    trainer.train()
    logged = trainer.state.log_history[0]
    name = "sampling/importance_sampling_ratio"
    assert logged[f"{name}/tail"] == pytest.approx(3 / 20)  # those two, and 1.3
    assert logged[f"{name}/{metric}"] == pytest.approx(limited)
    other = {"truncated": "masked", "masked": "truncated"}[metric]
    assert f"{name}/max" in logged and f"{name}/{other}" not in logged
