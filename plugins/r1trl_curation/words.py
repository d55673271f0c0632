"""Texts as words, for filters that compare texts: in lower case, and every ideograph a word."""

import re

IDEOGRAPH = re.compile(r"([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff])")


def split_words(text: str) -> list[str]:
    """Return a text's words in lower case, split at white space.

    Chinese and Japanese put no spaces between words, so every character of theirs is a word.
    """
    lower = text.lower()
    return (lower if lower.isascii() else IDEOGRAPH.sub(r" \1 ", lower)).split()
