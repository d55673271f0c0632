"""The filter `llm_judge`: keep the rows that a language model grades well."""

import asyncio
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import r1trl
from r1trl import Failure
from r1trl_judge import llm
from r1trl_judge.llm import LLMJudge

if TYPE_CHECKING:
    from datasets import Dataset

MAX_FAILURE_RATE = 0.5


def missing_requirements(*, judge: dict[str, Any], **options: Any) -> str | None:
    """Return an error in the judge's options or a missing requirement, else None."""
    if find_spec("openai"):
        try:
            LLMJudge(**judge)
        except (TypeError, ValueError) as error:
            return f"judge: {str(error).replace('LLMJudge.__init__()', 'the reward llm_judge')}"
    return llm.missing_requirements(**judge)


def asks_outside(*, judge: dict[str, Any], **options: Any) -> str | None:
    """Return the judge that is asked."""
    return llm.asks_outside(**judge)


@r1trl.describe(missing_requirements=missing_requirements, asks_outside=asks_outside)
def llm_judge(
    rows: "Dataset", *, judge: dict[str, Any], min_grade: float = 0.7
) -> list[str | None]:
    """Keep rows whose completion a language model grades with at least `min_grade`, 0 to 1.

    `judge` holds the options of the reward `llm_judge`: model, url, instructions, … Rows without a
    `completion` are graded by their prompt alone. A row whose request failed is dropped. Raises
    ValueError if more than half of the requests failed, or if the rows have no `prompt`.
    """
    if "prompt" not in rows.column_names:
        names = ", ".join(rows.column_names) or "none"
        raise ValueError(f"the rows have no column 'prompt'; there are: {names}")
    columns: dict[str, list[Any]] = rows.to_dict()
    prompts = [str(prompt) for prompt in columns.pop("prompt")]
    completions = columns.pop("completion", [""] * len(prompts))
    graded = LLMJudge(**judge)(prompts, completions, [[]] * len(prompts), **columns)
    grades = asyncio.run(graded) if prompts else []
    failures = [grade for grade in grades if isinstance(grade, Failure)]
    if len(failures) > MAX_FAILURE_RATE * len(grades):
        raise ValueError(f"{len(failures)} of {len(grades)} rows got no grade: {failures[0]}")
    return [_reason(grade, min_grade) for grade in grades]


def _reason(grade: float | Failure, min_grade: float) -> str | None:
    if isinstance(grade, Failure):
        return f"no grade: {grade.kind}"
    return None if grade >= min_grade else f"graded under {min_grade:g}"
