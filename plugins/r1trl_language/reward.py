"""The reward `language_consistency`, and the language in which a completion is expected."""

from typing import Any

from r1trl_language.languages import check_language
from r1trl_language.words import counts, detect, share, thinking


def target_language(language: Any, question: Any, prompt: str) -> str | None:
    """Return the row's own language, else its question's, else its prompt's; None if undetected.

    Raises ValueError on a `language` that is not known.
    """
    if language is not None:
        return check_language("language", language)
    return detect(question if isinstance(question, str) else prompt)


def language_consistency(
    prompts: list[str], completions: list[str], completion_ids: list[list[int]], **columns: Any
) -> list[float | None]:
    """Return the share of words in the target language over each chain of thought.

    R = Num(words in target language) / Num(words) (DeepSeek-R1, arXiv 2501.12948v2, equation 7);
    `r1trl_language.words` defines a word and its language. The target is the row's `language`, an
    ISO 639-1 code such as 'en' or 'zh', else the language of its `question`, else of the prompt,
    whose template may outweigh a question in another language. None if no word can be counted or
    the target cannot be told, such as from fewer than four words that are neither English nor
    Chinese. Raises ValueError, with all codes, on a `language` that is not known.
    """
    count = len(completions)
    languages = columns.get("language") or [None] * count
    questions = columns.get("question") or [None] * count
    rows = zip(prompts, completions, languages, questions, strict=True)
    return [
        share(counts(thinking(prompt, completion)), target_language(language, question, prompt))
        for prompt, completion, language, question in rows
    ]
