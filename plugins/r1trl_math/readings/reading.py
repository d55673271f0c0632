r"""Reading an answer: its mathematics and the words around it.

"The area is $18\pi$ square inches" has one mathematical piece, 18\pi, and a unit; "2 hours and 20
minutes" has two pieces; "no solution" has none. Two words in a row are thus never factors.
"""

import functools
import re
from dataclasses import dataclass

from r1trl_math.numeric import parse_number
from r1trl_math.readings.notation import END, WORD, plain
from r1trl_math.readings.words import OF, ORDINALS, changes_number
from r1trl_math.units import is_symbol

FUNCTIONS = (
    "arcsin|arccos|arctan|arg|sinh|cosh|tanh|sin|cos|tan|cot|csc|log|ln|lg|exp|max|gcd|lcm|lim|det|"
    "deg|sqrt|infinity|infty|inf|pi|theta|alpha|beta|gamma|lambda|mod|frac|sec(?=[\\s(]*[a-z(]\\b)|"
    "min(?=\\s*[({])"
)
CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
EXPONENT = r"(?:\s*\^\s*(?:\{\s*-?\d\s*\}|-?\d))?"
TOKEN = re.compile(
    rf"{WORD}(?P<marked>[^{WORD}{END}]*){END}{EXPONENT}"
    r"|\(\s*(?P<aside>[A-Za-z]{2,}(?: [A-Za-z]+)*)\s*\)(?=\s|$)"
    r"|(?<=\d)\s*(?:\^\s*\{?\s*)?(?P<ordinal>th|st|nd|rd)\b\s*\}?"
    r"|\^\s*\{?\s*\\circ\s*\}?\s*(?P<degrees>[CFK])\b"
    r"|(?<=[\d\s}])(?P<rate>(?:[kcm]?m|mi|ft|k?g|mol|[kM]?[JNLWVC])\s*/\s*(?:hr?|min|s|k?g|[cm]?m|mol|K|L))\b"
    + EXPONENT
    + r"|(?<=[\d\s}])(?P<si>(?:[kcm]?m|k?g|mol|[sAKNJWVC])(?:\s(?:[kcm]?m|k?g|[sAKNJWVC])){0,4}"
    r"\s*\^\s*\{\s*-\d\s*\})\s*$"
    r"|(?<=\d)\s*(?P<short>[hms])(?=\s*(?:and\s+)?\d+\s*[a-z])"
    rf"|(?P<cjk>[{CJK}]+)"
    rf"|(?<![\\A-Za-z{{])(?!(?:{FUNCTIONS})(?![A-Za-z]))(?P<word>[^\W\d_]{{2,}}(?:['’-][^\W\d_]+)*)"
    + EXPONENT
)
FEET = re.compile(r"""(\d)\s*(''|"|')""")
GLUED = re.compile(
    r"(?:[^a-zA-Z\\]|\\(?:[dt]?frac|times|cdot|pi|sqrt))*\d\}?\s*(?P<letter>(?:[msghlLAVWNJ]|(?<=\s)[CK])"
    + EXPONENT
    + ")",
    re.ASCII,
)
DEGREES = re.compile(r"-?[\d.,]+\s*(?P<letter>\^\s*\{?\s*\\circ\s*\}?)")
PRODUCT = re.compile(r"[a-d]{2,4}|[b-df-hj-np-tv-z]{2,3}")
LABEL = re.compile(r"[A-Z]{2,}")
CONCLUSION = re.compile(
    r"answer|result|total|altogether|so|therefore|thus|hence|.*(?:答案|结果|所以|因此|得到?|共|答)(?:是|为)?",
    re.IGNORECASE,
)
COPULA = re.compile(
    r"is|are|was|be|becomes|equals?|gives?|makes?|gets?|.*(?:是|为|等于)", re.IGNORECASE
)
LEAD = re.compile(
    r"\A(?:(?:(?:so|thus|hence|therefore|then|and|the|my|our|final|correct|required)[\s,:]+){0,6}"
    r"(?:(?:answer|result|solution|it|this|that|there|value)\s*(?:(?:is|are|was|equals?)\b|[:=])"
    r"|(?:so|thus|hence|therefore)\b)[\s:,]*"
    r"|(?:所以|因此|故|综上|最终|正确|的|[,\s]){0,6}(?:答案|结果|答|解)\s*(?:[是为:=])[\s:]*)",
    re.IGNORECASE,
)
SENTENCE = re.compile(r"(?<![\\A-Za-z])[A-Za-z]+(?:\s+[A-Za-z]+){3}")
HAN_SENTENCE = 10
JOINING = frozenset(("and", "or", "和", "或", "与"))
LEADING_STOP = re.compile(r"\A\.\s+")
NOT_UNIT = re.compile(r"[\s{}\ue000\ue001]")
EMPTY = re.compile(r"[\s.,;:!?=()\[\]/\\'\"-]*")
SPACE = re.compile(r"(?<!\d)\s+|\s+(?!\d)")
ARTICLE = frozenset(("a", "A", "I", "an", "An"))


@dataclass(frozen=True)
class Reading:
    """An answer: `line` is it in one notation without "The answer is", `pieces` its mathematics.

    `words[i]` are those after piece i; `before` are those before the first piece.
    """

    line: str
    pieces: tuple[str, ...]
    words: tuple[tuple[str, ...], ...]
    before: tuple[str, ...]

    @property
    def text(self) -> str:
        """Return the answer's letters and digits in lower case, for texts."""
        return " ".join(re.findall(r"[^\W_]+", bare(self.line).casefold()))

    @property
    def key(self) -> str:
        """Return the line without marks and needless space; equal lines are equal answers."""
        return SPACE.sub("", bare(self.line))

    @property
    def all_words(self) -> tuple[str, ...]:
        """Return all words of the answer, in their order."""
        return tuple(word for words in (self.before, *self.words) for word in words)

    @property
    def is_plain(self) -> bool:
        """True if no word makes another statement of it, as in "at least 5"."""
        of = self.before[-1:] == ("of",) and bool(OF.intersection(self.before))
        nth = any(words[:1] and words[0] in ORDINALS and words[1:] for words in self.words)
        after = [word for words in self.words for word in words]
        return not (of or nth or changes_number(self.before, after))

    @property
    def is_sentence(self) -> bool:
        """True if four words stand in a row: prose, in which the answer must be found."""
        han = max(map(len, re.findall(f"[{CJK}]+", self.line)), default=0)
        return bool(SENTENCE.search(bare(self.line))) or han >= HAN_SENTENCE


def bare(line: str) -> str:
    """Return a line without the marks of words."""
    return line.replace(WORD, "").replace(END, "")


@functools.lru_cache(maxsize=4096)
def read(text: str) -> Reading:
    """Read an answer; the pieces of a sentence are those after its last "is", "=" or the like."""
    line = LEAD.sub("", plain(text), count=1) if text else ""
    if r"\begin" in line:
        return Reading(line, (line,), ((),), ())
    if LABEL.fullmatch(line):
        return Reading(line, (), (), (line.lower(),))
    line = FEET.sub(rf"\1{WORD}\2{END}", line) if "'" in line or '"' in line else line
    pieces, words = _split(line)
    if any(set(each) - JOINING for each in words):
        glued = GLUED.fullmatch(pieces[-1]) if pieces and not words[-1] else None
    else:
        glued = GLUED.fullmatch(line) or DEGREES.fullmatch(line)
        if not glued:
            return Reading(line, (line,), ((),), ()) if line else Reading("", (), (), ())
        pieces, words = [line], [[], []]
    if glued:  # a unit of one letter: 5 m, and minutes in 3h 15m
        letter = NOT_UNIT.sub("", glued["letter"]).replace(r"^\circ", "degree")
        letter = "min" if letter == "m" and ["h"] in words else letter
        pieces[-1], words[-1] = glued.string[: glued.start("letter")].strip(), [letter]
    return _answer(line, pieces, words)


def _split(line: str) -> tuple[list[str], list[list[str]]]:
    """Split a line into pieces and words: words[0], pieces[0], words[1], pieces[1], …"""
    pieces: list[str] = []
    words: list[list[str]] = [[]]
    position = 0
    for match in TOKEN.finditer(line):
        word = next(group for group in match.groups() if group is not None)
        if match["word"] and _is_symbol(word, line[position : match.start()]):
            continue
        _add(pieces, words, line[position : match.start()])
        power = "" if match["degrees"] else NOT_UNIT.sub("", match.group().partition("^")[2])
        named = f"deg{word}" if match["degrees"] else f"{word}^{power}" if power else word
        words[-1] += named.split()
        position = match.end()
    _add(pieces, words, line[position:])
    return pieces, words


def _is_symbol(word: str, before: str) -> bool:
    """Return True if letters stand for mathematics: xy, abc, the triangle ABC; not 5 cm."""
    symbol = PRODUCT.fullmatch(word) or LABEL.fullmatch(word)
    return bool(symbol) and not (before.strip() and is_symbol(word))


def _add(pieces: list[str], words: list[list[str]], text: str) -> None:
    piece = LEADING_STOP.sub("", text.strip(" ,;:?")).rstrip(".")
    named = len(piece) == 1 and piece.isalpha() and words[-1]  # a letter in prose: "value of n"
    if EMPTY.fullmatch(piece) or piece in ARTICLE:
        return
    if named and not _has(COPULA, words[-1][-1:]):
        words[-1].append(piece)
    else:
        pieces.append(piece)
        words.append([])


def _answer(line: str, pieces: list[str], words: list[list[str]]) -> Reading:
    """Keep what follows the last conclusion, or the only copula: of "3 plus 4 is 7", 7."""
    first = max((i for i in range(len(pieces)) if _has(CONCLUSION, words[i])), default=0)
    copulas = [i for i in range(first, len(pieces)) if _has(COPULA, words[i])]
    first = copulas[0] if len(copulas) == 1 else first
    if pieces and "=" in pieces[first]:
        left, _, right = pieces[first].rpartition("=")
        values = parse_number(left.strip()), parse_number(right.strip())
        if values[0] and values[1] and values[0] != values[1]:
            pieces.insert(first, left.strip())  # 43 = 42 says two things
            words.insert(first + 1, [])
        elif re.search(r"\d", left) and right.strip():
            pieces[first] = right.strip()
    after = tuple(map(tuple, words[first + 1 :]))
    return Reading(line, tuple(pieces[first:]), after, tuple(words[first]))


def _has(pattern: re.Pattern[str], words: list[str]) -> bool:
    return any(pattern.fullmatch(word) for word in words)
