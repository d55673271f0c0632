"""Rows without padding say what they say alone, and no token is read twice."""

from typing import Any

import pytest
import torch
from trl.trainer.utils import add_fused_lm_head

from r1trl.packing import attention
from r1trl.packing import packed as packed_module
from r1trl.packing.logprobs import log_probabilities
from r1trl.packing.packed import Packed, can_pack
from r1trl.packing.padding_free import PackedModel
from r1trl.packing.tokens import TokenBatch

pytestmark = pytest.mark.slow
VOCABULARY, PADDING = 96, 0
SHARED = [(7, 3), (7, 9), (7, 1), (2, 5), (2, 5), (1, 4), (1, 8), (9, 20)]  # prompt, completion
ALONE = [(4, 3), (9, 9), (1, 1), (2, 5), (3, 5), (6, 4)]


def make(architecture: str = "Qwen2", **more: Any) -> Any:
    """Return a small random model with TRL's head."""
    import transformers

    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    if architecture != "GPT2":
        sizes |= {"intermediate_size": 64, "num_key_value_heads": 2}
    config = getattr(transformers, f"{architecture}Config")(
        vocab_size=VOCABULARY, max_position_embeddings=128, initializer_range=0.5, **sizes, **more
    )
    torch.manual_seed(1)
    name = {"GPT2": "GPT2LMHead"}.get(architecture, f"{architecture}ForCausalLM")
    model = getattr(transformers, {"GPT2LMHead": "GPT2LMHeadModel"}.get(name, name))(config)
    add_fused_lm_head(model, outputs=("log_probs", "entropy", "is_top1"))
    return model.eval()


def texts_of(sizes: list[tuple[int, int]]) -> TokenBatch:
    """Return texts of these sizes: equally long prompts are equal, completions are not."""
    width, keep = (max(of) for of in zip(*sizes, strict=True))
    ids = torch.full((len(sizes), width + keep + 2), PADDING)  # two columns are for nothing
    mask = torch.zeros_like(ids)
    source = torch.Generator().manual_seed(5)
    for row, (prompt, completion) in enumerate(sizes):
        ids[row, width - prompt : width] = torch.arange(prompt) + 10 * prompt % 50 + 3
        drawn = torch.randint(3, VOCABULARY, (completion,), generator=source)
        ids[row, width : width + completion] = drawn
        mask[row, width - prompt : width + completion] = 1
    return TokenBatch(ids, mask, keep + 2)


def alone(model: Any, texts: TokenBatch) -> tuple[torch.Tensor, torch.Tensor]:
    """Return log-probabilities and entropies, row by row without TRL's head."""
    logps = torch.zeros(len(texts.ids), texts.keep)
    entropies = torch.zeros_like(logps)
    for row in range(len(texts.ids)):
        ids, prompt = texts.ids[row][texts.mask[row] == 1], int(texts.prompts[row])
        scores = model(ids[None]).logits[0, prompt - 1 : -1].log_softmax(-1)
        count = len(ids) - prompt
        logps[row, :count] = scores.gather(1, ids[prompt:, None]).squeeze(1)
        entropies[row, :count] = -(scores.exp() * scores).sum(-1)
    return logps, entropies


@pytest.mark.parametrize("sizes", [SHARED, ALONE], ids=["shared", "alone"])
@pytest.mark.parametrize("start", [0, 10_000], ids=["many parts", "few parts"])
@pytest.mark.parametrize(
    ("architecture", "more", "packs"),
    [
        ("Llama", {}, True),
        ("Qwen2", {}, True),
        ("Qwen3", {"head_dim": 8}, True),
        ("GPT2", {}, True),
        ("Mixtral", {"num_local_experts": 4, "output_router_logits": True}, True),
        ("DiffLlama", {}, True),  # attends twice in each layer
        ("Qwen2", {"attn_implementation": "eager"}, False),
        ("Mistral", {"sliding_window": 6}, False),
        ("Nemotron", {}, False),  # keeps what it does not know from its attention
        ("Doge", {}, False),  # has a mask of its own
    ],
    ids=str,
)
def test_rows_say_what_they_say_alone(
    architecture: str, more: Any, packs: bool, start: int, sizes: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(attention, "START", start)
    model, texts = make(architecture, **more), texts_of(sizes)
    assert can_pack(model, texts.ids.device) == packs
    wanted = alone(model, texts)
    for most in (len(sizes), 3):
        found = log_probabilities(model, texts, most)
        for ours, theirs in zip(found, wanted, strict=True):
            torch.testing.assert_close(ours, theirs, atol=5e-5, rtol=1e-4)


def gradients(model: Any, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the gradients of a loss."""
    model.zero_grad()
    loss.backward()
    return {name: part.grad.clone() for name, part in model.named_parameters()}


@pytest.mark.parametrize("recomputed", [False, True])
def test_gradients_flow_into_shared_prompts(recomputed: bool) -> None:
    model, texts = make("Llama"), texts_of(SHARED)
    assert Packed(texts).spans.prompts
    wanted = gradients(model, alone(model, texts)[0].sum())
    if recomputed:
        model.train().gradient_checkpointing_enable()
    found = gradients(model, log_probabilities(model, texts, 8)[0].sum())
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, atol=1e-4, rtol=1e-3)


def test_no_padding_is_read_and_a_shared_prompt_once() -> None:
    packed = Packed(texts_of(SHARED))
    prompts = sum(size - 1 for size in {prompt for prompt, _ in SHARED})
    assert len(packed.rows) == prompts + sum(completion for _, completion in SHARED)
    assert len(Packed(texts_of(ALONE)).rows) == sum(p + c - 1 for p, c in ALONE)


def test_prompts_that_differ_in_padding_alone_are_two() -> None:
    ids = torch.tensor([[0, 0, 5, 6], [0, 0, 5, 7], [0, 0, 5, 8]])
    mask = torch.tensor([[0, 0, 1, 1], [0, 1, 1, 1], [0, 1, 1, 1]])
    packed = Packed(TokenBatch(ids, mask, 1))
    assert packed.spans.prompts
    assert sorted(zip(packed.rows.tolist(), packed.columns.tolist(), strict=True)) == [
        *[(0, 2), (1, 2), (2, 1), (2, 2)]
    ]


def test_prompts_are_not_shared_where_that_saves_little(monkeypatch: Any) -> None:
    monkeypatch.setattr(packed_module, "WORTH", 0.5)
    packed = Packed(texts_of(SHARED))
    assert not packed.spans.prompts
    assert len(packed.rows) == sum(p + c - 1 for p, c in SHARED)


def test_parts_are_of_like_length(monkeypatch: Any) -> None:
    monkeypatch.setattr(attention, "START", 1.5)
    found = attention.bucket_by_length(torch.tensor([3, 9, 8, 3, 2, 0]))
    assert [part.tolist() for part in found] == [[1, 2], [0, 3, 4]]
    assert attention.bucket_by_length(torch.tensor([0, 0])) == []


def test_it_is_said_of_a_model_that_it_pads(capfd: Any) -> None:
    model, texts = make("Nemotron").train(), texts_of(ALONE)
    assert not can_pack(model, texts.ids.device)
    assert "padded" in capfd.readouterr().out
    assert not can_pack(model, texts.ids.device)
    assert not capfd.readouterr().out, "it is found out once"
    assert model.training


def test_a_prompt_without_tokens_is_not_shared() -> None:
    ids = torch.tensor([[0, 0, 0, 6], [0, 4, 5, 7], [0, 4, 5, 8]])
    mask = torch.tensor([[0, 0, 0, 1], [0, 1, 1, 1], [0, 1, 1, 1]])
    assert not Packed(TokenBatch(ids, mask, 1)).spans.prompts


def test_fine_tuning_reads_no_padding() -> None:
    model = make()
    lengths = [5, 9, 1, 7]
    mask = torch.tensor([[1] * n + [0] * (9 - n) for n in lengths])
    ids = torch.randint(3, VOCABULARY, mask.shape) * mask
    labels = ids.masked_fill(mask == 0, -100)
    labels[:, 1] = -100
    given = {"input_ids": ids, "attention_mask": mask, "labels": labels, "fused_lm_head": True}
    whole, sizes = model(**given), []
    model.model.register_forward_pre_hook(
        lambda _, __, named: sizes.append(named["input_ids"].shape), with_kwargs=True
    )
    found = PackedModel(model)(**given)
    assert sizes == [(1, sum(max(n - 1, 1) for n in lengths))]
    for name in ("log_probs", "entropy", "is_top1", "label_mask"):
        there = whole.label_mask
        torch.testing.assert_close(found[name] * there, whole[name] * there, atol=2e-5, rtol=1e-4)
