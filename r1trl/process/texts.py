r"""Texts that a model, a server, a file or a plugin has written: made whole, and made harmless.

Anything may stand in them. Where they come in, half of a character (a lone surrogate, "\ud800",
which neither UTF-8 nor Arrow can hold) becomes U+FFFD, as decoders write it; all else is kept.
Where they are shown, what would act on a terminal is written out.
"""

import re
from typing import Any

HALF = re.compile("[\ud800-\udfff]")
OF_LIBRARIES = re.compile(r"\x1b\[[0-9;:]*[A-Km]")  # colours, and moves of progress bars
# Control characters but tab and newline, separators of lines, and marks that turn text around.
ACTING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def whole(text: str) -> str:
    """Return a text with U+FFFD in place of each half of a character."""
    return text if text.isascii() else HALF.sub("\ufffd", text)


def whole_texts(value: Any) -> Any:
    """Return a value as JSON has it, with all texts in it whole, names too."""
    if isinstance(value, str):
        return whole(value)
    if isinstance(value, dict):
        return {whole_texts(name): whole_texts(each) for name, each in value.items()}
    return [whole_texts(each) for each in value] if isinstance(value, list) else value


def printable(text: str) -> str:
    r"""Return a text that does nothing to a terminal: its escapes are seen as `\x1b`.

    Colours and moves of the cursor are left out, which libraries print. Newlines and tabs are kept.
    """
    return ACTING.sub(lambda found: ascii(found[0])[1:-1], OF_LIBRARIES.sub("", text))
