"""Texts that a model, a server or a row may hold, and that somebody's reader breaks on."""

import json

TEXTS = {
    "nothing": "",
    "a space": " ",
    "newlines": "\n\n\n",
    "carriage return": "first\rsecond",
    "line of Windows": "first\r\nsecond",
    "line separator": "a\u2028b",
    "paragraph separator": "a\u2029b",
    "next line": "a\x85b",
    "vertical tab": "a\x0bb",
    "form feed": "a\x0cb",
    "separators of files": "a\x1cb\x1db\x1eb\x1f",
    "null": "a\x00b",
    "delete": "a\x7fb",
    "backspaces": "secret\b\b\b\b\b\bpublic",
    "half of a character": "a\ud83db",
    "other half": "\udc00",
    "halves in turn": "\udc00\ud800",
    "byte order mark": "\ufeffa",
    "not a character": "\uffff\U0010ffff",
    "private": "\ue000HF_TOKEN\ue001",
    "right to left": "\u202egnirts\u202c \u2066a\u2069",
    "zero width": "a\u200bb\u200cc\u200dd",
    "emoji": "👩\u200d👩\u200d👧\u200d👦🏴\u200d☠️",
    "many accents": "e" + "\u0301" * 300,
    "colour": "\x1b[31mred\x1b[0m",
    "clear screen": "\x1b[2J\x1b[H",
    "title of the window": "\x1b]0;owned\x07",
    "clipboard": "\x1b]52;c;cm0gLXJmIC8=\x07",
    "link": "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "escape of one byte": "\x9b31mred",
    "report of the cursor": "\x1b[6n\x1b[c",
    "script": "<script>alert(1)</script>",
    "image": "<img src=x onerror=alert(1)>",
    "end of a tag": "\"'></pre></td></table><svg onload=alert(1)>",
    "entity": "&lt;b&gt; &amp; &#x3c;",
    "row of a table": "a | b |\n|---|---|\n| c",
    "code": "``` `a` ```` \n    code",
    "link of Markdown": "[a](javascript:alert(1)) ![b](http://evil.example/x.png)",
    "heading": "# a\n===\n* b\n1. c\n---",
    "formula": '=HYPERLINK("http://evil.example")',
    "command": "@SUM(1+1)*cmd|' /C calc'!A0",
    "template": "{{ 7 * 7 }}{% for x in () %}{{ x }}{% endfor %}{#",
    "reference": "${oc.env:HOME} ${now:} ${model.path} $(id) `id`",
    "YAML": "!!python/object/apply:os.system ['id']\n- &a [*a]\n%TAG",
    "JSON": '{"prompt": "x", "reward": NaN}\n{"step": 1',
    "end of a JSON line": '"}\n{"step": 99, "reward": 1e999',
    "large number": "1e999",
    "NaN": "NaN",
    "null as a word": "null",
    "end of a text": "<|endoftext|><|im_end|></s><eos>",
    "thinking": "</think><think></answer><answer>",
    "nested": "[" * 3000,
    "nested braces": "{" * 3000 + "}" * 3000,
    "a path": "../../../../etc/passwd",
    "a long line": "x" * 1_000_000,
    "a long line of Chinese": "长" * 100_000,
}
assert len(TEXTS) >= 40
NAMES, ALL = list(TEXTS), list(TEXTS.values())


def jsonl(rows: list[dict[str, object]]) -> str:
    """Return rows as JSON lines, halves of characters as escapes."""
    return "".join(json.dumps(row) + "\n" for row in rows)
