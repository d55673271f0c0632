"""A chat template that a stage is given in place of its model's, as TRL's SFTTrainer takes it."""

import copy
from pathlib import Path
from typing import Any

FILES = (".jinja", ".j2")


def with_template(tokenizer: Any, path: str | None) -> Any:
    """Return a copy of a tokenizer with a chat template, or the tokenizer if `path` is None.

    `path` is a file in Jinja, or a model whose tokenizer has the template; the tokens of that one
    which are new are added, and its end token is taken, as TRL's `clone_chat_template` does with
    the tokenizer that it trains with.
    """
    if path is None:
        return tokenizer
    given = copy.deepcopy(tokenizer)
    if is_file(path):
        given.chat_template = Path(path).read_text(encoding="utf-8")
        return given
    from transformers import AutoTokenizer

    source = AutoTokenizer.from_pretrained(path)
    known = given.get_vocab()
    given.chat_template = source.get_chat_template()
    added = [t for t in source.added_tokens_decoder.values() if t.content not in known]
    given.add_tokens(added)
    given.eos_token = source.eos_token
    return given


def is_file(path: str) -> bool:
    """Return True if a path names a template in Jinja, and not a model."""
    return path.endswith(FILES)
