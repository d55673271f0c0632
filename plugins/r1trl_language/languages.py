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
MIN_ENGLISH = 0.2  # the share of words that only English has, which makes a sentence English
MIN_COMMON = 0.5  # the share of words that English has too, beside one that only English has
FAR_LIKELIER = 10  # times that another language must be likelier than English for words to abstain


def forms(words: str) -> frozenset[str]:
    """Return words in lower case and capitalized, and in capitals unless short as the label IT."""
    return frozenset(
        form
        for word in words.split()
        for form in (word, word.capitalize(), *([word.upper()] if len(word) > 2 else []))
    )


ENGLISH = forms(
    "the and this that these those there then they their them from with which what when where "
    "who why how if it it's don't let's that's we're you your she not because since although "
    "while could would should must cannot can't does did doing our each every both many much "
    "more less than therefore thus hence next first third finally only again into between "
    "after before about through without it’s don’t let’s that’s we’re know need get gets gives "
    "got make makes takes using now here wait answer answers question number numbers equal "
    "equals add adds added adding subtract subtracts multiply multiplied divide divided times "
    "equation two three four five seven eight nine eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety "
    "hundred thousand twice left right solve compute calculate evaluate simplify"
)
COMMON = ENGLISH | forms(
    "is are was were be been has have had of for to we so let plus minus one also but in on an at "
    "by as do he her half find sum total first second"
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
    """Return True if a fifth of the words are English alone, or some and half are common in it."""
    found = sum(map(ENGLISH.__contains__, words))
    if found >= MIN_ENGLISH * len(words):
        return True
    return found > 0 and sum(map(COMMON.__contains__, words)) >= MIN_COMMON * len(words)


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
