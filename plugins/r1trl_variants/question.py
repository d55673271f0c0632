"""The question of a row: its prompt, or the last message of its user."""

from collections.abc import Mapping
from typing import Any

from r1trl_variants.texts import PARAPHRASES

Row = Mapping[str, Any]


def question_of(row: Row) -> str:
    """Return the text of a row's question; raise ValueError if it has none."""
    prompt = row["prompt"]
    if isinstance(prompt, str):
        return prompt
    content = prompt[_last(prompt)].get("content")
    if not isinstance(content, str):
        raise ValueError(f"the last message of the user is no text: {content!r:.160}")
    return content


def with_question(row: Row, text: str) -> dict[str, Any]:
    """Return a row with another question; the messages before it stay."""
    prompt = row["prompt"]
    if isinstance(prompt, str):
        return {**row, "prompt": text}
    last = _last(prompt)
    asked = {**prompt[last], "content": text}
    return {**row, "prompt": [*prompt[:last], asked, *prompt[last + 1 :]]}


def _last(messages: list[Any]) -> int:
    """Return the index of the last message of the user."""
    found = [i for i, message in enumerate(messages) if message.get("role") == "user"]
    if not found:
        raise ValueError("the prompt has no message of the user")
    return found[-1]


def language_of(row: Row) -> str:
    """Return the language of a row's question: its `language`, or zh if it has Chinese letters."""
    named = row.get("language")
    if named in PARAPHRASES:
        return str(named)
    return "zh" if any(is_chinese(letter) for letter in question_of(row)) else "en"


def is_chinese(letter: str) -> bool:
    """Return True for a Chinese character, punctuation not included."""
    return "\u4e00" <= letter <= "\u9fff"
