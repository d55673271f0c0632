"""A model's tokenizer, and the tokens that end its completions.

Of many bases, such as Qwen2.5's, the tokenizer's end token is not the one with which the chat
template ends an answer. Whoever uses the template takes the template's: the model that is made then
stops where it has learnt to, by its tokenizer and by its generation settings.
"""

import os
from collections.abc import Iterable
from typing import Any

from r1trl.chat.ends import end_of_turn
from r1trl.errors import StageError
from r1trl.models.hub import refuse_unreachable
from r1trl.process.terminal import say


def load_tokenizer(path: str, *, chat: bool, trusted: bool = False) -> Any:
    """Load a tokenizer; its padding token is the end token if it has none with an embedding.

    With `chat` its end token is the one with which its chat template ends an answer; the first rank
    prints it if that is another. A `trusted` one may run code of its own. Raises StageError if
    there is no such model.
    """
    from transformers import AutoTokenizer

    refuse_unreachable(path)
    tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=trusted)
    if tokenizer.pad_token is None or tokenizer.pad_token in without_embedding(tokenizer, path):
        tokenizer.pad_token = tokenizer.eos_token
    end, said = template_end(tokenizer) if chat else (None, "")
    if end is not None:
        tokenizer.eos_token = end
    if said and os.environ.get("RANK", "0") == "0":
        say(f"{path}: {said}")
    return tokenizer


def template_end(tokenizer: Any) -> tuple[str | None, str]:
    """Return the token with which the chat template ends an answer, and a sentence about it.

    None and nothing if it is the tokenizer's own, or if the template ends answers without one.
    """
    own = tokenizer.eos_token
    try:
        end = end_of_turn(tokenizer)
    except Exception as error:  # noqa: BLE001 - whatever Jinja or the template raises
        failed = f"{type(error).__name__}: {error}"
        return None, f"the chat template fails on an answer, which {own!r} ends then: {failed}"
    if end is None or end == own:
        return None, ""
    return end, f"the end token is {end!r}, as in the chat template, not the tokenizer's {own!r}"


def generation_settings(path: str) -> Any:
    """Return a model's own generation settings; without such a file, those of its config."""
    from transformers import GenerationConfig

    try:
        return GenerationConfig.from_pretrained(path)
    except OSError:
        return GenerationConfig.from_model_config(config_of(path))


def end_token_ids(tokenizer: Any, generation: Any) -> tuple[int, ...]:
    """Return the ids of all tokens that end a completion, the tokenizer's own first.

    `generation` are the model's generation settings, which may have several: Gemma's and Phi's end
    a turn with one that is not the tokenizer's.
    """
    ids = generation.eos_token_id
    several = ids if isinstance(ids, list) else [ids]
    known = [id_ for id_ in (tokenizer.eos_token_id, *several) if id_ is not None]
    return tuple(dict.fromkeys(known))


def context_of(path: str) -> int | None:
    """Return the longest input of a model in tokens, by its config; None if it does not say."""
    length: int | None = getattr(config_of(path), "max_position_embeddings", None)
    return length


def config_of(path: str) -> Any:
    """Return the config of a model's text part; of one with code of its own, its plain values."""
    from transformers import AutoConfig, PretrainedConfig

    values, _ = PretrainedConfig.get_config_dict(path)
    if "AutoConfig" in values.get("auto_map", {}):
        config = PretrainedConfig.from_dict(values)
    else:
        config = AutoConfig.from_pretrained(path)
    return config.get_text_config()


def without_embedding(tokenizer: Any, path: str) -> list[str]:
    """Return the tokens whose ids the model's embeddings do not reach.

    They are not looked for if the config does not say how many embeddings there are.
    """
    size = getattr(config_of(path), "vocab_size", None)
    if size is None or max(len(tokenizer), *tokenizer.added_tokens_decoder, 0) < size:
        return []
    return [token for token, id_ in tokenizer.get_vocab().items() if id_ >= size]


def refuse_without_embedding(tokenizer: Any, path: str, texts: Iterable[str]) -> None:
    """Raise StageError if one of the texts has a token without an embedding."""
    if missing := without_embedding(tokenizer, path):
        for text in texts:
            for token in missing:
                if token in text:
                    raise StageError(no_embedding(path, token))


def no_embedding(path: str, token: str) -> str:
    """Say that a token that is used has no embedding, and what to do."""
    return (
        f"{path}: its tokenizer has the token {token!r}, for which the model has no embedding, and "
        "it is used; give the model rows for all tokens with "
        "resize_token_embeddings(len(tokenizer)), or take the token out of the tokenizer"
    )
