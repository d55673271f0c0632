"""Where an assistant's turn ends, by a chat template."""

import functools
import json
from collections.abc import Mapping
from typing import Any

from jinja2 import TemplateError

QUESTION, ANSWER = "What R1TRL asks", "So it is."


def end_of_turn(tokenizer: Any, **variables: Any) -> str | None:
    """Return the special token with which the chat template ends an answer, as text.

    `variables` are the template's own. None if there is no template, or if it ends answers without
    a special token. Raises jinja2's TemplateError if the template fails.
    """
    after = text_after_answer(tokenizer, **variables)
    return None if after is None else first_special(tokenizer, after)


def first_special(tokenizer: Any, text: str) -> str | None:
    """Return the first special or added token in a text, as text; None if it has none."""
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    special = {*tokenizer.added_tokens_decoder, *tokenizer.all_special_ids}
    first = next((id_ for id_ in ids if id_ in special), None)
    return None if first is None else str(tokenizer.convert_ids_to_tokens(first))


def text_after_answer(tokenizer: Any, **variables: Any) -> str | None:
    """Return what the chat template writes after an answer, its end and what follows it.

    None if there is no template. Raises TemplateError if the template fails or omits the answer.
    """
    if not tokenizer.chat_template:
        return None
    turns = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": ANSWER}]
    text = tokenizer.apply_chat_template(turns, tokenize=False, **variables)
    _, found, after = text.rpartition(ANSWER)
    if not found:
        raise TemplateError("the chat template leaves out what the assistant says")
    return str(after)


def answer_end(tokenizer: Any, variables: Mapping[str, Any]) -> str:
    """Return what stands after an answer, to the end token: the template's, or the tokenizer's."""
    named = json.dumps(variables, sort_keys=True, default=str)
    return _answer_end(tokenizer, tokenizer.chat_template, tokenizer.eos_token, named)


@functools.lru_cache(maxsize=64)
def _answer_end(tokenizer: Any, template: Any, own_end: str, variables: str) -> str:
    """Return the end of an answer; the arguments are all that it depends on."""
    try:
        after = text_after_answer(tokenizer, **json.loads(variables))
    except Exception:  # noqa: BLE001 - a template that refuses the question may write the rows'
        return own_end
    if after is None:
        return own_end
    token = first_special(tokenizer, after)
    return own_end if token is None else after.partition(token)[0] + token


def special_tokens(tokenizer: Any) -> set[str]:
    """Return the texts of a tokenizer's special and added tokens."""
    return {*tokenizer.all_special_tokens, *map(str, tokenizer.added_tokens_decoder.values())}


def automatic_prefix(tokenizer: Any) -> str:
    """Return the text that the tokenizer puts before every text, so that it is not put twice."""
    return str(tokenizer.decode(tokenizer("")["input_ids"]))
