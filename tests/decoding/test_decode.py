"""`decode` generates what transformers' `generate` does, with less work."""

import warnings
from collections import Counter
from typing import Any

import pytest
import torch
from transformers import GenerationConfig

from r1trl.decoding.decode import batches, can_decode, decode
from r1trl.decoding.generation_config import (
    filled_from_model,
    lacking_in_decode,
    params_of_model,
    sampling_params,
)
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


PROCESSORS: list[dict[str, Any]] = [
    {"repetition_penalty": 1.3},
    {"min_new_tokens": 9},
    {"no_repeat_ngram_size": 1},
    {"no_repeat_ngram_size": 3},
    {"bad_words_ids": ((5,), (7, 8), (40, 41, 42), (9, 9))},
    {"suppress_tokens": tuple(range(3, 40))},
    {"begin_suppress_tokens": (END, *range(50, 90))},
    {"repetition_penalty": 0.7, "min_new_tokens": 4, "suppress_tokens": (8, 9)},
]


@pytest.mark.parametrize("options", PROCESSORS, ids=str)
def test_greedy_tokens_with_processors_are_those_of_generate(options: dict[str, Any]) -> None:
    model, prompts, limits = make("Qwen2"), make_prompts(30), [MAX_NEW_TOKENS] * 30
    params = SamplingParams(0.0, **options, eos_token_ids=(END,))
    found = [result.ids for result in decode(model, prompts, limits, params)]
    listed = {name: _as_lists(value) for name, value in options.items()}
    # transformers penalised padding until 5.17: there each prompt is on its own
    parts = [[p] for p in prompts] if "repetition_penalty" in options else [prompts]
    wanted = [generated(model, part, MAX_NEW_TOKENS, do_sample=False, **listed) for part in parts]
    assert found == [row for rows in wanted for row in rows]
    plain = decode(model, prompts, limits, SamplingParams(0.0, eos_token_ids=(END,)))
    assert found != [result.ids for result in plain], "the option changes something"


def _as_lists(value: Any) -> Any:
    return list(map(_as_lists, value)) if isinstance(value, tuple) else value


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


@pytest.mark.parametrize(
    "drawn",
    [{"temperature": 0.8, "top_k": 10}, {"temperature": 0.0}, {"min_new_tokens": 5}],
    ids=str,
)
def test_log_probabilities_are_those_of_the_model_however_ids_are_drawn(drawn: Any) -> None:
    model, prompts = make("Qwen2"), make_prompts(40)
    torch.manual_seed(1)
    params = SamplingParams(**drawn, eos_token_ids=(END,))
    found = decode(model, prompts, [9] * 40, params, logps_temperature=0.8)
    for prompt, result in zip(prompts, found, strict=True):
        logits = model(torch.tensor([prompt + result.ids])).logits[0, len(prompt) - 1 : -1] / 0.8
        logps = logits.log_softmax(-1).gather(1, torch.tensor(result.ids)[:, None]).squeeze(1)
        torch.testing.assert_close(torch.tensor(result.logps), logps, atol=1e-4, rtol=1e-5)


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


PLAIN = {"max_new_tokens": 9, "pad_token_id": 0, "eos_token_id": [2, 3], "do_sample": True}


def test_options_of_generate_become_sampling_parameters() -> None:
    config = GenerationConfig(**PLAIN, temperature=0.7, top_p=0.9, top_k=4, min_p=0.1)
    params = sampling_params(config)
    assert params == SamplingParams(0.7, 0.9, 4, 0.1, eos_token_ids=(2, 3), pad_token_id=0)
    greedy = sampling_params(GenerationConfig(**PLAIN | {"do_sample": False}, temperature=0.7))
    assert greedy is not None and greedy.temperature == 0
    own = GenerationConfig(
        **PLAIN, suppress_tokens=[7], bad_words_ids=[[4, 5]], use_cache=False, num_beams=1
    )
    params = sampling_params(own)
    assert params is not None
    assert (params.suppress_tokens, params.bad_words_ids) == ((7,), ((4, 5),))
    assert params.top_k == 50, "what transformers takes where nobody says it"


@pytest.mark.parametrize(
    "option",
    [
        {"num_beams": 4},
        {"num_beams": 2, "num_return_sequences": 2},
        {"typical_p": 0.9},
        {"epsilon_cutoff": 3e-4},
        {"eta_cutoff": 3e-4},
        {"top_h": 0.4},
        {"min_length": 5},
        {"forced_bos_token_id": 0},
        {"forced_eos_token_id": 2},
        {"sequence_bias": [[[5], -1.0]]},
        {"exponential_decay_length_penalty": (3, 1.1)},
        {"encoder_repetition_penalty": 1.2},
        {"guidance_scale": 1.5},
        {"stop_strings": ["x"]},
        {"max_time": 3.0},
        {"prompt_lookup_num_tokens": 3},
        {"cache_implementation": "static"},
        {"remove_invalid_values": True},
        {"temperature": 0.0},
        {"max_new_tokens": None, "max_length": 30},
    ],
    ids=str,
)
def test_options_that_decode_lacks_are_left_to_generate(option: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert sampling_params(GenerationConfig(**PLAIN | option)) is None


def test_empty_options_are_the_models_own() -> None:
    model = make("Llama")
    model.generation_config = GenerationConfig(
        suppress_tokens=[7], top_k=9, cache_implementation="hybrid", max_length=77, top_p=0.3
    )
    filled = filled_from_model(model, GenerationConfig(**PLAIN, top_k=0, top_p=1.0))
    params = sampling_params(filled)
    wanted = SamplingParams(suppress_tokens=(7,), eos_token_ids=(2, 3), pad_token_id=0)
    assert params == wanted


def test_a_models_own_settings_are_told_apart_from_a_way_of_sampling() -> None:
    config = GenerationConfig(
        temperature=0.6, top_k=20, suppress_tokens=[7], min_new_tokens=2, sequence_bias=[[[5], 1.0]]
    )
    assert params_of_model(config) == {"suppress_tokens": (7,), "min_new_tokens": 2}
    assert lacking_in_decode(config) == ["sequence_bias"]


def test_models_with_more_than_keys_and_values_are_left_to_generate() -> None:
    import peft
    from transformers import BloomConfig, BloomForCausalLM, MambaConfig, MambaForCausalLM

    sizes = {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 1}
    assert can_decode(make("Llama"))
    assert can_decode(make("Qwen2", use_sliding_window=True, sliding_window=8, max_window_layers=0))
    assert can_decode(peft.get_peft_model(make("Llama"), peft.LoraConfig(task_type="CAUSAL_LM")))
    assert not can_decode(MambaForCausalLM(MambaConfig(**sizes, state_size=4)))
    assert not can_decode(BloomForCausalLM(BloomConfig(**sizes, n_head=2)))  # knows no positions
