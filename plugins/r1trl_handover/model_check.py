"""Refuse a model that would break the next stage: what goes wrong between SFT and RL."""

import json
from pathlib import Path
from typing import Any

from r1trl import StageResult

USER_TEXT, ASSISTANT_TEXT = "What R1TRL asks", "So it is."


def check_model(result: StageResult) -> StageResult:
    """Check the model's special tokens, chat template, number of embeddings, and weights.

    Raises ValueError with every problem: no end-of-sequence or padding token, or one outside the
    embeddings; generation that does not stop at the tokenizer's end of sequence; a chat template
    that does not render, omits a message or ends the assistant's turn with a token at which
    generation does not stop; fewer embeddings than tokens; weights that are not finite.
    """
    if result.model is None:
        raise ValueError(f"stage '{result.stage}' hands over no model to check")
    problems = [*token_problems(result.model), *weight_problems(result.model)]
    if problems:
        raise ValueError(f"{result.model} is not sound: {'; '.join(problems)}")
    return result


def token_problems(folder: Path) -> list[str]:
    """Return what is wrong with the tokenizer, and between it and the model."""
    from transformers import AutoConfig, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    config = AutoConfig.from_pretrained(folder).get_text_config()
    embeddings, stop_ids, problems = config.vocab_size, generation_stop_ids(folder, config), []
    if len(tokenizer) > embeddings:
        problems.append(
            f"the tokenizer has {len(tokenizer)} tokens, the model {embeddings} embeddings"
        )
    for role in ("eos", "pad"):
        token, id_ = getattr(tokenizer, f"{role}_token"), getattr(tokenizer, f"{role}_token_id")
        if token is None:
            problems.append(f"the tokenizer has no {role} token")
        elif id_ >= embeddings:
            problems.append(
                f"the {role} token {token!r} is number {id_} of {embeddings} embeddings"
            )
    if tokenizer.eos_token_id is not None and tokenizer.eos_token_id not in stop_ids:
        problems.append(
            f"generation stops at the tokens {sorted(stop_ids)}, not at the tokenizer's eos token "
            f"{tokenizer.eos_token!r} ({tokenizer.eos_token_id}); see generation_config.json"
        )
    return problems + (template_problems(tokenizer, stop_ids) if tokenizer.chat_template else [])


def generation_stop_ids(folder: Path, config: Any) -> set[int]:
    """Return the ids of the tokens at which generation stops."""
    file = folder / "generation_config.json"
    generation = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    ids = generation.get("eos_token_id", config.eos_token_id)
    return set(ids) if isinstance(ids, list) else {ids} - {None}


def template_problems(tokenizer: Any, stop_ids: set[int]) -> list[str]:
    """Return what is wrong with the chat template."""
    question = [{"role": "user", "content": USER_TEXT}]
    dialogue = [*question, {"role": "assistant", "content": ASSISTANT_TEXT}]
    try:
        prompt = tokenizer.apply_chat_template(question, tokenize=False, add_generation_prompt=True)
        turns = tokenizer.apply_chat_template(dialogue, tokenize=False)
    except Exception as error:  # noqa: BLE001 - whatever Jinja or the template raises
        return [f"the chat template fails: {type(error).__name__}: {error}"]
    if USER_TEXT not in prompt:
        return ["the chat template leaves out what the user says"]
    if ASSISTANT_TEXT not in turns:
        return ["the chat template leaves out what the assistant says"]
    turn_end = turns.partition(ASSISTANT_TEXT)[2]
    ids = tokenizer(turn_end, add_special_tokens=False)["input_ids"]
    if stop_ids.isdisjoint(ids):
        return [
            f"the chat template ends the assistant's turn with {turn_end!r}, which holds none of "
            f"the tokens at which generation stops: {sorted(stop_ids)}"
        ]
    return []


def weight_problems(folder: Path) -> list[str]:
    """Return which weights are not finite."""
    import torch
    from safetensors import safe_open

    names = []
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, "pt") as stored:
            for name in stored.keys():  # noqa: SIM118 - it is no mapping
                tensor = stored.get_tensor(name)
                if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                    names.append(name)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return [f"weights that are no finite numbers: {', '.join(names[:3])}{more}"] if names else []
