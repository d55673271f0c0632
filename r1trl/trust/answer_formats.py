"""The formats in which an answer can be given, and what rewards say of gold answers in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from r1trl.plugins.offer import description_of
from r1trl.rewards.pool import Failure
from r1trl.rewards.scorer import Scorer
from r1trl.rewards.texts import gold_texts
from r1trl.trust.renderings import RenderedSource

if TYPE_CHECKING:
    from datasets import Dataset

THOUGHT = "I look at the question and work it out step by step."


@dataclass(frozen=True)
class AnswerFormat:
    """A format of completions: with a thought or without, and the texts around the answer."""

    thinks: bool
    delimiters: tuple[str, str]

    def __str__(self) -> str:
        thought = "<think>…</think>" if self.thinks else ""
        return thought + "…".join(self.delimiters).replace("\n", " ")

    def fill(self, answer: str, prompt: str) -> str:
        """Return a completion in this format; a `<think>` that ends the prompt is not repeated."""
        opening = "" if prompt.rstrip().endswith("<think>") else "<think>"
        thought = f"{opening}{THOUGHT}</think>\n" if self.thinks else ""
        return thought + answer.join(self.delimiters)


TAGGED = ("<answer>", "</answer>")
BOXED = ("\\boxed{", "}")
BOTH = ("<answer>\\boxed{", "}</answer>")
FENCED = ("```python\n", "\n```")
STATED = ("The answer is ", ".")
BARE = ("", "")
DELIMITERS = (TAGGED, BOXED, BOTH, FENCED, STATED, BARE)
ALL_FORMATS = [AnswerFormat(thinks, each) for thinks in (True, False) for each in DELIMITERS]


def formats_asked_for(prompts: Sequence[str]) -> list[AnswerFormat]:
    """Return the formats that obey all of the prompts; empty if they ask for none.

    A completion may think although the prompt does not ask for it.
    """

    def mentioned(text: str) -> bool:
        return all(text in prompt for prompt in prompts)

    thoughts = (True,) if mentioned("<think>") else (False, True)
    tags, box = mentioned("<answer>"), mentioned("\\boxed")
    if tags or box:
        delimiters: Sequence[tuple[str, str]] = [
            BOTH if tags and box else TAGGED if tags else BOXED
        ]
    elif mentioned("```"):
        delimiters = [FENCED]
    else:
        delimiters = DELIMITERS if thoughts == (True,) else []
    return [AnswerFormat(thinks, each) for each in delimiters for thinks in thoughts]


@dataclass(frozen=True)
class GoldCheck:
    """A completion for every row of a source, and the values of each reward.

    `raw` are the values as rewards gave them, a Failure where one failed: then no reward of the row
    has a value. `full_scores` has the rewards that have one.
    """

    completions: list[str]
    values: Mapping[str, Sequence[float | None]]
    raw: Mapping[str, Sequence[Any]]
    full_scores: Mapping[str, float]

    def broken(self, name: str) -> dict[int, Failure]:
        """Return how a reward failed, by row."""
        return {i: v for i, v in enumerate(self.raw[name]) if isinstance(v, Failure)}

    def failed(self, name: str) -> list[int]:
        """Return the rows that got less than the full score."""
        full = self.full_scores[name]
        return [i for i, v in enumerate(self.values[name]) if v is not None and v < full]

    def passed(self, name: str) -> list[int]:
        """Return the rows that got the full score."""
        full = self.full_scores[name]
        return [i for i, v in enumerate(self.values[name]) if v is not None and v >= full]

    @property
    def failures(self) -> int:
        """Return how often a full score was missed, by any reward on any row."""
        return sum(len(self.failed(name)) for name in self.full_scores)


def golds_of(rows: "Dataset") -> list[str]:
    """Return the first gold answer of each row, from its column `solution`; "" if it has none."""
    return [next(iter(gold_texts(solution)), "") for solution in rows["solution"]]


def usual_formats(source: RenderedSource) -> Sequence[AnswerFormat]:
    """Return the formats that prompts ask for; all if none, or if the model may know another."""
    asked = formats_asked_for(source.rows["prompt"][:])
    return ALL_FORMATS if source.model_is_trained or not asked else asked


def best_format(
    source: RenderedSource, scorer: Scorer, formats: Sequence[AnswerFormat]
) -> tuple[AnswerFormat, GoldCheck]:
    """Return the format in which gold answers miss the fewest full scores, and their scores."""
    prompts, golds, checks = source.rows["prompt"][:], golds_of(source.rows), []
    for each in formats:
        checks.append((each, score_texts(source, scorer, list(map(each.fill, golds, prompts)))))
        if not checks[-1][1].failures:
            return checks[-1]
    return min(checks, key=lambda pair: pair[1].failures)


def score_texts(source: RenderedSource, scorer: Scorer, completions: list[str]) -> GoldCheck:
    """Return the scores of one completion for each row of a source."""
    ids = source.tokenizer(completions, add_special_tokens=False)["input_ids"]
    columns = {**source.rows.to_dict(), "completion": completions, "completion_ids": ids}
    scores = ((r.name, description_of(r.reward).full_score) for r in scorer.rewards)
    full_scores = {name: full for name, full in scores if full is not None}
    scored = scorer.score(columns)
    raw = {name: result.values for name, result in scored.results.items()}
    return GoldCheck(completions, scored.values, raw, full_scores)
