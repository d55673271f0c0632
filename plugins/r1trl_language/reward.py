"""The reward `language_consistency`, and the language in which a completion is expected."""

from typing import Any

from r1trl_language.words import detect, shares, thinking

TARGETS = ("en", "zh")


def target_language(language: Any, question: Any, prompt: str) -> str | None:
    """Return the row's own language, else its question's, else its prompt's; None if undetected."""
    if language is not None:
        return str(language)
    return detect(question if isinstance(question, str) else prompt)


def consistency(thought: str, language: str | None) -> float | None:
    """Return the share of a thought's words in a language; None if it cannot be measured."""
    by_language = shares(thought)
    return by_language[language] if by_language and language in TARGETS else None


def language_consistency(
    prompts: list[str], completions: list[str], completion_ids: list[list[int]], **columns: Any
) -> list[float | None]:
    """Return the share of words in the target language over each chain of thought.

    R = Num(words in target language) / Num(words) (DeepSeek-R1, arXiv 2501.12948v2, equation 7);
    `r1trl_language.words` defines a word. The target is the row's `language` ('en' or 'zh'),
    else the language of its `question`, else of the prompt, whose template may outweigh a question
    in another language. None if no word can be counted or the target is neither of the two.
    """
    count = len(completions)
    languages = columns.get("language") or [None] * count
    questions = columns.get("question") or [None] * count
    rows = zip(prompts, completions, languages, questions, strict=True)
    return [
        consistency(thinking(prompt, completion), target_language(language, question, prompt))
        for prompt, completion, language, question in rows
    ]
