r"""One notation for an answer: Unicode, Markdown and LaTeX's wrappers written as plain LaTeX.

Only the writing changes here, never the value: `（１，２）` becomes `(1,2)`, `**73**` becomes `73`,
`4\sqrt(2)` becomes `4\sqrt{2}`. Words in `\text{…}` stay, between the marks WORD and END.
"""

import re
import unicodedata

from r1trl_math.readings.signs import latex_of

WORD, END = "\ue000", "\ue001"  # around the words of \text{…}: private characters, never in answers

RAISED, LOWERED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "₀₁₂₃₄₅₆₇₈₉₊₋"
TO_ASCII = str.maketrans(RAISED + LOWERED, "0123456789+-" * 2)
SCRIPTS = re.compile(f"([{RAISED}]+)|([{LOWERED}]+)")
ROOT_SIGN = re.compile(r"([√∛])\s*(\d+(?:\.\d+)?|[A-Za-z])")
VULGAR = re.compile(r"(\d?)\s?([¼-¾⅐-⅞])")

FENCE = re.compile(r"```(?:[\w.+-]*\n)?\s*([^`]*?)\s*```|(?<!`)`([^`\n]+)`(?!`)")
BOLD = re.compile(r"(?<![\w*)}])(\*\*\*|\*\*|__)(?=[^\s*_])([^*_]{1,400}?)(?<=\S)\1(?![\w*({])")
WHOLE = re.compile(r"\s*(?:#{1,6}\s+)?([*_])(?=[^\s*_])([^*_]*)\1\s*")
HEADING = re.compile(r"\s*#{1,6}\s+")
STRUCK = re.compile(r"~~[^~]*~~|\\(?:cancel|xcancel|bcancel|sout)\s*\{[^{}]*\}")

DELIMITERS = re.compile(r"\\?\$|(?<!\\)\\[()\[\]]|\\(?:displaystyle|textstyle|limits|boldsymbol)\b")
SPACES = re.compile(
    r"(?<!\\)\\(?:[,;:> ]|quad\b|qquad\b|thinspace\b|enspace\b)|(?<!\\)~|\\hspace\{[^{}]*\}"
)
COLOR = re.compile(r"\\(?:text)?color\s*(?:\[[^\]]*\])?\{[^{}]*\}")
DEGREE = re.compile(r"\^?\s*\{?\\degrees?\b\s*\}?")
MONEY = re.compile(r"\$\s*-?[\d.]")
JOINS = re.compile(r"\s*\{\s*,\s*\}\s*|,\\!\s*")
WRAPPED = re.compile(
    r"\\(?:text(?:bf|it|rm|normal|sf|tt|sc)?|math(?:rm|bf|it|sf|tt|normal)|mbox|hbox|emph|underline|bm|pmb)"
    r"\s*\{([^{}]*)\}|\{\\(?:rm|bf|it|sf)\b\s*([^{}]*)\}"
)
UNIT_LETTERS = frozenset("msghlLAVWNJKCFT")
LABEL = re.compile(r"(?<![A-Za-z\\])[A-Z]{2,}(?![A-Za-z])")
PRIMES = re.compile(r"(?<=[A-Za-z)])('{1,3})|\^\s*\{?\s*((?:\\prime\s*){1,3})\}?")
OPENING = re.compile(r"(\\?sqrt\s*(?:\[[^\[\]]*\])?|\^)\s*\(")
BARE_ROOT = re.compile(r"(?<![\\A-Za-z])sqrt(?=[\s\d{\[])")
NAMED = {"pi": r"\pi ", "infinity": r"\infty ", "inf": r"\infty "}
NAMES = re.compile(r"(?<![\\A-Za-z])(?:pi|infinity|inf)(?![A-Za-z])", re.IGNORECASE)
PERCENT = re.compile(r"(?<!\\)%|\\?\s*\b(?:percent(?:age)?|pct)\b(?! points?)")
ROOT = re.compile(
    r"\\sqrt\s*(\\[dtc]?frac\s*\{[^{}]*\}\s*\{[^{}]*\}|\\(?!frac|dfrac|tfrac|sqrt)[A-Za-z]+(?![A-Za-z{]))"
)
POWER = re.compile(r"(?<=[\w)}])\s*\*\*\s*(?=[\w({-])")
MINUS = re.compile(
    r"(?:(?<![A-Za-z])(?:minus|negative|neg\.?)(?![A-Za-z])|负|マイナス)[\s\ue001]*(?=[\d.$\\(])",
    re.IGNORECASE,
)
BEGINNING = re.compile(
    r"\A(?:[\s,;:!?=]|\\(?:approx|simeq|sim|therefore|to|[Rr]ightarrow|implies)\b|[-=]>)+"
)
ENDS = " \t\n.,;:?"
RUNS = re.compile(r"[^\S\n]{2,}|\n\s+")
MAX_CHARACTERS = 5_000  # an answer this long is an essay


def plain(text: str) -> str:
    """Return an answer in one notation; only its first 5,000 characters count."""
    text = RUNS.sub(" ", text[:MAX_CHARACTERS])
    if not text.isascii():
        text = _ascii(text)
    if "~~" in text or r"cancel" in text or r"\sout" in text:
        text = STRUCK.sub("", text)
    if "*" in text or "_" in text or "`" in text or "#" in text:
        text = _unmarked(text)
    if "\\" in text or "$" in text or "~" in text:
        text = _unwrapped(text)
    if "(" in text or "sqrt" in text:
        text = ROOT.sub(r"\\sqrt{\1}", BARE_ROOT.sub(r"\\sqrt", _braced(text)))
    text = POWER.sub("^", text) if "**" in text else text
    text = text.replace("=/=", r"\ne ").replace("!=", r"\ne ") if "=" in text else text
    text = PERCENT.sub(r"\\%", text) if "%" in text else text
    text = NAMES.sub(lambda match: NAMED[match[0].lower()], text)
    text = MINUS.sub("-", text)
    text = BEGINNING.sub("", text.replace("\n", " "))
    text = text.rstrip(" \t") if text.endswith("...") else text.rstrip(ENDS)
    while text.endswith("\\") and not text.endswith("\\}"):
        text = text[:-1].rstrip(ENDS)
    return text


def _ascii(text: str) -> str:
    """Write signs, superscripts, fractions, full-width and Greek characters as plain LaTeX."""
    text = text.replace("——", " ")
    text = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text)
    text = ROOT_SIGN.sub(lambda m: f"\\sqrt{'[3]' * (m[1] == '∛')}{{{m[2]}}}", text)
    text = VULGAR.sub(_fraction, text)
    text = SCRIPTS.sub(_script, text)
    text = unicodedata.normalize("NFKC", "".join(map(latex_of, text)))
    return "".join(map(latex_of, text))


def _fraction(match: re.Match[str]) -> str:
    value = unicodedata.normalize("NFKC", match[2]).replace("\u2044", "/")
    return f"{match[1]} {value}" if match[1] else value


def _script(match: re.Match[str]) -> str:
    digits = match.group().translate(TO_ASCII)
    return f"^{{{digits}}}" if match[1] else f"_{{{digits}}}"


def _unmarked(text: str) -> str:
    """Remove Markdown's marks: code, bold, italics around the whole, a heading."""
    if "`" in text:
        text = FENCE.sub(lambda match: match[1] or match[2] or "", text)
    for _ in range(2):
        text = BOLD.sub(r"\2", text)
    whole = WHOLE.fullmatch(text)
    return whole[2] if whole else HEADING.sub("", text, count=1) if HEADING.match(text) else text


def _unwrapped(text: str) -> str:
    r"""Remove delimiters and spacing, and the wrappers of letters; mark words in \text{…}."""
    text = JOINS.sub(",", text) if "," in text else text
    text = COLOR.sub("", text) if "color" in text else text
    text = DEGREE.sub(r"^\\circ", text)
    money = MONEY.search(text) if text.count("$") == 1 else None
    text = DELIMITERS.sub("$" if money else "", text)
    text = SPACES.sub(" ", text).replace("\\!", "")
    if r"\begin" not in text:
        for _ in range(3):
            text = WRAPPED.sub(_unwrap, text)
    return text


def _unwrap(match: re.Match[str]) -> str:
    inside = match[1] if match[1] is not None else match[2]
    bare = inside.strip(" ()")
    before = match.string[: match.start()].rstrip(" }")[-1:]
    is_unit = bare in UNIT_LETTERS and (inside != bare or before.isdigit())
    if len(bare) == 1 and bare.isalpha() and not is_unit:
        return bare
    if not any(map(str.isalpha, bare)) or any(c.isdigit() or c in "\\=<>+^_{}" for c in bare):
        return f" {inside} "
    return f" {WORD}{bare}{END} "


def _braced(text: str) -> str:
    r"""Write `\sqrt(…)` and `^(…)` with braces, as LaTeX groups arguments."""
    openings = {match.end() - 1 for match in OPENING.finditer(text)}
    signs, opened = list(text), list[int]()
    for i, sign in enumerate(text if openings else ""):
        if sign == "(":
            opened.append(i)
        elif sign == ")" and opened and (start := opened.pop()) in openings:
            signs[start], signs[i] = "{", "}"
    return "".join(signs)
