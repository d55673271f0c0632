import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from machine import require
from r1trl_judge import r1trl_rewards
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3ForSequenceClassification,
)

from r1trl import scored_text
from r1trl.errors import StageError
from tests.one_step import OneStep

RewardModel = r1trl_rewards()["reward_model"]
WORDS = ["<pad>", "<eos>", "<unk>", "four", "five", "sum", "is", "the", "so", "?", "think"]


def save(folder: Path, architecture: type, **settings: object) -> str:
    """Save a random two-layer model with a word-level tokenizer.

    Not a Qwen2: AutoTokenizer gives every Qwen2 its own tokenizer, whatever was saved.
    """
    words = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    marks = {"pad_token": "<pad>", "eos_token": "<eos>", "unk_token": "<unk>"}
    PreTrainedTokenizerFast(tokenizer_object=words, **marks).save_pretrained(folder)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    heads = {
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "vocab_size": len(WORDS),
    }
    config = Qwen3Config(**sizes, **heads, **{"num_labels": 1, "pad_token_id": 0, **settings})
    torch.manual_seed(0)
    architecture(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a random reward model."""
    return save(tmp_path_factory.mktemp("reward"), Qwen3ForSequenceClassification)


def by_hand(model: str, ids: list[int]) -> float:
    """Score one list of tokens without padding."""
    network = Qwen3ForSequenceClassification.from_pretrained(model).eval()
    with torch.no_grad():
        return network(input_ids=torch.tensor([ids])).logits.item()


def test_a_batch_scores_as_each_sample_would_alone(model: str):
    texts = ["the sum is four", "five", "so the sum is the sum is five"]
    ids = [[WORDS.index(word) for word in ["?", *text.split(), "<eos>"]] for text in texts]
    values = RewardModel(model=model, batch_size=2)(["? "] * 3, texts, [[]] * 3, source=["a"] * 3)
    assert values == pytest.approx([by_hand(model, sample) for sample in ids], abs=1e-5)
    assert len(set(values)) == 3


def test_summaries_do_not_see_the_thinking_and_responses_do(model: str):
    texts = ["<think> so five </think> <answer> four </answer>", "<think> is </think> four"]
    for text, same in (("summary", True), ("response", False)):
        first, second = RewardModel(model=model, text=text)(["? "] * 2, texts, [[]] * 2)
        assert (first == pytest.approx(second, abs=1e-6)) is same


def test_long_texts_lose_their_beginning(model: str):
    cut = RewardModel(model=model, max_length=3)
    long, short = cut(["? "] * 2, [" five five the sum", " is the sum"], [[]] * 2)
    assert long == pytest.approx(short, abs=1e-6)
    ids = [WORDS.index(word) for word in ["the", "sum", "<eos>"]]
    assert long == pytest.approx(by_hand(model, ids), abs=1e-5)


def test_sigmoid_squashes_the_logit(model: str):
    logit = RewardModel(model=model)(["? "], [" four"], [[]])[0]
    squashed = RewardModel(model=model, sigmoid=True)(["? "], [" four"], [[]])[0]
    assert squashed == pytest.approx(torch.tensor(logit).sigmoid().item())


def test_no_samples_have_no_scores(model: str):
    assert RewardModel(model=model)([], [], []) == []


def test_a_model_without_padding_token_scores_batches(tmp_path: Path):
    folder = save(tmp_path, Qwen3ForSequenceClassification, pad_token_id=None)
    values = RewardModel(model=folder)(["? "] * 2, [" four", " the sum is five"], [[]] * 2)
    assert values[0] == pytest.approx(by_hand(folder, [9, 3, 1]), abs=1e-5)


def test_a_language_model_is_refused_rather_than_given_a_random_head(tmp_path: Path):
    folder = save(tmp_path, Qwen3ForCausalLM)
    with pytest.raises(ValueError, match="no trained reward model: it has no weights for score"):
        RewardModel(model=folder)(["? "], ["four"], [[]])


def test_a_classifier_of_several_classes_is_refused(tmp_path: Path):
    folder = save(tmp_path, Qwen3ForSequenceClassification, num_labels=3)
    with pytest.raises(ValueError, match="gives 3 numbers, not one reward"):
        RewardModel(model=folder)(["? "], ["four"], [[]])


def test_the_model_is_whole_in_a_training_that_shards_its_own(model: str):
    from transformers.integrations import deepspeed

    zero3 = {"zero_optimization": {"stage": 3}, "train_micro_batch_size_per_gpu": 1}
    config = deepspeed.HfDeepSpeedConfig(zero3)
    try:
        value = RewardModel(model=model)(["? "], [" four"], [[]])[0]
        assert deepspeed.is_deepspeed_zero3_enabled()
    finally:
        deepspeed.unset_hf_deepspeed_config()
    assert config.is_zero3()
    assert value == pytest.approx(by_hand(model, [9, 3, 1]), abs=1e-5)


def test_the_weights_have_the_type_that_is_asked_for_and_else_that_of_the_folder(model: str):
    assert RewardModel(model=model).scorer.network.dtype == torch.float32
    reward = RewardModel(model=model, dtype="bfloat16")
    assert reward.scorer.network.dtype == torch.bfloat16
    value = reward(["? "], [" four"], [[]])[0]
    assert value == pytest.approx(by_hand(model, [9, 3, 1]), abs=0.02)


def test_the_weights_are_lent_to_the_device_while_a_batch_is_scored(model: str):
    scorer = RewardModel(model=model).scorer
    scorer.device = torch.device("meta")
    with scorer.on_device():
        assert len(scorer.lent) >= len(list(scorer.network.parameters()))
        assert {weight.device.type for weight in scorer.lent.values()} == {"meta"}
    assert not scorer.lent
    assert {weight.device.type for weight in scorer.network.parameters()} == {"cpu"}


@pytest.mark.gpu
def test_on_a_gpu_the_model_is_in_bfloat16_and_on_the_host_between_uses(model: str):
    require("gpu", torch.cuda.is_available(), "none")
    reward = RewardModel(model=model)
    before = torch.cuda.memory_allocated()
    reward.load()
    assert torch.cuda.memory_allocated() == before
    value = reward(["? "], [" four"], [[]])[0]
    assert value == pytest.approx(by_hand(model, [9, 3, 1]), abs=0.02)
    assert torch.cuda.memory_allocated() == before
    weights = list(reward.scorer.network.parameters())
    assert {(w.device.type, w.dtype) for w in weights} == {("cpu", torch.bfloat16)}


@dataclass
class Judged(OneStep):
    """A step of GRPO with a reward model that counts from step 1000."""

    judge: str = ""

    def stage(self, args: Mapping[str, Any]) -> Any:
        late = {"model": self.judge, "from_step": 1000}
        return replace(super().stage(args), rewards={"varied": {}, "reward_model": late})


@pytest.mark.slow
def test_a_reward_model_that_is_not_whole_ends_the_stage_before_its_first_step(
    model: str, tiny_model: Path, tmp_path: Path
):
    damaged = Path(shutil.copytree(model, tmp_path / "damaged"))
    weights = damaged / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    for number, judge in enumerate((tmp_path / "missing", damaged)):
        step = Judged("grpo", tiny_model, tmp_path / str(number), judge=str(judge))
        step.folder.mkdir()
        with pytest.raises(StageError, match=r"^stages\.x\.rewards\.reward_model: "):
            step.train({})
        assert not (step.last / "metrics.jsonl").exists()


TEXTS = [
    ("Q", "<think>a</think>\n<answer>b</answer>", "summary", "Qb"),
    ("Q\n", "<think>a</think> b ", "summary", "Q\nb"),
    ("Q <think>\n", "a</think>b", "summary", "Q b"),
    ("Q <think>\n", "a", "summary", "Q "),
    ("Q", "<think>a", "summary", "Q"),
    ("Q", "a</think>b</think>c", "summary", "Qc"),
    ("Q", " just b", "summary", "Qjust b"),
    ("Q <think>\n", "a</think>b", "response", "Q <think>\na</think>b"),
]


@pytest.mark.parametrize(("prompt", "completion", "text", "scored"), TEXTS)
def test_the_scored_text_is_the_prompt_and_what_counts_of_the_completion(
    prompt, completion, text, scored
):
    assert scored_text(prompt, completion, text) == scored
