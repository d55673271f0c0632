"""`decode` generates what transformers' `generate` does, with less work."""

from collections import Counter
from typing import Any

import pytest
import torch
from transformers import GenerationConfig

from r1trl.decoding.decode import batches, decode
from r1trl.decoding.sampling_params import SamplingParams

pytestmark = pytest.mark.slow
END, PADDING, VOCABULARY, MAX_NEW_TOKENS = 2, 0, 96, 24


def make(architecture: str, **more: Any) -> Any:
    """Return a small random model that ends some of its completions."""
    import transformers

    options = {
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
    config = getattr(transformers, f"{architecture}Config")(**options | more)
    torch.manual_seed(1)
    return getattr(transformers, f"{architecture}ForCausalLM")(config).eval()


def make_prompts(count: int, longest: int = 20) -> list[list[int]]:
    """Return prompts of mixed length, some of which are equal."""
    generator = torch.Generator().manual_seed(3)
    lengths = torch.randint(1, longest + 1, (count,), generator=generator).tolist()
    ids = [torch.randint(3, VOCABULARY, (n,), generator=generator).tolist() for n in lengths]
    return [ids[i // 2] if i % 4 == 0 else ids[i] for i in range(count)]


def generated(
    model: Any, prompts: list[list[int]], max_new_tokens: int, **options: Any
) -> list[list[int]]:
    """Return the completions of `generate`, up to their end tokens."""
    width = max(map(len, prompts))
    ids = torch.tensor([[PADDING] * (width - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    config = GenerationConfig(
        max_new_tokens=max_new_tokens,
        eos_token_id=END,
        pad_token_id=PADDING,
        disable_compile=True,
        **options,
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
    model, prompts = make(architecture, **more), make_prompts(500)
    found = [
        result.ids
        for result in decode(
            model, prompts, [MAX_NEW_TOKENS] * 500, SamplingParams(0.0, eos_token_ids=(END,))
        )
    ]
    assert found == generated(model, prompts, MAX_NEW_TOKENS, do_sample=False)
    lengths = Counter(map(len, found))
    assert lengths[MAX_NEW_TOKENS] > 10 and len(lengths) > 5, "some end early and some do not"


def test_greedy_tokens_with_a_repetition_penalty_are_those_of_generate() -> None:
    model, prompts = make("Qwen2"), make_prompts(60)
    params = SamplingParams(0.0, repetition_penalty=1.3, eos_token_ids=(END,))
    found = [result.ids for result in decode(model, prompts, [MAX_NEW_TOKENS] * 60, params)]
    options = {"do_sample": False, "repetition_penalty": 1.3}
    for length in set(map(len, prompts)):  # transformers before 5.23 penalises padding too
        rows = [row for row, prompt in enumerate(prompts) if len(prompt) == length]
        alone = generated(model, [prompts[row] for row in rows], MAX_NEW_TOKENS, **options)
        assert [found[row] for row in rows] == alone


SAMPLING = [
    {},
    {"temperature": 0.7},
    {"top_k": 5, "temperature": 1.5},
    {"top_p": 0.6},
    {"min_p": 0.1},
]


@pytest.mark.parametrize("options", SAMPLING, ids=str)
def test_sampled_tokens_are_distributed_as_those_of_generate(options: dict[str, Any]) -> None:
    model, prompts, count = make("Llama"), [[5, 9, 11]] * 6000, 6000
    torch.manual_seed(1)
    found = decode(model, prompts, [2] * count, SamplingParams(**options, eos_token_ids=(END,)))
    wanted = generated(model, prompts, 2, do_sample=True, **{"top_k": 0} | options)
    ours, theirs = (
        Counter(tuple(ids) for ids in rows) for rows in ([result.ids for result in found], wanted)
    )
    distance = sum(abs(ours[k] - theirs[k]) for k in ours | theirs) / (2 * count)
    torch.manual_seed(2)
    again = Counter(
        map(tuple, generated(model, prompts, 2, do_sample=True, **{"top_k": 0} | options))
    )
    noise = sum(abs(again[k] - theirs[k]) for k in again | theirs) / (2 * count)
    assert distance < 1.2 * noise + 0.01


def test_log_probabilities_are_those_of_the_model() -> None:
    model, prompts = make("Qwen2"), make_prompts(40)
    torch.manual_seed(1)
    found = decode(
        model,
        prompts,
        [9] * 40,
        SamplingParams(0.8, top_k=10, eos_token_ids=(END,)),
        return_logps=True,
    )
    for prompt, result in zip(prompts, found, strict=True):
        logits = model(torch.tensor([prompt + result.ids])).logits[0, len(prompt) - 1 : -1] / 0.8
        logps = logits.log_softmax(-1).gather(1, torch.tensor(result.ids)[:, None]).squeeze(1)
        torch.testing.assert_close(torch.tensor(result.logps), logps, atol=1e-5, rtol=1e-5)


def test_every_row_has_its_own_limit() -> None:
    model, prompts = make("Llama"), make_prompts(30)
    limits = [1 + i % 7 for i in range(30)]
    found = decode(model, prompts, limits, SamplingParams(0.0, eos_token_ids=(END,)))
    unlimited = decode(model, prompts, [9] * 30, SamplingParams(0.0, eos_token_ids=(END,)))
    results = zip(found, unlimited, limits, strict=True)
    assert all(cut.ids == full.ids[:limit] for cut, full, limit in results)


def test_each_row_is_reported_once_when_it_finishes() -> None:
    model, prompts, reported = make("Llama"), make_prompts(50), {}
    found = decode(
        model,
        prompts,
        [MAX_NEW_TOKENS] * 50,
        SamplingParams(0.0, eos_token_ids=(END,)),
        on_finished=lambda rows, ids: reported.update(zip(rows, ids, strict=True)),
    )
    assert reported == dict(enumerate(result.ids for result in found))


def test_a_prompt_is_prefilled_once_and_a_finished_row_is_not_computed(monkeypatch: Any) -> None:
    model, sizes = make("Llama"), []
    forward = model.forward
    monkeypatch.setattr(
        model,
        "forward",
        lambda **inputs: sizes.append(inputs["input_ids"].shape) or forward(**inputs),
    )
    limits = [1] * 30 + [8] * 2
    decode(model, [[5, 6, 7]] * 32, limits, SamplingParams(0.0, eos_token_ids=()))
    assert sizes == [(1, 3), *[(2, 1)] * 7]


def test_rows_that_do_not_fit_in_memory_together_are_in_several_batches() -> None:
    prompts = [[1] * 5, [2] * 9, [1] * 5, [3] * 2]
    assert list(batches(prompts, [4] * 4, lambda length: 40 // length)) == [[1, 0, 2], [3]]
    assert list(batches(prompts, [4] * 4, lambda length: 0)) == [[1], [0], [2], [3]]


def test_options_that_decode_lacks_are_left_to_generate() -> None:
    plain = {"max_new_tokens": 9, "pad_token_id": 0, "eos_token_id": [2, 3], "do_sample": True}
    params = SamplingParams.from_config(
        GenerationConfig(**plain, temperature=0.7, top_p=0.9, top_k=4, min_p=0.1)
    )
    assert params == SamplingParams(0.7, 0.9, 4, 0.1, eos_token_ids=(2, 3), pad_token_id=0)
    assert SamplingParams.from_config(GenerationConfig(**plain, num_beams=4)) is None
    assert SamplingParams.from_config(GenerationConfig(**plain, suppress_tokens=[7])) is None
