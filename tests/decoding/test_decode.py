"""Decoding draws what transformers' `generate` draws, and computes less."""

from collections import Counter
from typing import Any

import pytest
import torch
from transformers import GenerationConfig

from r1trl.decoding.decode import batches, decode
from r1trl.decoding.sampling_params import SamplingParams

pytestmark = pytest.mark.slow
END, PADDING, VOCABULARY, LONGEST = 2, 0, 96, 24


def make(architecture: str, **more: Any) -> Any:
    """Return a small random model that ends some of its answers."""
    import transformers

    settings = {
        "vocab_size": VOCABULARY,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 128,
        "pad_token_id": PADDING,
        "eos_token_id": END,
        "initializer_range": 0.5,
    }
    config = getattr(transformers, f"{architecture}Config")(**settings | more)
    torch.manual_seed(1)
    return getattr(transformers, f"{architecture}ForCausalLM")(config).eval()


def prompts(count: int, longest: int = 20) -> list[list[int]]:
    """Return prompts of mixed length, some of which are equal."""
    source = torch.Generator().manual_seed(3)
    lengths = torch.randint(1, longest + 1, (count,), generator=source).tolist()
    made = [torch.randint(3, VOCABULARY, (n,), generator=source).tolist() for n in lengths]
    return [made[i // 2] if i % 4 == 0 else made[i] for i in range(count)]


def generated(model: Any, asked: list[list[int]], rooms: int, **how: Any) -> list[list[int]]:
    """Return what `generate` draws, up to the end tokens."""
    width = max(map(len, asked))
    ids = torch.tensor([[PADDING] * (width - len(one)) + one for one in asked])
    mask = torch.tensor([[0] * (width - len(one)) + [1] * len(one) for one in asked])
    config = GenerationConfig(
        max_new_tokens=rooms, eos_token_id=END, pad_token_id=PADDING, disable_compile=True, **how
    )
    rows = model.generate(ids, attention_mask=mask, generation_config=config)[:, width:].tolist()
    return [row[: row.index(END) + 1] if END in row else row for row in rows]


@pytest.mark.parametrize(
    ("architecture", "more"),
    [
        ("Llama", {}),
        ("Qwen2", {}),
        ("Qwen3", {"head_dim": 8}),
        ("Qwen3", {"hidden_size": 256, "intermediate_size": 512, "initializer_range": 0.1}),
        ("Qwen2", {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 0}),
        ("Llama", {"attn_implementation": "eager"}),
    ],
)
def test_greedy_tokens_are_those_of_generate(architecture: str, more: dict[str, Any]) -> None:
    model, asked = make(architecture, **more), prompts(500)
    found = [d.ids for d in decode(model, asked, [LONGEST] * 500, SamplingParams(0.0, ends=(END,)))]
    assert found == generated(model, asked, LONGEST, do_sample=False)
    lengths = Counter(map(len, found))
    assert lengths[LONGEST] > 10 and len(lengths) > 5, "some end early and some do not"


def test_greedy_tokens_with_a_repetition_penalty_are_those_of_generate() -> None:
    model, asked = make("Qwen2"), prompts(60)
    method = SamplingParams(0.0, repetition_penalty=1.3, ends=(END,))
    found = [d.ids for d in decode(model, asked, [LONGEST] * 60, method)]
    assert found == generated(model, asked, LONGEST, do_sample=False, repetition_penalty=1.3)


FILTERS = [
    {},
    {"temperature": 0.7},
    {"top_k": 5, "temperature": 1.5},
    {"top_p": 0.6},
    {"min_p": 0.1},
]


@pytest.mark.parametrize("how", FILTERS, ids=str)
def test_sampled_tokens_are_distributed_as_those_of_generate(how: dict[str, Any]) -> None:
    model, asked, count = make("Llama"), [[5, 9, 11]] * 6000, 6000
    torch.manual_seed(1)
    found = decode(model, asked, [2] * count, SamplingParams(**how, ends=(END,)))
    wanted = generated(model, asked, 2, do_sample=True, **{"top_k": 0} | how)
    ours, theirs = (
        Counter(tuple(ids) for ids in rows) for rows in ([d.ids for d in found], wanted)
    )
    distance = sum(abs(ours[k] - theirs[k]) for k in ours | theirs) / (2 * count)
    torch.manual_seed(2)
    again = Counter(map(tuple, generated(model, asked, 2, do_sample=True, **{"top_k": 0} | how)))
    noise = sum(abs(again[k] - theirs[k]) for k in again | theirs) / (2 * count)
    assert distance < 1.2 * noise + 0.01


def test_log_probabilities_are_the_models_own() -> None:
    model, asked = make("Qwen2"), prompts(40)
    torch.manual_seed(1)
    found = decode(model, asked, [9] * 40, SamplingParams(0.8, top_k=10, ends=(END,)), logps=True)
    for prompt, drawn in zip(asked, found, strict=True):
        logits = model(torch.tensor([prompt + drawn.ids])).logits[0, len(prompt) - 1 : -1] / 0.8
        logps = logits.log_softmax(-1).gather(1, torch.tensor(drawn.ids)[:, None]).squeeze(1)
        torch.testing.assert_close(torch.tensor(drawn.logps), logps, atol=1e-5, rtol=1e-5)


def test_every_row_has_its_own_limit() -> None:
    model, asked = make("Llama"), prompts(30)
    rooms = [1 + i % 7 for i in range(30)]
    found = decode(model, asked, rooms, SamplingParams(0.0, ends=(END,)))
    whole = decode(model, asked, [9] * 30, SamplingParams(0.0, ends=(END,)))
    pairs = zip(found, whole, rooms, strict=True)
    assert all(one.ids == all_.ids[:room] for one, all_, room in pairs)


def test_rows_are_heard_of_once_when_they_end() -> None:
    model, asked, heard = make("Llama"), prompts(50), {}
    found = decode(
        model,
        asked,
        [LONGEST] * 50,
        SamplingParams(0.0, ends=(END,)),
        heard=lambda rows, ids: heard.update(zip(rows, ids, strict=True)),
    )
    assert heard == dict(enumerate(one.ids for one in found))


def test_a_prompt_is_read_once_and_an_ended_row_is_not_computed(monkeypatch: Any) -> None:
    model, sizes = make("Llama"), []
    forward = model.forward
    monkeypatch.setattr(
        model, "forward", lambda **given: sizes.append(given["input_ids"].shape) or forward(**given)
    )
    rooms = [1] * 30 + [8] * 2
    decode(model, [[5, 6, 7]] * 32, rooms, SamplingParams(0.0, ends=()))
    assert sizes == [(1, 3), *[(2, 1)] * 7]


def test_rows_that_have_no_room_together_are_drawn_after_another() -> None:
    asked = [[1] * 5, [2] * 9, [1] * 5, [3] * 2]
    assert list(batches(asked, [4] * 4, lambda length: 40 // length)) == [[1, 0, 2], [3]]
    assert list(batches(asked, [4] * 4, lambda length: 0)) == [[1], [0], [2], [3]]


def test_what_is_not_done_here_is_left_to_generate() -> None:
    plain = {"max_new_tokens": 9, "pad_token_id": 0, "eos_token_id": [2, 3], "do_sample": True}
    method = SamplingParams.of(
        GenerationConfig(**plain, temperature=0.7, top_p=0.9, top_k=4, min_p=0.1)
    )
    assert method == SamplingParams(0.7, 0.9, 4, 0.1, ends=(2, 3), padding=0)
    assert SamplingParams.of(GenerationConfig(**plain, num_beams=4)) is None
    assert SamplingParams.of(GenerationConfig(**plain, suppress_tokens=[7])) is None
