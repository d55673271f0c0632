r"""What of a text is no prose: code, formulas, LaTeX commands, links, tags, labels and units.

Spans are bounded in length, so that an opening mark that never closes costs little.
"""

import re

from r1trl_language.scripts import HAN

FORMULAS = "align alignat aligned gather gathered equation eqnarray multline split cases array"
MATRICES = "matrix pmatrix bmatrix Bmatrix vmatrix Vmatrix smallmatrix"
PICTURES = "math displaymath tikzpicture asy verbatim lstlisting minted"
ENVIRONMENTS = "|".join(f"{FORMULAS} {MATRICES} {PICTURES}".split())
NAMED = (
    "operatorname mathrm mathbf mathit mathsf mathbb mathcal mathfrak begin end label ref "
    "eqref tag color textcolor usepackage documentclass includegraphics url href cite hspace vspace"
)
NOT_PROSE = re.compile(
    r"```.{0,8000}?(?:```|\Z)"
    r"|`[^`\n]{1,400}`"
    r"|\$\$.{1,2000}?\$\$"
    r"|(?<!\\)\$(?=\S)[^$\n]{1,400}(?<=\S)\$(?!\d)"
    r"|\\(?:"
    r"\(.{0,2000}?\\\)"
    r"|\[.{0,2000}?\\\]"
    r"|boxed\s?\{(?:[^{}]|\{(?:[^{}]|\{[^{}]{0,200}\}){0,200}\}){0,400}\}"
    rf"|begin\{{((?:{ENVIRONMENTS})\*?)\}}.{{0,4000}}?\\end\{{\1\}}"
    r"|begin\{(?:array|tabular)\}\{[^{}]{0,40}\}"
    rf"|(?:{'|'.join(NAMED.split())})\*?\s?\{{[^{{}}]{{0,200}}\}}"
    r"|[A-Za-z]+"
    r")"
    r"|\[asy\].{0,4000}?(?:\[/asy\]|\Z)"
    r"|(?:https?://|www\.)[^\s\u3000-\u9fff]+"
    r"|<[|｜][^<>|｜\n]{1,40}[|｜]>"
    r"|</?[A-Za-z][A-Za-z0-9]{0,15}(?:\s[A-Za-z-]{1,20}=\"[^\"<>]{0,200}\"){0,6}\s?/?>",
    re.DOTALL,
)
UNITS = (
    "nm mm cm dm km mi ft in lb lbs oz mg kg ml mL cl dl dL ha ms min sec hr hrs km/h m/s mph rpm "
    "Hz kHz MHz GHz Pa kPa kN kJ kW kWh eV mol rad deg mod"
)
NAMES = "sin cos tan cot csc arcsin arccos arctan log ln lg lim exp gcd lcm nm mm cm dm km kg mg ml"
SHORT_ENGLISH = "is it if in so we of to on or be by at as an do no go us my me".split()
AFTER_FIRST = "|".join(f"(?<={name[0]}){name[1:]}" for name in NAMES.split())
# Each match begins with one of few characters, to which the search can jump.
SYMBOLS = re.compile(
    r"[A-Za-z\d=+^∥⊥∠△](?:"
    r"(?<=[A-Za-z])(?<![A-Za-z].)(?:"
    r"(?<=[A-Z])(?:['’′]?[A-Z\d]){1,5}['’′]?(?![A-Za-z])"  # points and polygons: ABC, A'B'C'
    r"|[A-Za-z]{0,2}_(?:\{[^{}]{0,40}\}|[A-Za-z\d]{1,10})"  # x_1, v_max
    r"|(?<=R)t(?=\s?[△∠])"
    rf"|(?:{AFTER_FIRST})[\d²³]?(?![A-Za-z])"
    r"|[A-Za-z]{1,2}(?=[=^(<>≤≥≠])"  # xy=6
    r"|[A-Za-z](?=\s[=≤≥≠<>+^∥⊥])"
    rf"|(?<=[a-z])[a-z](?<!{'|'.join(SHORT_ENGLISH)})(?![A-Za-z])(?:(?=[{HAN}])|(?<=[{HAN}]..))"
    r")"
    rf"|(?<=\d)\s?(?:{UNITS.replace(' ', '|')})[\d²³]?(?![A-Za-z])"
    r"|(?<![A-Za-z])[A-Za-z]{2,3}(?![A-Za-z])"  # 2ab
    r"|(?<==)\s[A-Za-z]{2}(?![A-Za-z])"
    r")"
)


def prose(text: str) -> str:
    """Return a text without code, formulas, LaTeX environments and commands, links and tags."""
    return NOT_PROSE.sub(" ", text)


def without_symbols(sentence: str) -> str:
    """Return a sentence without labels such as ABC, names of functions and variables, and units."""
    return SYMBOLS.sub(" ", sentence)
