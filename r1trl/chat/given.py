"""A chat template that a stage is given in place of its model's, as TRL's SFTTrainer takes it."""

import copy
from pathlib import Path
from typing import Any

from r1trl.chat.ends import end_of_turn

FILES = (".jinja", ".j2")


def with_template(tokenizer: Any, path: str | None) -> Any:
    """Return a copy of a tokenizer with a chat template, or the tokenizer if `path` is None.

    `path` is a file in Jinja, or a model whose tokenizer has the template; the tokens of that one
    which are new are added, as TRL's `clone_chat_template` does to the tokenizer that it trains
    with. The end token is the one that ends an answer.
    """
    if path is None:
        return tokenizer
    given = copy.deepcopy(tokenizer)
    if is_file(path):
        given.chat_template = Path(path).read_text(encoding="utf-8")
    else:
        _take(given, path)
    given.eos_token = end_of_turn(given) or given.eos_token
    return given


def _take(tokenizer: Any, path: str) -> None:
    """Give a tokenizer the template of another one, its added tokens and its end token."""
    from transformers import AutoTokenizer

    source, known = AutoTokenizer.from_pretrained(path), tokenizer.get_vocab()
    tokenizer.chat_template = source.get_chat_template()
    added = [t for t in source.added_tokens_decoder.values() if t.content not in known]
    tokenizer.add_tokens(added)
    tokenizer.eos_token = source.eos_token


def is_file(path: str) -> bool:
    """Return True if a path names a template in Jinja, and not a model."""
    return path.endswith(FILES)
