"""Filters by how a text reads: its paragraphs, its code, its tags, its repetitions."""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

import r1trl
from r1trl_curation.columns import DropReasons, drop_reasons, values

if TYPE_CHECKING:
    from datasets import Dataset

TAG = re.compile(r"</?(?:think|answer)>")
EMPTY_THINKING = re.compile(r"<think>\s*</think>")
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffd]")
SENTENCE_END = re.compile(r"(?<=[.!?])\s+|[。！？\n]")
MIN_LOOP = 20  # characters
MAX_LOOP = 1000


def short_paragraphs(
    rows: "Dataset", *, column: str = "completion", max_chars: int = 800
) -> DropReasons:
    """Drop texts with a paragraph of more than `max_chars` characters; a newline ends one."""

    def reason(text: str) -> str | None:
        short = all(len(paragraph.strip()) <= max_chars for paragraph in text.splitlines())
        return None if short else f"a paragraph of more than {max_chars} characters"

    return drop_reasons(rows, column, reason)


def no_code_blocks(rows: "Dataset", *, column: str = "completion") -> DropReasons:
    """Drop texts that contain a fenced code block."""
    return drop_reasons(rows, column, lambda text: "a code block" if "```" in text else None)


def readable(rows: "Dataset", *, column: str = "completion", max_repeats: int = 3) -> DropReasons:
    """Drop texts that loop, or have empty thinking, unprintable characters or unpaired tags.

    A text loops if a sentence or line of 20 characters or more occurs more than `max_repeats`
    times, or if it ends in that many copies of a string. Thinking is empty if only white space is
    between `<think>` and `</think>`. Control and replacement characters are unprintable. A
    `<think>` at the end of the row's `prompt`, where templates put it, counts as part of the text.
    """
    texts = values(rows, column)
    prompts = values(rows, "prompt") if "prompt" in rows.column_names else [""] * len(rows)
    pairs = zip(prompts, texts, strict=True)
    return [unreadable(r1trl.with_prefill(prompt, text), max_repeats) for prompt, text in pairs]


def unreadable(text: str, max_repeats: int) -> str | None:
    """Return the first of the reasons for which `readable` drops a text, or None."""
    if UNPRINTABLE.search(text):
        return "control or replacement characters"
    if EMPTY_THINKING.search(text):
        return "empty thinking"
    if not has_paired_tags(text):
        return "tags that do not pair up"
    repetitive = is_repetitive(text, max_repeats)
    return f"repeats itself more than {max_repeats} times" if repetitive else None


def has_paired_tags(text: str) -> bool:
    """Return True if every think and answer tag has a partner and no two pairs cross."""
    opened: list[str] = []
    for tag in TAG.findall(text):
        if not tag.startswith("</"):
            opened.append(tag)
        elif not opened or opened.pop() != tag.replace("/", ""):
            return False
    return not opened


def is_repetitive(text: str, max_repeats: int) -> bool:
    """Return True if a sentence occurs over `max_repeats` times or a tagged part ends in a loop."""
    parts = TAG.split(text)
    sentences = chain.from_iterable(SENTENCE_END.split(part) for part in parts)
    stripped = (sentence.strip() for sentence in sentences)
    counts = Counter(sentence for sentence in stripped if len(sentence) >= MIN_LOOP)
    return max(counts.values(), default=0) > max_repeats or any(
        ends_in_loop(part, max_repeats) for part in parts
    )


def ends_in_loop(text: str, max_repeats: int) -> bool:
    """Return True if a text ends in more than `max_repeats` copies of a string with a letter in it.

    Strings of 20 to 1000 characters are tried; a loop of a shorter string is also a loop of its
    multiple. A loop without letters may be a number or a rule, and does not count.
    """
    tail = text.rstrip()
    for size in loop_sizes(tail, min(MAX_LOOP, len(tail) // (max_repeats + 1))):
        unit = tail[-size:]
        if tail.endswith(unit * (max_repeats + 1)) and any(letter.isalpha() for letter in unit):
            return True
    return False


def loop_sizes(text: str, max_size: int) -> Iterator[int]:
    """Yield the possible sizes, 20 to `max_size` characters, of a loop that the text ends in.

    These are the distances from the last 20 characters to their earlier occurrences.
    """
    if max_size < MIN_LOOP:
        return
    end, last = text[-MIN_LOOP:], len(text) - MIN_LOOP
    first = max(0, last - max_size)
    position = text.rfind(end, first, last)
    while position >= 0:
        yield last - position
        position = text.rfind(end, first, position + MIN_LOOP - 1)
