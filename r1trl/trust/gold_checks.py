"""A stage's rewards on gold answers, which must get the full score, and on what must not.

A gold answer is in the format that the prompt asks for. If it asks for none, or an earlier stage
may have taught the model one, it is in the format that suits the rewards.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from r1trl.errors import suggest
from r1trl.plugins.offer import description_of
from r1trl.rewards.bound_reward import BoundReward
from r1trl.rewards.scorer import Scorer
from r1trl.rewards.texts import gold_hint, gold_texts
from r1trl.trust.answer_formats import ALL_FORMATS, AnswerFormat, formats_asked_for
from r1trl.trust.renderings import RenderedSource

if TYPE_CHECKING:
    from datasets import Dataset

TOLERATED = 0.1  # share of rows: real data has golds that cannot be parsed, and chance hits
GARBAGE = "zqx-7731-nonsense"


@dataclass(frozen=True)
class Finding:
    """An observation; `text` begins with its key if it is `wrong`, else it is a note."""

    text: str
    wrong: bool = True


@dataclass(frozen=True)
class GoldCheck:
    """A completion for every row of a source, and the values of each reward.

    `full_scores` has the rewards that have one.
    """

    completions: list[str]
    values: Mapping[str, Sequence[float | None]]
    full_scores: Mapping[str, float]

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


def check_answers(source: RenderedSource, scorer: Scorer) -> Iterator[Finding]:
    """Yield what is wrong with a stage's rewards on a source's gold answers, and on wrong ones."""
    rewards = [reward for reward in scorer.rewards if _applies(source, reward)]
    if not rewards:
        return
    lacking = [finding for reward in rewards for finding in _check_columns(source, reward)]
    if lacking or "solution" not in source.rows.column_names:
        note = f"{source.key}: {source.source} has no column 'solution' to try"
        compared = any(reward.columns for reward in rewards)
        yield from lacking or ([Finding(note, wrong=False)] if compared else [])
        return
    prompts = source.rows["prompt"][:]
    golds = golds_of(source.rows)
    if not formats_asked_for(prompts) and not source.model_is_trained:
        note = f"{source.key}: the prompts of {source.name} ask for no answer format"
        yield Finding(note, wrong=False)
    used, check = best_format(source, scorer, usual_formats(source))
    other = best_format(source, scorer, ALL_FORMATS)[0] if check.failures else used
    hint = "" if other == used else f"; the form {other} would suit the rewards"
    for reward in rewards:
        yield from _check_verdicts(source, reward, check, golds)
        yield from _check_gold(source, reward, check, golds, f"in the form {used}", hint)
    yield from _check_wrong(source, scorer, used, golds)


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
    return GoldCheck(completions, scorer.score(columns).values, full_scores)


def _check_verdicts(
    source: RenderedSource, reward: BoundReward, check: GoldCheck, golds: Sequence[str]
) -> Iterator[Finding]:
    """Yield the golds on which a reward that applies has no verdict."""
    columns = {**source.rows.to_dict(), "completion": golds}
    unscored = [i for i in reward.applies(columns, None) if check.values[reward.name][i] is None]
    if unscored and reward.name in check.full_scores:
        yield Finding(
            f"{source.key}.rewards.{reward.name}: no verdict on the gold answer of {len(unscored)} "
            f"of {len(golds)} rows of {source.name}, such as {_quoted(golds[unscored[0]])}"
            f"{gold_hint(golds[unscored[0]])}",
            wrong=len(unscored) > TOLERATED * len(golds),
        )


def _check_gold(
    source: RenderedSource,
    reward: BoundReward,
    check: GoldCheck,
    golds: Sequence[str],
    form: str,
    hint: str,
) -> Iterator[Finding]:
    """Yield the golds that do not get the full score."""
    name = reward.name
    failed = check.failed(name) if name in check.full_scores else []
    if failed:
        i, needs = failed[0], ", ".join(reward.requires)
        yield Finding(
            f"{source.key}.rewards.{name}: the gold answer gets {check.values[name][i]:g} of "
            f"{check.full_scores[name]:g} on {len(failed)} of {len(golds)} rows of {source.name}, "
            f"{form}{f' (it requires {needs})' if needs else ''}: "
            f"{_quoted(check.completions[i])} for {_quoted(golds[i])}{hint}"
        )


def _check_wrong(
    source: RenderedSource, scorer: Scorer, used: AnswerFormat, golds: list[str]
) -> Iterator[Finding]:
    """Yield wrong completions with the full score of a reward that compares with the row."""
    prompts, others = source.rows["prompt"][:], golds[1:] + golds[:1]
    wrong = {
        "an empty completion": [""] * len(golds),
        "the question repeated": source.rows["question"][:],
        "garbage": [used.fill(GARBAGE, prompt) for prompt in prompts],
        "another row's answer": list(map(used.fill, others, prompts)),
    }
    for label, texts in wrong.items():
        check = score_texts(source, scorer, texts)
        for name in [r.name for r in scorer.rewards if r.name in check.full_scores and r.columns]:
            hits = [
                i for i in check.passed(name) if label[:7] != "another" or others[i] != golds[i]
            ]
            if len(hits) > TOLERATED * len(golds):
                i = hits[0]
                yield Finding(
                    f"{source.key}.rewards.{name}: {label} gets the full score on {len(hits)} of "
                    f"{len(golds)} rows of {source.name}: {_quoted(texts[i])} for the gold answer "
                    f"{_quoted(golds[i])}"
                )


def _applies(source: RenderedSource, reward: BoundReward) -> bool:
    """Return True if a reward applies to any row of a source."""
    columns = {**source.rows.to_dict(), "completion": source.rows["prompt"]}
    return bool(reward.applies(columns, None))


def _check_columns(source: RenderedSource, reward: BoundReward) -> Iterator[Finding]:
    """Yield the columns that a reward needs and the rows lack."""
    present = source.all_rows.column_names
    for parameter in reward.columns:
        if parameter.name not in present and parameter.default is parameter.empty:
            yield Finding(
                f"{source.key}.rewards.{reward.name}: reads the column '{parameter.name}', which "
                f"the rows of {source.name} do not have{suggest(parameter.name, present)}; "
                f"they have: {', '.join(present)}"
            )


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 160 else f"{text[:80]}…{text[-80:]}")
