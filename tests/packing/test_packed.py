"""Packed rows get the log-probabilities of each alone, and no token is passed twice."""

from typing import Any

import pytest
import torch
import transformers
from machine import require
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from trl.trainer.utils import add_fused_lm_head
from varlen import reference_kernel

from r1trl.packing import attention, layout
from r1trl.packing import packed as packed_module
from r1trl.packing.logprobs import (
    are_completions,
    log_probabilities,
    logps_with_gradient_where_needed,
    pad_logps,
)
from r1trl.packing.models import adds_noise_by_length, is_random
from r1trl.packing.packed import PackedRows, can_pack
from r1trl.packing.padding_free import PackedModel
from r1trl.packing.tokens import TokenBatch

pytestmark = pytest.mark.slow
TRANSFORMERS = tuple(map(int, transformers.__version__.split(".")[:2]))
VOCABULARY, PADDING = 96, 0
SHARED = [(7, 3), (7, 9), (7, 1), (2, 5), (2, 5), (1, 4), (1, 8), (9, 20)]  # prompt, completion
ALONE = [(4, 3), (9, 9), (1, 1), (2, 5), (3, 5), (6, 4)]
# Makes a mask of its own; before transformers 5.18 it is not causal if nothing is padded.
OWN_MASK = [("Doge", {}, False)] if TRANSFORMERS >= (5, 18) else []


def make(architecture: str = "Qwen2", **more: Any) -> Any:
    """Return a small random model with TRL's head."""
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


def batch_of(sizes: list[tuple[int, int]]) -> TokenBatch:
    """Return rows of these lengths: equally long prompts are equal, completions are not."""
    width, longest = (max(lengths) for lengths in zip(*sizes, strict=True))
    ids = torch.full((len(sizes), width + longest + 2), PADDING)  # two columns without tokens
    mask = torch.zeros_like(ids)
    generator = torch.Generator().manual_seed(5)
    for row, (prompt, completion) in enumerate(sizes):
        ids[row, width - prompt : width] = torch.arange(prompt) + 10 * prompt % 50 + 3
        tokens = torch.randint(3, VOCABULARY, (completion,), generator=generator)
        ids[row, width : width + completion] = tokens
        mask[row, width - prompt : width + completion] = 1
    return TokenBatch(ids, mask, longest + 2)


def alone(model: Any, batch: TokenBatch) -> tuple[torch.Tensor, torch.Tensor]:
    """Return log-probabilities and entropies, row by row without TRL's head."""
    logps = torch.zeros(len(batch.ids), batch.logits_to_keep)
    entropies = torch.zeros_like(logps)
    for row in range(len(batch.ids)):
        ids, prompt = batch.ids[row][batch.mask[row] == 1], int(batch.prompt_lengths[row])
        scores = model(ids[None]).logits[0, prompt - 1 : -1].log_softmax(-1)
        count = len(ids) - prompt
        logps[row, :count] = scores.gather(1, ids[prompt:, None]).squeeze(1)
        entropies[row, :count] = -(scores.exp() * scores).sum(-1)
    return logps, entropies


@pytest.mark.parametrize("sizes", [SHARED, ALONE], ids=["shared", "alone"])
@pytest.mark.parametrize("overhead", [0, 10_000], ids=["many buckets", "few buckets"])
@pytest.mark.parametrize(
    ("architecture", "more", "packs"),
    [
        ("Llama", {}, True),
        ("Qwen2", {}, True),
        ("Qwen3", {"head_dim": 8}, True),
        ("GPT2", {}, True),
        ("Mixtral", {"num_local_experts": 4, "output_router_logits": True}, True),
        # attends twice in each layer; in newer versions by transformers' attention functions
        ("DiffLlama", {}, transformers.DiffLlamaForCausalLM._supports_attention_backend),
        ("Qwen2", {"attn_implementation": "eager"}, False),
        ("Mistral", {"sliding_window": 6}, False),
        ("Nemotron", {}, False),  # does not pass keyword arguments on to its attention
        *OWN_MASK,
    ],
    ids=str,
)
def test_rows_get_the_log_probabilities_of_each_alone(
    architecture: str, more: Any, packs: bool, overhead: int, sizes: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(layout, "CALL_OVERHEAD_TOKENS", overhead)
    model, batch = make(architecture, **more), batch_of(sizes)
    assert can_pack(model, batch.ids.device) == packs
    wanted = alone(model, batch)
    for max_rows in (len(sizes), 3):
        found = log_probabilities(model, batch, max_rows, packs)
        for ours, theirs in zip(found, wanted, strict=True):
            torch.testing.assert_close(ours, theirs, atol=5e-5, rtol=1e-4)


def gradients(model: Any, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the gradients of a loss."""
    model.zero_grad()
    loss.backward()
    return {name: part.grad.clone() for name, part in model.named_parameters()}


@pytest.mark.parametrize("on_gpu", [False, True], ids=["sdpa", "as on a GPU"])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_gradients_flow_into_shared_prompts(
    checkpointing: bool, on_gpu: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if on_gpu:
        monkeypatch.setattr(attention, "flash_takes", lambda *_: True)
        monkeypatch.setattr(attention, "varlen_kernel", lambda: reference_kernel)
    model, batch = make("Llama"), batch_of(SHARED)
    assert PackedRows(batch).layout.prompts
    wanted = gradients(model, alone(model, batch)[0].sum())
    if checkpointing:
        model.train().gradient_checkpointing_enable()
    found = gradients(model, log_probabilities(model, batch, 8, packs=True)[0].sum())
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, atol=1e-4, rtol=1e-3)


@pytest.mark.gpu
@pytest.mark.parametrize("sizes", [SHARED, ALONE], ids=["shared", "alone"])
def test_weights_in_float32_are_passed_in_bfloat16_on_a_gpu_as_alone_on_the_cpu(
    sizes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    require("gpu", torch.cuda.is_available())
    require("gpu", attention.varlen_kernel(), "torch has no varlen_attn for shared heads")
    model, batch = make("Qwen3", head_dim=8), batch_of(sizes)
    wanted = alone(model, batch)[0]
    model.cuda()
    on_gpu = TokenBatch(batch.ids.cuda(), batch.mask.cuda(), batch.logits_to_keep)
    used = []
    kernel = attention.varlen_kernel()
    monkeypatch.setattr(attention, "varlen_kernel", lambda: used.append(1) or kernel)
    with torch.autocast("cuda", torch.bfloat16):
        assert can_pack(model, on_gpu.ids.device)
        found = log_probabilities(model, on_gpu, len(sizes), packs=True).logps
    assert used
    assert (found.float().cpu() - wanted).abs().max() < 0.02 * wanted.abs().max()


def test_no_padding_is_passed_and_a_shared_prompt_once() -> None:
    packed = PackedRows(batch_of(SHARED))
    prompts = sum(size - 1 for size in {prompt for prompt, _ in SHARED})
    assert len(packed.rows) == prompts + sum(completion for _, completion in SHARED)
    assert len(PackedRows(batch_of(ALONE)).rows) == sum(p + c - 1 for p, c in ALONE)


def test_prompts_that_differ_only_in_their_mask_are_not_shared() -> None:
    ids = torch.tensor([[0, 0, 5, 6], [0, 0, 5, 7], [0, 0, 5, 8]])
    mask = torch.tensor([[0, 0, 1, 1], [0, 1, 1, 1], [0, 1, 1, 1]])
    packed = PackedRows(TokenBatch(ids, mask, 1))
    assert packed.layout.prompts
    assert sorted(zip(packed.rows.tolist(), packed.columns.tolist(), strict=True)) == [
        *[(0, 2), (1, 2), (2, 1), (2, 2)]
    ]


def test_prompts_are_not_shared_if_that_saves_little(monkeypatch: Any) -> None:
    monkeypatch.setattr(packed_module, "MIN_SHARED_FRACTION", 0.5)
    packed = PackedRows(batch_of(SHARED))
    assert not packed.layout.prompts
    assert len(packed.rows) == sum(p + c - 1 for p, c in SHARED)


def test_buckets_have_rows_of_similar_length(monkeypatch: Any) -> None:
    monkeypatch.setattr(layout, "CALL_OVERHEAD_TOKENS", 1.5)
    lengths = torch.tensor([3, 9, 8, 3, 2, 0])
    order = layout.longest_first(lengths)
    assert order.tolist() == [1, 2, 0, 3, 4]
    assert layout.bucket_ends(lengths[order]) == [(0, 2), (2, 5)]
    assert layout.bucket_ends(torch.tensor([], dtype=torch.int64)) == []


def test_a_line_is_printed_if_a_promising_model_cannot_pack(capfd: Any) -> None:
    model, device = make("Doge").train(), torch.device("cpu")
    assert not can_pack(model, device)
    assert "padded" in capfd.readouterr().out
    assert model.training
    assert not can_pack(make(attn_implementation="eager"), device)
    assert not capfd.readouterr().out, "eager attention cannot be packed anyway"


LONG = {"rope_theta": 10000.0, "original_max_position_embeddings": 64}


class Unusual(torch.nn.Module):
    """A model of somebody's own, without a configuration."""

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return input_ids.float()


def raising(error: Exception) -> Any:
    """Return a model that raises an error when rows are packed."""
    model = make()

    def forward(*_: Any, position_ids: Any = None, **__: Any) -> Any:
        raise error

    model.forward = forward
    return model


def learnt(config: str, **more: Any) -> Any:
    """Return a model with something of PEFT's."""
    import peft

    return peft.get_peft_model(make(), getattr(peft, config)(task_type="CAUSAL_LM", **more))


def encoder_decoder() -> Any:
    """Return a small T5."""
    from transformers import T5Config, T5ForConditionalGeneration

    sizes = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 1, "num_heads": 4}
    model = T5ForConditionalGeneration(T5Config(vocab_size=VOCABULARY, **sizes))
    return model


@pytest.mark.parametrize(
    ("model", "packs"),
    [
        (lambda: learnt("LoraConfig"), True),
        (lambda: learnt("PromptTuningConfig", num_virtual_tokens=3), False),
        (lambda: learnt("PrefixTuningConfig", num_virtual_tokens=3), False),
        (lambda: learnt("PromptEncoderConfig", num_virtual_tokens=3), False),
        (encoder_decoder, False),
        (Unusual, False),
        (lambda: torch.nn.Sequential(Unusual()), False),
        (lambda: torch.compile(make(), backend="eager"), False),
        (lambda: make("Bloom", n_head=4), False),  # takes no positions
        (lambda: make(rope_parameters=LONG | {"rope_type": "dynamic", "factor": 2.0}), False),
        (lambda: raising(TypeError("got an unexpected keyword argument 'position_ids'")), False),
        (lambda: raising(NotImplementedError()), False),
        (lambda: raising(RuntimeError("The size of tensor a must match")), False),
    ],
    ids=[
        *("lora", "prompt tuning", "prefix tuning", "p-tuning", "encoder-decoder", "module"),
        *(
            "sequential",
            "compiled",
            "no positions",
            "long",
            "TypeError",
            "no message",
            "RuntimeError",
        ),
    ],
)
def test_a_model_of_another_kind_is_not_packed_and_raises_nothing(model: Any, packs: bool) -> None:
    made = model()
    made.train()
    assert can_pack(made, torch.device("cpu")) is packs
    assert all(module.training for module in made.modules())


def test_submodules_that_are_not_training_stay_so() -> None:
    model = make().train()
    model.model.layers[0].eval()
    assert can_pack(model, torch.device("cpu"))
    assert model.training and not model.model.layers[0].training


def test_lack_of_memory_is_no_reason_to_pad() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        can_pack(raising(torch.OutOfMemoryError()), torch.device("cpu"))


def test_noise_of_a_model_in_training_is_found() -> None:
    from transformers.integrations.neftune import activate_neftune

    assert not is_random(make())
    assert is_random(make(attention_dropout=0.1))
    assert is_random(learnt("LoraConfig", lora_dropout=0.05))
    assert not is_random(learnt("LoraConfig", lora_dropout=0.0))
    assert is_random(make("GPT2", resid_pdrop=0.1, embd_pdrop=0.0, attn_pdrop=0.0))
    noisy = make()
    activate_neftune(noisy, 5.0)
    assert adds_noise_by_length(noisy) and is_random(noisy)


@pytest.mark.parametrize("architecture", ["Qwen2", "GPT2", "Mixtral"])
def test_other_passes_are_those_of_sdpa_to_the_bit(architecture: str) -> None:
    model, batch = make(architecture), batch_of(SHARED)
    padded = {"input_ids": batch.ids, "attention_mask": batch.mask}
    prompts = {name: value[:, : batch.prompt_width] for name, value in padded.items()}
    options = {"max_new_tokens": 6, "do_sample": False, "pad_token_id": PADDING}

    def results() -> dict[str, torch.Tensor]:
        torch.manual_seed(3)  # for dropout
        model.train().gradient_checkpointing_enable()
        trained = gradients(model, model(**padded).logits.sum())
        model.eval().gradient_checkpointing_disable()
        completions = model.generate(**prompts, **options)
        return trained | {"logits": model(**padded).logits.detach(), "ids": completions}

    AttentionInterface.register("sdpa", sdpa_attention_forward)
    before = results()
    assert can_pack(model, batch.ids.device)
    assert AttentionInterface()["sdpa"] is attention.packed_attention
    log_probabilities(model, batch, 8, packs=True)
    for name, value in results().items():
        assert torch.equal(value, before[name]), name


def test_another_sdpa_is_left_in_place() -> None:
    def other(*inputs: Any, packed_layout: Any = None, **options: Any) -> Any:
        return sdpa_attention_forward(*inputs, **options)

    AttentionInterface.register("sdpa", other)
    try:
        assert not can_pack(make(), torch.device("cpu"))
        assert AttentionInterface()["sdpa"] is other
    finally:
        AttentionInterface.register("sdpa", sdpa_attention_forward)


def test_an_empty_prompt_is_not_shared() -> None:
    ids = torch.tensor([[0, 0, 0, 6], [0, 4, 5, 7], [0, 4, 5, 8]])
    mask = torch.tensor([[0, 0, 0, 1], [0, 1, 1, 1], [0, 1, 1, 1]])
    assert not PackedRows(TokenBatch(ids, mask, 1)).layout.prompts


def test_fine_tuning_passes_no_padding() -> None:
    model = make()
    lengths = [5, 9, 1, 7]
    mask = torch.tensor([[1] * n + [0] * (9 - n) for n in lengths])
    ids = torch.randint(3, VOCABULARY, mask.shape) * mask
    labels = ids.masked_fill(mask == 0, -100)
    labels[:, 1] = -100
    inputs = {"input_ids": ids, "attention_mask": mask, "labels": labels, "fused_lm_head": True}
    padded, sizes = model(**inputs), []
    model.model.register_forward_pre_hook(
        lambda _, __, kwargs: sizes.append(kwargs["input_ids"].shape), with_kwargs=True
    )
    found = PackedModel(model)(**inputs)
    assert sizes == [(1, sum(max(n - 1, 1) for n in lengths))]
    for name in ("log_probs", "entropy", "is_top1", "label_mask"):
        mask = padded.label_mask
        torch.testing.assert_close(found[name] * mask, padded[name] * mask, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("silent", ["some", "all", "none"])
def test_rows_without_advantage_have_their_values_and_no_gradient(silent: str) -> None:
    model, batch = make(), batch_of(SHARED)
    assert can_pack(model, batch.ids.device)
    zero_advantage = torch.tensor(
        [silent == "all" or (silent == "some" and i % 3 == 0) for i in range(len(SHARED))]
    )
    known = log_probabilities(model, batch, len(SHARED), packs=True)
    wanted = gradients(model, known.logps[~zero_advantage].sum() + 0 * known.logps.sum())
    found = logps_with_gradient_where_needed(model, batch, zero_advantage, packs=True)
    for ours, theirs in zip(found, known, strict=True):
        torch.testing.assert_close(ours, theirs, atol=5e-5, rtol=1e-4)
    weights = (~zero_advantage).float()[:, None]  # what a loss multiplies them with
    for name, value in gradients(model, (found.logps * weights).sum()).items():
        torch.testing.assert_close(value, wanted[name], atol=1e-4, rtol=1e-3)


def test_completions_are_those_generated_if_their_ids_are() -> None:
    batch = batch_of([(2, 3), (2, 1), (1, 2)])
    ids = [batch.ids[row, 2 : 2 + n].tolist() for row, n in enumerate((3, 1, 2))]
    assert are_completions(ids, batch)
    assert not are_completions([ids[0][:2], *ids[1:]], batch)
    assert not are_completions(ids[:2], batch)
    batch.mask[0, 2:] = 0  # a truncated completion that TRL has masked
    assert are_completions([ids[0][:2], *ids[1:]], batch)


def test_log_probabilities_are_right_padded_with_0() -> None:
    mask = torch.tensor([[1, 1, 0], [1, 0, 0]])
    padded = pad_logps([[-0.5, -0.25], [-1.0, -2.0, -3.0, -4.0]], mask)
    assert torch.equal(padded, torch.tensor([[-0.5, -0.25, 0.0], [-1.0, 0.0, 0.0]]))
