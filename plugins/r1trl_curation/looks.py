"""Filters by how a text reads: its paragraphs, its code, its tags, its repetitions."""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

from r1trl_curation.columns import Verdicts, values, verdicts

if TYPE_CHECKING:
    from datasets import Dataset

TAG = re.compile(r"</?(?:think|answer)>")
EMPTY_THINKING = re.compile(r"<think>\s*</think>")
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffd]")
SENTENCE_END = re.compile(r"(?<=[.!?])\s+|[。！？\n]")
SHORTEST_LOOP = 20
LONGEST_LOOP = 1000


def short_paragraphs(
    rows: "Dataset", *, column: str = "completion", longest: int = 800
) -> Verdicts:
    """Drop texts with a paragraph, ended by a newline, of more than `longest` characters."""

    def reason(text: str) -> str | None:
        short = all(len(paragraph.strip()) <= longest for paragraph in text.splitlines())
        return None if short else f"a paragraph of more than {longest} characters"

    return verdicts(rows, column, reason)


def no_code_blocks(rows: "Dataset", *, column: str = "completion") -> Verdicts:
    """Drop texts that contain a fenced code block."""
    return verdicts(rows, column, lambda text: "a code block" if "```" in text else None)


def readable(rows: "Dataset", *, column: str = "completion", repeats: int = 3) -> Verdicts:
    """Drop texts nobody wants to read, or to train on.

    These are texts with a sentence or line of 20 characters or more that comes more than `repeats`
    times, or that end in such a loop; with nothing between `<think>` and `</think>`; with control
    or replacement characters; with think or answer tags that do not pair up. A `<think>` at the
    end of the row's `prompt`, where templates put it, counts as the text's own.
    """
    texts = values(rows, column)
    prompts = values(rows, "prompt") if "prompt" in rows.column_names else [""] * len(rows)
    return [fault(opening(str(p)) + text, repeats) for p, text in zip(prompts, texts, strict=True)]


def opening(prompt: str) -> str:
    """Return the `<think>` that a prompt ends with, or nothing."""
    return "<think>" if prompt.rstrip().endswith("<think>") else ""


def fault(text: str, repeats: int) -> str | None:
    """Return the first of the faults that `readable` names, or None."""
    if UNPRINTABLE.search(text):
        return "control or replacement characters"
    if EMPTY_THINKING.search(text):
        return "empty thinking"
    if not has_paired_tags(text):
        return "tags that do not pair up"
    return f"repeats itself more than {repeats} times" if is_repetitive(text, repeats) else None


def has_paired_tags(text: str) -> bool:
    """Tell whether every think and answer tag has its partner, without crossings."""
    opened: list[str] = []
    for tag in TAG.findall(text):
        if not tag.startswith("</"):
            opened.append(tag)
        elif not opened or opened.pop() != tag.replace("/", ""):
            return False
    return not opened


def is_repetitive(text: str, repeats: int) -> bool:
    """Tell whether a text says something more than `repeats` times, or a part ends in a loop."""
    parts = TAG.split(text)
    sentences = chain.from_iterable(SENTENCE_END.split(part) for part in parts)
    stripped = (sentence.strip() for sentence in sentences)
    said = Counter(sentence for sentence in stripped if len(sentence) >= SHORTEST_LOOP)
    return max(said.values(), default=0) > repeats or any(ends_looping(p, repeats) for p in parts)


def ends_looping(text: str, repeats: int) -> bool:
    """Tell whether a text ends in more than `repeats` copies of a string with a letter in it.

    Strings of 20 to 1000 characters are tried; the loop of a shorter one is also the loop of its
    multiple. A loop of digits or signs alone may be a number or a rule, and passes.
    """
    tail = text.rstrip()
    for size in returns(tail, min(LONGEST_LOOP, len(tail) // (repeats + 1))):
        unit = tail[-size:]
        if tail.endswith(unit * (repeats + 1)) and any(letter.isalpha() for letter in unit):
            return True
    return False


def returns(text: str, most: int) -> Iterator[int]:
    """Yield how far back, from 20 to `most` characters, the last 20 come before: loops' sizes."""
    if most < SHORTEST_LOOP:
        return
    end, last = text[-SHORTEST_LOOP:], len(text) - SHORTEST_LOOP
    first = max(0, last - most)
    place = text.rfind(end, first, last)
    while place >= 0:
        yield last - place
        place = text.rfind(end, first, place + SHORTEST_LOOP - 1)
