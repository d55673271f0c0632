"""Values in calls: of Python's syntax tree, and as Java and JavaScript write them.

What is no literal, such as a variable or `new Point(1, 2)`, is its own text.
"""

import ast
import re
from collections.abc import Iterator
from typing import Any

WORDS = {"true": True, "false": False, "null": None, "undefined": None, "None": None}
NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)([lLfFdD]?)")
OPEN, CLOSE, QUOTES = "([{", ")]}", "\"'`"
LIST = re.compile(
    r"(?:new\s+[\w.]+\s*\[\s*\]\s*\{(.*)\}"
    r"|(?:new\s+ArrayList\s*<[^>]*>\s*\(\s*)?(?:Arrays\.asList|List\.of)\((.*?)\)\)?|\[(.*)\])",
    re.DOTALL,
)
MAP_OF = re.compile(r"Map\.of\((.*)\)", re.DOTALL)
HASH_MAP = re.compile(r"new\s+HashMap\s*<[^>]*>\s*\(\s*\)\s*(?:\{\{(.*)\}\})?", re.DOTALL)
PUT = re.compile(r"\s*put\((.*)\)\s*", re.DOTALL)
NAMED = re.compile(r"\s*(\w+)\s*=(?![=>])\s*(.*)", re.DOTALL)
CALLED = re.compile(r"\s*([\w.$]+)\s*\((.*)\)\s*", re.DOTALL)


def value_of(node: ast.expr) -> Any:
    """Return the value of a node of Python's syntax tree; tuples are lists."""
    if isinstance(node, ast.List | ast.Tuple):
        return [value_of(each) for each in node.elts]
    if isinstance(node, ast.Dict):
        keys = [value_of(key) if key else None for key in node.keys]
        return dict(zip(map(str, keys), map(value_of, node.values), strict=True))
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)


def read(text: str) -> Any:
    """Return the value that a text of Java or JavaScript stands for."""
    text = text.strip()
    if text in WORDS:
        return WORDS[text]
    if len(text) > 1 and text[0] in QUOTES and len(items(text)) == 1 and text[-1] == text[0]:
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    if number := NUMBER.fullmatch(text):
        whole = number[1].lstrip("+-").isdecimal() and number[2] not in tuple("fFdD")
        return int(number[1]) if whole else float(number[1])
    if listed := LIST.fullmatch(text):
        return [read(each) for each in items("".join(group or "" for group in listed.groups()))]
    pairs = _pairs(text)
    return text if pairs is None else {_key(key): read(value) for key, value in pairs}


def _pairs(text: str) -> list[tuple[str, str]] | None:
    """Return keys and values of a mapping as texts; None if it is none."""
    if mapped := MAP_OF.fullmatch(text):
        flat = items(mapped[1])
        return list(zip(flat[::2], flat[1::2], strict=True)) if len(flat) % 2 == 0 else None
    if hashed := HASH_MAP.fullmatch(text):
        puts = [PUT.fullmatch(put) for put in items(hashed[1] or "", ";")]
        inside = [items(put[1]) for put in puts if put]
        fit = len(inside) == len(puts) and all(len(pair) == 2 for pair in inside)
        return [(key, value) for key, value in inside] if fit else None
    if not (text.startswith("{") and text.endswith("}")):
        return None
    parts = [items(part, ":") for part in items(text[1:-1])]
    fit = all(len(part) > 1 for part in parts)
    return [(part[0], ":".join(part[1:])) for part in parts] if fit else None


def _key(text: str) -> str:
    return str(read(text)) if text.strip()[:1] in tuple(QUOTES) else text.strip()


def call_parts(text: str) -> tuple[str, list[tuple[str, str]]]:
    """Return the name of a call, and its arguments as names (empty: positional) and texts.

    Raises ValueError if the text is no call.
    """
    called = CALLED.fullmatch(text)
    if called is None or called[1].startswith("new "):
        raise ValueError(f"no call: {text[:80]!r}")
    arguments = [(NAMED.fullmatch(part), part) for part in items(called[2])]
    return called[1], [(named[1], named[2]) if named else ("", part) for named, part in arguments]


def items(text: str, separator: str = ",") -> list[str]:
    """Return the parts of a text between separators that no brackets or quotes enclose.

    An empty last part is left out. Raises ValueError if brackets or quotes are not closed.
    """
    cuts = list(_cuts(text, separator))
    parts = [text[a:b] for a, b in zip([0, *(cut + 1 for cut in cuts)], cuts, strict=False)]
    last = text[cuts[-1] + 1 :] if cuts else text
    return [*parts, last] if last.strip() else parts


def _cuts(text: str, separator: str) -> Iterator[int]:
    depth, quote, skip = 0, "", False
    for index, sign in enumerate(text):
        if skip:
            skip = False
        elif quote:
            skip, quote = sign == "\\", "" if sign == quote else quote
        elif sign in QUOTES:
            quote = sign
        elif sign == separator and depth == 0:
            yield index
        else:
            depth += (sign in OPEN) - (sign in CLOSE)
            if depth < 0:
                break
    if depth or quote:
        raise ValueError("brackets or quotes are not closed")
