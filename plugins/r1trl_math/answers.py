r"""Extraction of a completion's final answer, in time linear in the completion's length.

Only the final part of a completion counts: the text after the last `</think>`, or all of it if
nothing was thought; thinking that has not ended gives no answer. If a completion gives several
answers, the last one counts.
"""

import re
import unicodedata
from typing import Literal

import r1trl
from r1trl_math.readings.notation import plain
from r1trl_math.readings.reading import bare

AnswerSource = Literal["boxed", "answer_tag", "tag_or_box", "last_number", "latex_any", "choice"]

BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
BARE_BOX = re.compile(r"\\boxed\s+([^\s{}$]+)")
BRACE = re.compile(r"\\.|[{}]", re.DOTALL)

JOINED = re.compile(r"\}[\s$.]{0,4}(?:,|or|and|,\s*(?:or|and)|或|和|、)[\s$]{0,4}")

WHOLE = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)"
CORE = (
    r"(?:\d+\s(?=\d+/)|)\d+/\d+|\d*\s?\\[dtc]?frac\s*(?:\{-?\d+\}|\d)\s*(?:\{\d+\}|\d)"
    rf"|(?:{WHOLE}(?:\.\d+)?|\.\d+)"
    r"(?:[eE][+-]?\d{1,3}(?![\w.])|\s*\\(?:times|cdot)\s*10\s*\^\s*(?:\{\s*-?\d+\s*\}|-?\d+)|"
    r"\s*\^\s*(?:\{\s*-?\d+\s*\}|-?\d+)|\s*\\(?:pi\b|sqrt\s*(?:\{[^{}]*\}|\d))|!|\s?\\%)?"
)
CLOCK = r"\d{1,2}:\d{2}(?::\d{2})?(?!\d)"
NUMBER = re.compile(
    rf"{CLOCK}|(?<![\w.)\]}}^_])(?:[+-]?[$€£¥₹]?-?|(?<![\d)]\s)-\s(?=\d))(?:{CORE})"
    r"(?:\s(?:hundred|thousand|million|billion))?"
    rf"|(?<![A-Za-z^_{{/:.\d])(?:{CORE})|\\sqrt\s*\{{[^{{}}]*\}}",
    re.ASCII,
)
NEAR = 200  # characters before the last digit in which its number begins

OPTION = re.compile(
    r"(?:(?i:option|choice|answer)|选项|答案)?[\s:]*[(\[{]*\s*([A-Ja-j])\s*[)\]}]*[.:]?(?:选项|项)?"
)
OPTIONS = re.compile(
    r"[(\[]?[A-J][)\]]?(?:[\s,;/&、]+(?:(?:and|or)\s+|[和或])?[(\[]?[A-J][)\]]?)+\.?"
)
STATED = re.compile(
    r"(?:(?i:\banswer)|答案|(?i:\b(?:correct|right|best|final)\s(?:option|choice))|选(?!项))"
    r"(?:\s(?i:is|was|should be|would be|must be)\b|是|为|选)?"
    r"(?:\s?(?i:the\s|option|choice|选项)){0,2}"
    r"(?:[\s:*(\[{}$\-\\]|\\(?:text|math)(?:bf|rm|it)?\{){0,12}(?<![A-Za-z])([A-J])(?![\w'’])"
    r"|(?i:\boption|\bchoice)\s\(?([A-J])\)?\s(?i:is\s(?:the\s)?(?:correct|right|true|answer))"
)
MORE = re.compile(
    r"[)\]}*$\s]{0,4}(?:[,;/&、]\s?(?:(?:and|or|maybe|perhaps|possibly)\s)?|\s?(?:and|or)\s"
    r"|\s?[和或与]\s?)[(\[*\s]{0,3}"
    r"(?:[A-HJ](?![\w'’])|I(?=[\s)\]*]{0,3}(?:[.,;]|$)))"
)
DENIED = re.compile(r"\b(?:not|wrong|incorrect|never|isn't|least likely)\b[\w\s]*$", re.IGNORECASE)
AFTER_LETTER = re.compile(
    r"[)\]}*$\s]{0,6}(?:$|[.,;:!?)\]<\\。，；]|\n|[(—–-]|"
    r"(?:because|since|as|for|which|due|with|given|and|or|by|from|so|whose|but)\b|"
    r"is\s(?:the\s)?(?:correct|right|best)|[/&、或和与]|[^\x00-\x7f])"
)
MAX_OPTION_CHARACTERS = 60
MAX_BOXES = 20


def last_boxed(text: str) -> str | None:
    r"""Return the content of the last \boxed{}; None if there is none or its braces never close.

    Boxes joined by "or", "and" or a comma are one answer with several values.
    """
    boxes = list(BOX.finditer(text))
    if not boxes:
        bare_boxes = BARE_BOX.findall(text)
        return bare_boxes[-1] if bare_boxes else None
    end = _closing(text, boxes[-1].end())
    if end is None:
        return None
    found = [text[boxes[-1].end() : end].strip()]
    for box, following in zip(boxes[-2::-1], boxes[:0:-1], strict=False):
        end = _closing(text, box.end(), following.start())
        if end is None or not JOINED.fullmatch(text, end, following.start()):
            break
        found.insert(0, text[box.end() : end].strip())
    return ", ".join(found)


def _closing(text: str, start: int, stop: int | None = None) -> int | None:
    """Return the position before `stop` that closes a brace opened before `start`, or None."""
    depth = 1
    for brace in BRACE.finditer(text, start, len(text) if stop is None else stop):
        depth += {"{": 1, "}": -1}.get(brace.group(), 0)
        if depth == 0:
            return brace.start()
    return None


def last_tagged(text: str) -> str | None:
    r"""Return the content of the last `<answer>…</answer>`; a \boxed{} at its end is unwrapped."""
    before, closing, after = text.rpartition("</answer>")
    _, opening, inside = before.rpartition("<answer>")
    if not (closing and opening) or "<answer>" in after:
        return None
    boxed = last_boxed(inside)
    after_box = inside[inside.rfind(boxed) + len(boxed) :] if boxed is not None else ""
    return inside.strip() if boxed is None or any(map(str.isdecimal, after_box)) else boxed


def last_number(text: str) -> str | None:
    """Return the last number with its sign: an integer, decimal, fraction, mixed, or a power."""
    backwards = range(len(text) - 1, -1, -1)
    last = next((i for i in backwards if text[i].isdecimal() or "¼" <= text[i] <= "⅞"), None)
    if last is None:
        return None
    start = max(0, last - NEAR)
    numbers = NUMBER.findall(bare(plain(text[start : last + 20])))
    return numbers[-1].strip() if numbers else None


def option_letter(text: str) -> str | None:
    r"""Return the letter A to J if the text is nothing else: B, b, (B), $B$, **B.** or \text{B}."""
    text = text.strip()
    if len(text) == 1:
        return text.upper() if "A" <= text.upper() <= "J" else None
    if not text or len(text) > MAX_OPTION_CHARACTERS:
        return None
    match = OPTION.fullmatch(bare(plain(text)).strip())
    return match[1].upper() if match else None


def choice(text: str) -> str | None:
    r"""Return the option in the last \boxed{} that names one, else `<answer>`, else "Answer: X".

    A formula in a box chooses none. Several options named together are no choice.
    """
    for extracted in (last_boxed(text), *last_boxes(text), last_tagged(text)):
        if extracted is None:
            continue
        letter = option_letter(extracted)
        if letter or OPTIONS.fullmatch(bare(plain(extracted[:MAX_OPTION_CHARACTERS]))):
            return letter
    text = text if text.isascii() else unicodedata.normalize("NFKC", text)
    stated = [match for match in STATED.finditer(text) if _affirms(text, match)]
    if not stated or MORE.match(text, stated[-1].end()):
        return None
    return stated[-1][1] or stated[-1][2]


def _affirms(text: str, stated: re.Match[str]) -> bool:
    """Return True if a statement of an option is not denied, and its letter is no word: A, I."""
    before, after = text[max(0, stated.start() - 30) : stated.start()], text[stated.end() :][:40]
    return not DENIED.search(before) and bool(stated[2] or AFTER_LETTER.match(after))


def last_boxes(text: str) -> list[str]:
    r"""Return the contents of boxes that are short enough for an option, the last first."""
    starts = [box.end() for box in BOX.finditer(text)][-MAX_BOXES:]
    ends = [_closing(text, start, start + MAX_OPTION_CHARACTERS) for start in starts]
    pairs = zip(starts[::-1], ends[::-1], strict=True)
    bare_boxes = [] if starts else BARE_BOX.findall(text)[-1:]
    return [*(text[start:end].strip() for start, end in pairs if end is not None), *bare_boxes]


def extract_answer(completion: str, source: AnswerSource) -> str | None:
    """Return the answer from its place in the completion's final part, or None.

    Raises ValueError on an unknown place.
    """
    final = r1trl.final_part(completion)
    if final is None:
        return None
    match source:
        case "boxed":
            return last_boxed(final)
        case "answer_tag":
            return last_tagged(final)
        case "tag_or_box":
            tagged = last_tagged(final)
            return last_boxed(final) if tagged is None else tagged
        case "last_number":
            return last_number(final)
        case "choice":
            return choice(final)
        case "latex_any":
            return final
    raise ValueError(f"no answer source {source!r}")
