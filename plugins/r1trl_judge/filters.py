"""The filter `llm_judge`: keep the rows that a language model grades well."""

import asyncio
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from r1trl import Failure
from r1trl_judge.llm import LLMJudge

if TYPE_CHECKING:
    from datasets import Dataset

NO_GRADE_LIMIT = 0.5


def llm_judge(rows: "Dataset", *, judge: dict[str, Any], least: float = 0.7) -> list[str | None]:
    """Keep rows whose completion a language model grades with at least `least`, from 0 to 1.

    `judge` holds the options of the reward `llm_judge`: model, url, instructions, … Rows without a
    `completion` are graded by their prompt alone. A row whose request failed goes; raises
    ValueError where more than half of them did.
    """
    if "prompt" not in rows.column_names:
        there = ", ".join(rows.column_names) or "none"
        raise ValueError(f"the rows have no column 'prompt'; there are: {there}")
    columns: dict[str, list[Any]] = rows.to_dict()
    prompts = [str(prompt) for prompt in columns.pop("prompt")]
    completions = columns.pop("completion", [""] * len(prompts))
    asked = LLMJudge(**judge)(prompts, completions, [[]] * len(prompts), **columns)
    grades = asyncio.run(asked) if prompts else []
    failures = [grade for grade in grades if isinstance(grade, Failure)]
    if len(failures) > NO_GRADE_LIMIT * len(grades):
        raise ValueError(f"{len(failures)} of {len(grades)} rows got no grade: {failures[0]}")
    return [_reason(grade, least) for grade in grades]


def _reason(grade: float | Failure, least: float) -> str | None:
    if isinstance(grade, Failure):
        return f"no grade: {grade.kind}"
    return None if grade >= least else f"graded under {least:g}"


def ready(*, judge: dict[str, Any], **options: Any) -> str | None:
    """Say what is wrong with the judge's options, or missing here."""
    if find_spec("openai"):
        try:
            LLMJudge(**judge)
        except (TypeError, ValueError) as error:
            return f"judge: {str(error).replace('LLMJudge.__init__()', 'the reward llm_judge')}"
    return LLMJudge.ready(**judge)


llm_judge.ready = ready  # type: ignore[attr-defined]
