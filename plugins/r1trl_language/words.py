r"""How many words of a text are in which language.

The paper discloses neither its word segmentation nor its language detector. Here code, formulas,
LaTeX, links, tags and numbers go out first (`r1trl_language.prose`), and what is left is counted as
each language counts:

- a Chinese ideograph is one word;
- a Japanese word is a phrase (bunsetsu): kanji or katakana with the hiragana that follow; a
  sentence is Japanese if kana are a tenth of it, or if it has under eight ideographs and most of
  the text is;
- Thai, which writes no spaces, has a word for every five letters, about the length of its words;
- elsewhere a run of two or more letters is a word, with the marks that belong to them (of three or
  more in Greek, of any length in Korean). A single letter is a variable.

A language is told sentence by sentence and script by script. A sentence with enough English words
is English. In any other, labels (ABC), variables (x_1), units and names of functions are no words,
and py3langid decides among the known languages of the script; one that is not known may be taken
for its neighbour. It abstains from fewer than four words and below a probability of 0.9; such a
sentence is in the language that the text has most of in this script. Where there is none, all such
sentences are taken together, and Latin words are English unless another language is ten times as
likely. Words that still cannot be told are counted under the name of their script.
"""

import re
import unicodedata
from collections import Counter

import r1trl
from r1trl_language.languages import MIN_WORDS, could_be_english, identify, is_english
from r1trl_language.prose import prose, without_symbols
from r1trl_language.scripts import HAN, HIRAGANA, KATAKANA, LANGUAGES, LATIN, LETTERS, NAMES

JOINERS = r"\u200c\u200d"  # inside words of Persian and of Indian languages
LENGTHS = {"greek": "{2,}", "thai": "{1,4}", "hangul": "*"}  # after the first letter
WORDS = {
    "latin": re.compile(rf"[{LATIN}](?:[{LATIN}]+(?:['’][{LATIN}]+)*|(?:['’][{LATIN}]+)+)"),
    **{
        script: re.compile(f"[{letters}][{letters}{JOINERS}]{LENGTHS.get(script, '+')}")
        for script, letters in LETTERS.items()
    },
    "other": re.compile(
        rf"[^\W\d_{HAN}{HIRAGANA}{KATAKANA}{LATIN}{''.join(LETTERS.values())}]{{2,}}"
    ),
}
IDEOGRAPH, KANA = re.compile(f"[{HAN}]"), re.compile(f"[{HIRAGANA}{KATAKANA}]")
PHRASE = re.compile(f"[{HAN}{KATAKANA}]+[{HIRAGANA}]*|[{HIRAGANA}]+")
MIN_KANA = 0.1
MIN_CHINESE = 8  # ideographs in a sentence without kana that cannot be a Japanese heading
FURTHER = re.compile(rf"[^\W\d_{HAN}{LATIN}]")
# Full-width and styled letters, half-width kana, jamo, combining marks, units in one character.
COMPATIBILITY = re.compile(
    r"[\u0300-\u036f\u1100-\u11ff\u3380-\u33df\ufb00-\ufdff\ufe70-\ufefc\uff21-\uff5a\uff66-\uffdc"
    r"\U0001d400-\U0001d7ff]"
)
SENTENCE_END = re.compile(r"[.!?;\n。！？；؟۔।։]+")


def counts(text: str) -> Counter[str]:
    """Count a text's words by language, and by script what cannot be told; no count is 0."""
    plain = prose(text)
    if plain.isascii():
        return told(plain, "latin")
    if COMPATIBILITY.search(plain):
        plain = unicodedata.normalize("NFKC", plain)
    counted = told(plain, "latin") + ideographs(plain)
    if FURTHER.search(plain):
        for script in (*LETTERS, "other"):
            counted += told(plain, script)
    return counted


def told(text: str, script: str) -> Counter[str]:
    """Count the words of one script by language, or by the script's name if none can be told."""
    counted, untold, candidates = Counter[str](), list[str](), LANGUAGES[script]
    if not WORDS[script].search(text):
        return counted
    for sentence in SENTENCE_END.split(text):
        words = WORDS[script].findall(sentence)
        if script == "latin" and words:
            if is_english(words):
                counted["en"] += len(words)
                continue
            words = WORDS[script].findall(without_symbols(sentence))
        language = identify(words, candidates)
        if language:
            counted[language] += len(words)
        else:
            untold += words
    if untold:
        counted[main(counted) or language_of(untold, script) or script] += len(untold)
    return counted


def language_of(words: list[str], script: str) -> str | None:
    """Return the language of words from sentences that are too short or doubtful one by one."""
    candidates = LANGUAGES[script]
    language = identify(words, candidates)
    if not language and "en" in candidates and could_be_english(words, candidates):
        return "en"
    return language


def ideographs(text: str) -> Counter[str]:
    """Count Chinese ideographs and Japanese phrases; too few phrases to tell are of 'kana'."""
    if not KANA.search(text):
        return +Counter(zh=len(IDEOGRAPH.findall(text)))
    chinese, japanese, bare = list[str](), list[str](), list[str]()
    for sentence in SENTENCE_END.split(text):
        han, kana = len(IDEOGRAPH.findall(sentence)), len(KANA.findall(sentence))
        if kana and kana >= MIN_KANA * (han + kana):
            japanese.append(sentence)
        else:
            (bare if han < MIN_CHINESE else chinese).append(sentence)
    longer = max(japanese, chinese, key=lambda sentences: len("".join(sentences)))
    longer += bare
    phrases = len(PHRASE.findall(" ".join(japanese)))
    han = len(IDEOGRAPH.findall(" ".join(chinese)))
    return +Counter({"zh": han, "ja" if phrases >= MIN_WORDS else "kana": phrases})


def main(counted: Counter[str]) -> str | None:
    """Return what most words are counted under; None if none are."""
    return counted.most_common(1)[0][0] if counted else None


def share(counted: Counter[str], language: str | None) -> float | None:
    """Return a language's share of counted words; None if no words are left, or for no language.

    Words that cannot be told count as English where their script allows it; for another language
    that they may be in, they are left out.
    """
    doubtful = sum(counted[s] for s, candidates in LANGUAGES.items() if language in candidates)
    english = doubtful if language == "en" else 0
    total = counted.total() - doubtful + english
    return (counted[language] + english) / total if language and total else None


def detect(text: str) -> str | None:
    """Return the language of most of a text's words; None if it has none or it cannot be told."""
    language = main(counts(text))
    return language if language in NAMES else None


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
