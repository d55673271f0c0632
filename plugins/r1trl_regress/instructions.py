"""The reward `instructions`: instructions that a program can verify, as in IFEval.

Zhou et al., Instruction-Following Evaluation for Large Language Models (arXiv 2311.07911). The
instructions and their arguments have that benchmark's names, so its rows are read as they are; with
`startend:start_checker` there is one more.
"""

import difflib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import r1trl
from r1trl_regress import checks
from r1trl_regress.answer import answer_of

CHECKS: Mapping[str, Callable[..., bool]] = {
    "keywords:existence": checks.has_keywords,
    "keywords:frequency": checks.keyword_frequency,
    "keywords:forbidden_words": checks.no_forbidden_words,
    "keywords:letter_frequency": checks.letter_frequency,
    "language:response_language": checks.in_language,
    "length_constraints:number_sentences": checks.sentences,
    "length_constraints:number_paragraphs": checks.paragraphs,
    "length_constraints:number_words": checks.words,
    "length_constraints:nth_paragraph_first_word": checks.paragraph_begins,
    "detectable_content:number_placeholders": checks.placeholders,
    "detectable_content:postscript": checks.postscript,
    "detectable_format:number_bullet_lists": checks.bullets,
    "detectable_format:constrained_response": checks.constrained,
    "detectable_format:number_highlighted_sections": checks.highlights,
    "detectable_format:multiple_sections": checks.sections,
    "detectable_format:json_format": checks.is_json,
    "detectable_format:title": checks.has_title,
    "combination:two_responses": checks.two_responses,
    "combination:repeat_prompt": checks.repeats_prompt,
    "startend:start_checker": checks.begins,
    "startend:end_checker": checks.ends,
    "startend:quotation": checks.quoted,
    "change_case:capital_word_frequency": checks.capital_words,
    "change_case:english_capital": checks.in_capitals,
    "change_case:english_lowercase": checks.in_lower_case,
    "punctuation:no_comma": checks.no_comma,
}


@r1trl.verifier(setup=checks.load_languages, full_score=None)  # no row has a reply to try
def instructions(
    completion: str,
    instruction_id_list: list[str] | None,
    kwargs: list[dict[str, Any]] | str | None,
    prompt: Any = "",
    *,
    partial: bool = False,
) -> float | None:
    """Return 1 if the answer follows all of the row's instructions, else 0; None without any.

    `instruction_id_list` are names of CHECKS, `kwargs` the arguments of each, a list or JSON; those
    that are null are left out. With `partial` the value is the share that is followed. An empty
    answer, or thinking that has not ended, follows none. Raises ValueError if an instruction is
    unknown, TypeError if it lacks an argument or has another one.
    """
    if not instruction_id_list:
        return None
    given = json.loads(kwargs) if isinstance(kwargs, str) else kwargs or []
    checked = list(_bound(instruction_id_list, given))
    answer = answer_of(prompt, completion)
    followed = [bool(answer) and check(answer, **arguments) for check, arguments in checked]
    return sum(followed) / len(followed) if partial else float(all(followed))


def _bound(
    names: Iterable[str], arguments: Iterable[Mapping[str, Any] | None]
) -> Iterable[tuple[Callable[..., bool], dict[str, Any]]]:
    """Yield the check of each instruction with its arguments."""
    for name, given in zip(names, arguments, strict=True):
        if name not in CHECKS:
            close = difflib.get_close_matches(name, CHECKS, n=1)
            meant = f" (did you mean '{close[0]}'?)" if close else ""
            raise ValueError(
                f"no instruction is called '{name}'{meant}; there are: {', '.join(CHECKS)}"
            )
        yield CHECKS[name], {k: v for k, v in (given or {}).items() if v is not None}
