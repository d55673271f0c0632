"""Refuse a model that would break the next stage: what goes wrong between SFT and RL."""

import json
from pathlib import Path
from typing import Any

import yaml

from r1trl import StageResult

USER_TEXT, ASSISTANT_TEXT = "What R1TRL asks", "So it is."


def check_model(result: StageResult) -> StageResult:
    """Check the model's special tokens, chat template, number of embeddings, and weights.

    Raises ValueError with every problem: no end-of-sequence or padding token, or one outside the
    embeddings; generation that does not stop at the tokenizer's end of sequence; a chat template
    that does not render, omits a message or ends the assistant's turn with a token at which
    generation does not stop, unless the stage has a template of its own; fewer embeddings than
    tokens that texts may have; weights that are not finite. An adapter is checked as it is.
    """
    if result.model is None:
        raise ValueError(f"stage '{result.stage}' hands over no model to check")
    chats = not has_own_template(result.folder)
    problems = [*token_problems(result.model, chats=chats), *weight_problems(result.model)]
    if problems:
        raise ValueError(f"{result.model} is not sound: {'; '.join(problems)}")
    return result


def has_own_template(stage: Path) -> bool:
    """Return True if a stage writes its prompts by a raw template, not by the model's."""
    file = stage / "stage.yaml"
    spec = yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else {}
    return bool(spec.get("settings", {}).get("template"))


def token_problems(folder: Path, *, chats: bool) -> list[str]:
    """Return what is wrong with the tokenizer, and between it and the model.

    With `chats` the chat template is looked at too.
    """
    from transformers import AutoConfig, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    config = AutoConfig.from_pretrained(folder).get_text_config()
    embeddings, stop_ids, problems = config.vocab_size, generation_stop_ids(folder, config), []
    if tokens_beyond(tokenizer, embeddings):
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
    if chats and tokenizer.chat_template:
        problems += template_problems(tokenizer, stop_ids)
    return problems


def tokens_beyond(tokenizer: Any, embeddings: int) -> list[str]:
    """Return the tokens without embeddings that texts may have.

    Special ones that the template does not write are none: Gemma 3's small models have one for
    images, which they cannot read.
    """
    added, template = tokenizer.added_tokens_decoder, str(tokenizer.chat_template)
    beyond = [(token, id_) for token, id_ in tokenizer.get_vocab().items() if id_ >= embeddings]
    unused = {t for t, id_ in beyond if id_ in added and added[id_].special and t not in template}
    return [token for token, _ in beyond if token not in unused]


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
