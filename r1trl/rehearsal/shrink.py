"""Models made small: the user's own config with few and narrow layers, and random weights.

The tokenizer, the vocabulary, the chat template, the generation config, tied embeddings and the
length of the context stay. From the Hub come only the config and the tokenizer's files.

`prepare` runs in a fork of the warm process, which has imported transformers.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from r1trl.models.hub import refuse_unreachable
from r1trl.plan.plan import Plan
from r1trl.plan.saved import read_plan
from r1trl.stage.inputs import references_of
from r1trl.storage.writing import write_text

PREPARED = "prepared.json"

LAYERS, HIDDEN, HEADS, MLP, EXPERTS, LOW_RANK = 2, 64, 4, 128, 4, 16
HEAD = HIDDEN // HEADS
# Fields of transformers' configs, and what they become if they are numbers above that.
LIMITS = {
    "num_hidden_layers": LAYERS,
    "hidden_size": HIDDEN,
    "num_attention_heads": HEADS,
    "head_dim": HEAD,
    "intermediate_size": MLP,
    "ffn_hidden_size": MLP,
    "moe_intermediate_size": MLP,
    "shared_expert_intermediate_size": MLP,
    "num_experts": EXPERTS,
    "num_local_experts": EXPERTS,
    "n_routed_experts": EXPERTS,
    "num_experts_per_tok": 2,
    "n_group": 1,
    "topk_group": 1,
    "first_k_dense_replace": 1,
    "max_window_layers": LAYERS,
    "q_lora_rank": LOW_RANK,
    "kv_lora_rank": LOW_RANK,
    "qk_nope_head_dim": HEAD,
    "qk_rope_head_dim": HEAD,
    "v_head_dim": HEAD,
    "rotary_dim": HEAD,
    "query_pre_attn_scalar": HEAD,
    "hidden_size_per_layer_input": LOW_RANK,
}
ROPE_LISTS = ("short_factor", "long_factor")  # one number for each pair of a head's dimensions


def shrink(model: str, target: Path, seed: int) -> None:
    """Write a small random model with the config and tokenizer of `model` to a folder.

    Raises whatever transformers raises if the small config makes no model that works.
    """
    import torch
    import transformers

    refuse_unreachable(model)
    config = transformers.AutoConfig.from_pretrained(model)
    for part in _parts(config):
        shrink_config(part)
    head = "".join(config.architectures or ()).endswith("SequenceClassification")
    class_ = transformers.AutoModelForSequenceClassification if head else _language_model()
    transformers.set_seed(seed)
    made = class_.from_config(config, dtype=torch.float32)
    with torch.inference_mode():
        made(input_ids=torch.tensor([[0, 1, 2]]))
    made.save_pretrained(target)
    own = None if head else _generation_config(model)
    if own is not None:
        own.save_pretrained(target)
    transformers.AutoTokenizer.from_pretrained(model).save_pretrained(target)


def _language_model() -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM


def _generation_config(model: str) -> Any:
    """Return a model's generation config, or None if it has none."""
    from transformers import GenerationConfig

    try:
        return GenerationConfig.from_pretrained(model)
    except OSError:
        return None


def _parts(config: Any) -> Iterator[Any]:
    """Yield a config and the configs in it, such as the one of a model's text part."""
    yield config
    for name in type(config).sub_configs or ():
        inner = getattr(config, name, None)
        if inner is not None:
            yield from _parts(inner)


def shrink_config(config: Any) -> None:
    """Make a config small in place; numbers of heads keep their ratio."""
    layers = getattr(config, "num_hidden_layers", None)
    heads = getattr(config, "num_attention_heads", None)
    groups = getattr(config, "num_key_value_heads", None)
    if heads and groups:
        config.num_key_value_heads = max(1, HEADS * groups // heads)
    for name, limit in LIMITS.items():
        value = getattr(config, name, None)
        if isinstance(value, int | float) and not isinstance(value, bool) and value > limit:
            setattr(config, name, limit)
    lists = {n: v for n, v in vars(config).items() if isinstance(v, list) and len(v) == layers}
    kept = _kept_layers(list(lists.values()))
    for name, value in lists.items():
        setattr(config, name.removeprefix("_"), [value[i] for i in kept])
    for rope in (getattr(config, "rope_scaling", None), getattr(config, "rope_parameters", None)):
        for each in (rope, *(rope or {}).values()):
            _shrink_rope(each)


def _kept_layers(lists: list[list[Any]]) -> list[int]:
    """Return the numbers of the layers that stay, by lists with an entry for each layer.

    They are of different types, such as linear and full attention, if there are several.
    """
    types = next((entries for entries in lists if isinstance(entries[0], str)), [])
    firsts = [types.index(each) for each in dict.fromkeys(types)]
    return sorted(list(dict.fromkeys([*firsts, *range(LAYERS)]))[:LAYERS])


def _shrink_rope(rope: Any) -> None:
    """Cut the lists of a rotary embedding to the pairs of a small head."""
    if not isinstance(rope, dict):
        return
    for name in ROPE_LISTS:
        if isinstance(rope.get(name), list):
            rope[name] = rope[name][: HEAD // 2]


def models_to_shrink(plan: Plan) -> dict[str, str]:
    """Return the models that are no stage's, each with the key that names it first."""
    keys: dict[str, str] = {}
    for name, stage in plan.config.stages.items():
        for reference in references_of(stage):
            if reference.wants == "model" and reference.stage is None:
                keys.setdefault(reference.value, ".".join(("stages", name, *reference.key)))
    return keys


def prepare(folder: Path) -> int:
    """Shrink a run's models and look at its lengths; write prepared.json; return 0.

    It has `models` (name -> folder), `failed` (name -> why it cannot be shrunk) and `problems`.
    """
    from r1trl.trust.lengths import check_lengths

    plan, models, failed = read_plan(folder), dict[str, str](), dict[str, str]()
    for model in models_to_shrink(plan):
        target = folder / "models" / hashlib.sha256(model.encode()).hexdigest()[:12]
        try:
            shrink(model, target, plan.config.seed)
            models[model] = str(target)
        except Exception as error:  # noqa: BLE001 - whatever transformers raises is the reason
            failed[model] = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    found: dict[str, Any] = {"models": models, "failed": failed}
    found["problems"] = [finding.text for finding in check_lengths(plan) if finding.wrong]
    write_text(folder / PREPARED, json.dumps(found))
    return 0
