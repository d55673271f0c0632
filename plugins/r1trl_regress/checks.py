"""What each instruction asks of a text, by the names of IFEval's arguments.

A word is a run of letters, digits and apostrophes, or one Chinese character; a sentence ends with
`.`, `!`, `?` or their Chinese forms; paragraphs have `***` between them, or blank lines where the
n-th is meant.
"""

import functools
import json
import re
from typing import Any

WORD = re.compile(r"[\u3400-\u9fff]|[^\W_\u3400-\u9fff]+(?:['’-][^\W_\u3400-\u9fff]+)*")
SENTENCE_END = re.compile(r"[.!?]+[\"'”’)\]]*(?=\s|$)|[。！？]+")
ABBREVIATION = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|Prof|St|vs|etc|e\.g|i\.e|[A-Z])\.$")
DIVIDER = re.compile(r"\s?\*\*\*\s?")
BULLET = re.compile(r"^\s*(?:\*(?!\*)|-(?!-)|•)\s*\S", re.MULTILINE)
HIGHLIGHT = re.compile(r"\*\*([^\n*]+)\*\*|\*([^\n*]+)\*")
OPTIONS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")


def compared(count: int, relation: str, wanted: int) -> bool:
    """Return True if a count is 'at least' or 'less than' what is wanted; ValueError on another."""
    if relation not in ("at least", "less than"):
        raise ValueError(f"relation '{relation}' is not possible; choose: at least, less than")
    return count >= wanted if relation == "at least" else count < wanted


def _occurrences(text: str, word: str) -> int:
    """Return how often a word or phrase occurs, whatever its case, as whole words."""
    edge = r"(?<!\w){}(?!\w)" if word.isascii() else "{}"
    return len(re.findall(edge.format(re.escape(word)), text, re.IGNORECASE))


def has_keywords(text: str, *, keywords: list[str]) -> bool:
    """Return True if every keyword occurs."""
    return all(_occurrences(text, word) for word in keywords)


def no_forbidden_words(text: str, *, forbidden_words: list[str]) -> bool:
    """Return True if no forbidden word occurs."""
    return not any(_occurrences(text, word) for word in forbidden_words)


def keyword_frequency(text: str, *, keyword: str, frequency: int, relation: str) -> bool:
    """Return True if a keyword occurs so often."""
    return compared(_occurrences(text, keyword), relation, frequency)


def letter_frequency(text: str, *, letter: str, let_frequency: int, let_relation: str) -> bool:
    """Return True if a letter, or another sign, occurs so often, whatever its case."""
    return compared(text.lower().count(letter.lower()), let_relation, let_frequency)


@functools.cache
def load_languages() -> Any:
    """Return py3langid's model of languages."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def in_language(text: str, *, language: str) -> bool:
    """Return True if the text is in a language, by its ISO 639-1 code."""
    return bool(load_languages().classify(text)[0] == language.partition("-")[0])


def sentences(text: str, *, num_sentences: int, relation: str) -> bool:
    """Return True if there are so many sentences."""
    return compared(sentence_count(text), relation, num_sentences)


def sentence_count(text: str) -> int:
    """Return the number of sentences; the last one needs no sign at its end."""
    ends = [
        end.end()
        for end in SENTENCE_END.finditer(text)
        if not (ABBREVIATION.search(text[: end.end()]) and text[end.end() :].strip())
    ]
    rest = text[ends[-1] if ends else 0 :]
    return len(ends) + bool(WORD.search(rest))


def words(text: str, *, num_words: int, relation: str) -> bool:
    """Return True if there are so many words."""
    return compared(len(WORD.findall(text)), relation, num_words)


def paragraphs(text: str, *, num_paragraphs: int) -> bool:
    """Return True if there are exactly so many paragraphs, with *** between them."""
    parts = [part.strip() for part in DIVIDER.split(text)]
    inner = parts[1 if not parts[0] else 0 : -1 if len(parts) > 1 and not parts[-1] else None]
    return all(inner) and len(inner) == num_paragraphs


def paragraph_begins(
    text: str, *, num_paragraphs: int, nth_paragraph: int, first_word: str
) -> bool:
    """Return True if so many paragraphs have blank lines between them, and one begins so."""
    parts = [part for part in re.split(r"\n\s*\n", text) if part.strip()]
    if len(parts) != num_paragraphs or not 1 <= nth_paragraph <= len(parts):
        return False
    found = WORD.search(parts[nth_paragraph - 1])
    return found is not None and found[0].lower() == first_word.lower()


def placeholders(text: str, *, num_placeholders: int) -> bool:
    """Return True if at least so many placeholders are there, such as [address]."""
    return len(re.findall(r"\[[^\[\]]*\]", text)) >= num_placeholders


def postscript(text: str, *, postscript_marker: str) -> bool:
    """Return True if a line begins with the marker, such as P.S., with or without stops."""
    signs = [re.escape(sign) for sign in postscript_marker if sign not in ". "]
    return re.search(r"^\s*" + r"\.?\s?".join(signs), text, re.I | re.M) is not None


def bullets(text: str, *, num_bullets: int) -> bool:
    """Return True if there are exactly so many bullet points."""
    return len(BULLET.findall(text)) == num_bullets


def constrained(text: str) -> bool:
    """Return True if one of the three allowed answers is there."""
    return any(option in text for option in OPTIONS)


def highlights(text: str, *, num_highlights: int) -> bool:
    """Return True if at least so many parts are highlighted, *so* or **so**."""
    return sum(bool("".join(p).strip()) for p in HIGHLIGHT.findall(text)) >= num_highlights


def sections(text: str, *, section_spliter: str, num_sections: int) -> bool:
    """Return True if at least so many sections begin with the word and a number."""
    return len(re.findall(rf"{re.escape(section_spliter)}\s?\d+", text)) >= num_sections


def is_json(text: str) -> bool:
    """Return True if the whole text is JSON, in a code block or not."""
    bare = re.sub(r"^```(?:json)?\s*|\s*```$", "", text.strip(), flags=re.IGNORECASE)
    try:
        json.loads(bare)
    except (ValueError, RecursionError):
        return False
    return True


def has_title(text: str) -> bool:
    """Return True if there is a title in double angular brackets, <<so>>."""
    return any(title.strip() for title in re.findall(r"<<([^\n<>]+)>>", text))


def two_responses(text: str) -> bool:
    """Return True if there are two different answers with ****** between them."""
    parts = [part.strip() for part in text.split("******")]
    return len(parts) == 2 and all(parts) and parts[0] != parts[1]


def repeats_prompt(text: str, *, prompt_to_repeat: str) -> bool:
    """Return True if the text begins with the prompt, whatever its case."""
    return text.strip().lower().startswith(prompt_to_repeat.strip().lower())


def begins(text: str, *, start_phrase: str) -> bool:
    """Return True if the text begins with a phrase, whatever its case."""
    return text.strip().lower().startswith(start_phrase.strip().lower())


def ends(text: str, *, end_phrase: str) -> bool:
    """Return True if the text ends with a phrase, whatever its case; quotation marks aside."""
    return text.strip().strip('"').lower().endswith(end_phrase.strip().lower())


def quoted(text: str) -> bool:
    """Return True if the whole text is in double quotation marks."""
    bare = text.strip()
    return len(bare) > 1 and bare[0] == bare[-1] == '"'


def capital_words(text: str, *, capital_frequency: int, capital_relation: str) -> bool:
    """Return True if so many words are in capitals."""
    count = sum(word.isupper() for word in WORD.findall(text))
    return compared(count, capital_relation, capital_frequency)


def in_capitals(text: str) -> bool:
    """Return True if all letters are capitals."""
    return text.isupper()


def in_lower_case(text: str) -> bool:
    """Return True if there are letters, and none is a capital."""
    return text.islower()


def no_comma(text: str) -> bool:
    """Return True if there is no comma."""
    return not set(text) & set(",，")
