"""Texts as words, for filters that compare texts: lower case, and every ideograph a word."""

import re

IDEOGRAPH = re.compile(r"([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff])")


def words(text: str) -> list[str]:
    """Return a text's words: what white space parts, in lower case.

    Chinese and Japanese put no spaces between words, so there every character is one.
    """
    plain = text.lower()
    return (plain if plain.isascii() else IDEOGRAPH.sub(r" \1 ", plain)).split()
