"""What transformers' generation settings ask for, in terms of this decoder, or that it lacks it."""

import copy
from typing import Any

from r1trl.decoding.sampling_params import SamplingParams

# What changes no token of a decoder that draws one completion per row, up to max_new_tokens.
WITHOUT_EFFECT = {
    *("bos_token_id", "decoder_start_token_id", "max_length", "early_stopping", "length_penalty"),
    *("use_cache", "max_cache_len", "prefill_chunk_size", "compile_config", "disable_compile"),
    *("output_attentions", "output_hidden_states", "output_scores", "output_logits"),
    *("return_dict_in_generate", "renormalize_logits", "continuous_batching_config"),
    *("num_assistant_tokens", "num_assistant_tokens_schedule", "assistant_confidence_threshold"),
    *("assistant_lookbehind", "target_lookbehind", "assistant_ensemble_weight"),
    *("max_matching_ngram_size", "transformers_version"),
}
# The values that switch an option off; for all of them, None, False and an empty list do too.
OFF: dict[str, float | str] = {
    **dict.fromkeys(("num_beams", "num_return_sequences", "num_beam_groups", "guidance_scale"), 1),
    **dict.fromkeys(("typical_p", "encoder_repetition_penalty"), 1.0),
    **dict.fromkeys(("epsilon_cutoff", "eta_cutoff", "diversity_penalty", "penalty_alpha"), 0.0),
    **dict.fromkeys(("min_length", "encoder_no_repeat_ngram_size"), 0),
    "cache_implementation": "dynamic",
}
TOP_K = 50  # transformers' own, where neither the caller nor the model says one
SAMPLING = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")
# What belongs to a model rather than to a way of sampling from it.
OF_THE_MODEL = (
    *("min_new_tokens", "no_repeat_ngram_size", "bad_words_ids"),
    *("suppress_tokens", "begin_suppress_tokens"),
)


def filled_from_model(model: Any, config: Any) -> Any:
    """Return a GenerationConfig whose empty settings are the model's own, as `generate` uses it."""
    filled = copy.deepcopy(config)
    filled.update(**model.generation_config.to_dict(), defaults_only=True)
    if filled.cache_implementation == "hybrid":  # as `generate` has it
        filled.cache_implementation = None
    return filled


def sampling_params(config: Any) -> SamplingParams | None:
    """Convert a GenerationConfig with all its settings; None if it sets one that `decode` lacks."""
    options = _set_options(config)
    eos = options.pop("eos_token_id", ())
    sampled = options.pop("do_sample", False)
    temperature = options.get("temperature", 1.0) if sampled else 0.0
    if not options.pop("max_new_tokens", 0) or (sampled and not temperature):
        return None
    params = {"top_k": TOP_K} | {name: options.pop(name) for name in _FIELDS if name in options}
    if options:
        return None
    eos_ids = tuple(eos) if isinstance(eos, list | tuple) else (eos,)
    return SamplingParams(**params | {"temperature": temperature, "eos_token_ids": eos_ids})


def params_of_model(config: Any) -> dict[str, Any]:
    """Return the parameters in a model's own generation settings that no sampling replaces.

    They are those of OF_THE_MODEL, such as tokens that must not be drawn.
    """
    options = _set_options(config)
    return {name: options[name] for name in OF_THE_MODEL if name in options}


def lacking_in_decode(config: Any) -> list[str]:
    """Return the names of a model's own generation settings that `decode` does not carry out.

    How it samples is not among them: that is replaced by the caller's.
    """
    own = {*_FIELDS, "eos_token_id", "do_sample", "max_new_tokens", "cache_implementation"}
    return sorted(set(_set_options(config)) - own)


_FIELDS = (*SAMPLING, *OF_THE_MODEL, "pad_token_id")


def _set_options(config: Any) -> dict[str, Any]:
    """Return the settings that may change what is drawn; lists are tuples.

    Entries that transformers does not know, such as those of remote code, are left out.
    """
    known = type(config)().to_dict()
    options = {}
    for name, value in config.to_dict().items():
        nothing = value is None or value is False or value == []
        if nothing or name not in known or name.startswith("_") or name in WITHOUT_EFFECT:
            continue
        if name not in OFF or value != OFF[name]:
            options[name] = _as_tuple(value)
    return options


def _as_tuple(value: Any) -> Any:
    return tuple(map(_as_tuple, value)) if isinstance(value, list) else value
