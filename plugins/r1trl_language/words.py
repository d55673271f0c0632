r"""Language detection by the script of words.

The paper discloses neither its word segmentation nor its language detector; here a Chinese
ideograph is one word, and so is a run of two or more letters of any other script. Latin
words are English, ideographs Chinese, the rest other. A single letter is a variable, and numbers,
code, formulas, LaTeX commands, links and tags are not words. Spans are bounded in length, so that
an opening mark that never closes costs little.
"""

import re
from collections import Counter

import r1trl

NOT_WORDS = re.compile(
    r"```.{0,8000}?(?:```|\Z)"
    r"|`[^`\n]{1,400}`"
    r"|\$\$.{1,2000}?\$\$"
    r"|(?<!\\)\$(?=\S)[^$\n]{1,400}(?<=\S)\$(?!\d)"
    r"|\\\(.{0,2000}?\\\)"
    r"|\\\[.{0,2000}?\\\]"
    r"|\\boxed\s?\{(?:[^{}]|\{(?:[^{}]|\{[^{}]{0,200}\}){0,200}\}){0,400}\}"
    r"|\\[A-Za-z]+"
    r"|(?:https?://|www\.)[^\s\u3000-\u9fff]+"
    r"|</?(?:think|answer)>",
    re.DOTALL,
)
HAN = r"\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
LATIN = r"A-Za-zÀ-ÖØ-öø-ɏ"
WORDS = {
    "en": re.compile(rf"[{LATIN}](?:[{LATIN}]+(?:['’][{LATIN}]+)*|(?:['’][{LATIN}]+)+)"),
    "zh": re.compile(rf"[{HAN}]"),
    "other": re.compile(rf"[^\W\d_{HAN}{LATIN}]{{2,}}"),
}
SCRIPTS = tuple(WORDS)


def counts(text: str) -> Counter[str]:
    """Count a text's words by language: 'en', 'zh' and 'other'; a count of 0 is left out."""
    prose = NOT_WORDS.sub(" ", text)
    scripts = ("en",) if prose.isascii() else SCRIPTS
    by_script = {script: len(WORDS[script].findall(prose)) for script in scripts}
    return Counter({script: count for script, count in by_script.items() if count})


def shares(text: str) -> dict[str, float]:
    """Return each language's share of a text's words; empty if it has none."""
    counted = counts(text)
    total = counted.total()
    return {script: counted[script] / total for script in SCRIPTS} if total else {}


def detect(text: str) -> str | None:
    """Return the language of most of a text's words; None if it has none."""
    counted = counts(text)
    return max(SCRIPTS, key=lambda script: counted[script]) if counted else None


def thinking(prompt: str, completion: str) -> str:
    """Return the chain of thought: from the first `<think>` to the last `</think>`.

    A `<think>` that ends the prompt counts. Without a `</think>`, thinking goes on to the end; a
    completion without tags is all thinking.
    """
    text = r1trl.with_prefill(prompt, completion)
    _, opening, inside = text.partition("<think>")
    inside = inside if opening else text
    before, closing, _ = inside.rpartition("</think>")
    return before if closing else inside
