"""Refuse a model that the next stage would stumble over: the breakages between SFT and RL."""

import json
from pathlib import Path
from typing import Any

from r1trl import StageResult

SAID = "What R1TRL asks"


def sound_model(result: StageResult) -> StageResult:
    """Check the model handed over: its tokens, its chat template, its embeddings, its numbers.

    Raises ValueError that names everything that is wrong: no end-of-sequence or padding token, or
    one outside the embeddings; generation that does not stop at the tokenizer's end of sequence; a
    chat template that does not render, loses what was said or ends the assistant's turn with a
    token at which generation does not stop; fewer embeddings than tokens; weights that are not
    finite numbers.
    """
    if result.model is None:
        raise ValueError(f"stage '{result.stage}' hands over no model to check")
    problems = [*tokens(result.model), *weights(result.model)]
    if problems:
        raise ValueError(f"{result.model} is not sound: {'; '.join(problems)}")
    return result


def tokens(folder: Path) -> list[str]:
    """Say what is wrong with the tokenizer, and between it and the model."""
    from transformers import AutoConfig, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    config = AutoConfig.from_pretrained(folder).get_text_config()
    rows, ends, found = config.vocab_size, stops(folder, config), []
    if len(tokenizer) > rows:
        found.append(f"the tokenizer has {len(tokenizer)} tokens, the model {rows} embeddings")
    for role in ("eos", "pad"):
        token, number = getattr(tokenizer, f"{role}_token"), getattr(tokenizer, f"{role}_token_id")
        if token is None:
            found.append(f"the tokenizer has no {role} token")
        elif number >= rows:
            found.append(f"the {role} token {token!r} is number {number} of {rows} embeddings")
    if tokenizer.eos_token_id is not None and tokenizer.eos_token_id not in ends:
        found.append(
            f"generation stops at the tokens {sorted(ends)}, not at the tokenizer's eos token "
            f"{tokenizer.eos_token!r} ({tokenizer.eos_token_id}); see generation_config.json"
        )
    return found + (template(tokenizer, ends) if tokenizer.chat_template else [])


def stops(folder: Path, config: Any) -> set[int]:
    """Return the tokens at which generation stops."""
    file = folder / "generation_config.json"
    told = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    ends = told.get("eos_token_id", config.eos_token_id)
    return set(ends) if isinstance(ends, list) else {ends} - {None}


def template(tokenizer: Any, ends: set[int]) -> list[str]:
    """Say what is wrong with the chat template."""
    asked = [{"role": "user", "content": SAID}]
    answered = [*asked, {"role": "assistant", "content": "So it is."}]
    try:
        prompt = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
        turn = tokenizer.apply_chat_template(answered, tokenize=False)
    except Exception as error:  # noqa: BLE001 - whatever Jinja or the template raises
        return [f"the chat template fails: {type(error).__name__}: {error}"]
    if SAID not in prompt:
        return ["the chat template leaves out what the user says"]
    if "So it is." not in turn:
        return ["the chat template leaves out what the assistant says"]
    rest = turn.partition("So it is.")[2]
    ids = tokenizer(rest, add_special_tokens=False)["input_ids"]
    if ends.isdisjoint(ids):
        return [
            f"the chat template ends the assistant's turn with {rest!r}, which holds none of the "
            f"tokens at which generation stops: {sorted(ends)}"
        ]
    return []


def weights(folder: Path) -> list[str]:
    """Say which weights are not finite."""
    import torch
    from safetensors import safe_open

    odd = []
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, "pt") as stored:
            for name in stored.keys():  # noqa: SIM118 - it is no mapping
                tensor = stored.get_tensor(name)
                if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                    odd.append(name)
    more = f" and {len(odd) - 3} more" if len(odd) > 3 else ""
    return [f"weights that are no finite numbers: {', '.join(odd[:3])}{more}"] if odd else []
