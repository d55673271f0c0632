"""The languages that are known, and which of them a sentence's words are in.

A script narrows the languages down; where it leaves several, words that only English has decide for
English, then py3langid's naive Bayes model among the languages of that script alone.
"""

import copy
import difflib
from collections.abc import Sequence
from functools import cache
from typing import Any

from r1trl_language.scripts import NAMES

MIN_WORDS = 4
MIN_PROBABILITY = 0.9
MIN_ENGLISH = 0.2  # the share of these words that makes a sentence English
FAR_LIKELIER = 10  # times that another language must be likelier than English for words to abstain
ENGLISH = frozenset(
    form
    for word in (
        # No word of another language here: "on", "find", "is", "are", "for" and "have" are missing.
        "the and this that these those there then they their them from with which what when where "
        "who why how it it's don't let's that's we're you your she her his not but because since "
        "although while if be been has had could would should must cannot can't does did doing "
        "my our each every both many much more less than therefore thus hence next first second "
        "third finally only also again into between after before about through without it’s don’t "
        "let’s that’s we’re let know need get gets gives give got make makes take takes use using "
        "now here wait answer answers question number numbers equal equals add adds added adding "
        "subtract subtracts multiply multiplied divide divided times plus minus equation "
        "one two three four five seven eight nine eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred "
        "thousand half twice left right solve compute calculate evaluate simplify"
    ).split()
    # A label such as IT or BE is no English word.
    for form in (word, word.capitalize(), *([word.upper()] if len(word) > 2 else []))
)


def check_language(key: str, language: Any) -> str:
    """Return a language's ISO 639-1 code; raise ValueError, with all codes, if it is not known."""
    said = str(language)
    if said in NAMES:
        return said
    codes = {name.casefold(): code for code, name in NAMES.items()}
    close = difflib.get_close_matches(said.casefold(), codes, n=1)
    near = codes[close[0]] if close else said[:2].casefold()
    meant = f" (did you mean '{near}'?)" if near in NAMES else ""
    raise ValueError(
        f"{key}: no language '{said}' is known{meant}; possible are: {', '.join(NAMES)}"
    )


@cache
def model() -> Any:
    """Return py3langid's model over all its languages; it takes half a second to load."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


@cache
def identifier(candidates: tuple[str, ...]) -> Any:
    """Return the model over the candidates alone, which share the weights of all."""
    restricted = copy.copy(model())
    restricted.set_languages(candidates)
    return restricted


def is_english(words: Sequence[str]) -> bool:
    """Return True if a fifth of the words at least are words that only English has."""
    return sum(map(ENGLISH.__contains__, words)) >= MIN_ENGLISH * len(words)


def identify(words: Sequence[str], candidates: tuple[str, ...]) -> str | None:
    """Return the candidate that words are in; None if they are fewer than 4 or none has 0.9."""
    if len(words) < MIN_WORDS:
        return None
    if len(candidates) == 1:
        return candidates[0]
    best, probability = identifier(candidates).classify(" ".join(words))
    return str(best) if probability >= MIN_PROBABILITY else None


def could_be_english(words: Sequence[str], candidates: tuple[str, ...]) -> bool:
    """Return True if no candidate is ten times as likely as English."""
    found = dict(identifier(candidates).rank(" ".join(words)))
    return bool(max(found.values()) < FAR_LIKELIER * found["en"])
