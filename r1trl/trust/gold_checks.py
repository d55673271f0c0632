"""Trying a stage's rewards: gold answers must get the full score, and what is none must not.

The gold answer is put into the form that the prompt asks for; where it asks for none, or the model
comes from an earlier stage that may have taught it one, into the form that fits the rewards best.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from r1trl.errors import suggest
from r1trl.rewards.scorer import Scorer
from r1trl.rewards.setting import BoundReward
from r1trl.trust.answer_formats import ALL, AnswerFormat, formats_asked_for
from r1trl.trust.renderings import RenderedSource

FEW = 0.1  # of the rows: what real data has of golds that cannot be parsed, and of chance hits
GARBAGE = "zqx-7731-nonsense"


@dataclass(frozen=True)
class Finding:
    """Something seen: with its key in front where it is `wrong`, else only worth knowing."""

    text: str
    wrong: bool = True


@dataclass(frozen=True)
class GoldCheck:
    """A completion for every row of a reading, and what each reward gave."""

    completions: list[str]
    values: Mapping[str, Sequence[float | None]]
    full: Mapping[str, float]

    def failed(self, name: str) -> list[int]:
        """Return the rows that got less than the full score."""
        return [i for i, v in enumerate(self.values[name]) if v is not None and v < self.full[name]]

    def passed(self, name: str) -> list[int]:
        """Return the rows that got the full score."""
        return [
            i for i, v in enumerate(self.values[name]) if v is not None and v >= self.full[name]
        ]

    @property
    def failures(self) -> int:
        """Return how often a full score was missed, by any reward on any row."""
        return sum(len(self.failed(name)) for name in self.full)


def check_answers(reading: RenderedSource, scorer: Scorer) -> Iterator[Finding]:
    """Try the gold answers of a reading, and what must not pass for them."""
    if not scorer.settings:
        return
    lacking = [found for setting in scorer.settings for found in _check_columns(reading, setting)]
    if lacking or "solution" not in reading.rows.column_names:
        told = f"{reading.where}: {reading.source} has no column 'solution' to try"
        yield from lacking or [Finding(told, wrong=False)]
        return
    prompts = reading.rows["prompt"][:]
    golds = [_first(solution) for solution in reading.rows["solution"]]
    asked = formats_asked_for(prompts)
    if not asked and not reading.model_is_trained:
        told = f"{reading.where}: the prompts of {reading.source} ask for no form"
        yield Finding(told, wrong=False)

    def best(shapes: Sequence[AnswerFormat]) -> tuple[AnswerFormat, GoldCheck]:
        """Return the shape whose gold answers miss the fewest full scores, and its trial."""
        tried = []
        for shape in shapes:
            tried.append((shape, attempt(reading, scorer, list(map(shape.fill, golds, prompts)))))
            if not tried[-1][1].failures:
                return tried[-1]
        return min(tried, key=lambda pair: pair[1].failures)

    shape, trial = best(ALL if reading.model_is_trained or not asked else asked)
    other = best(ALL)[0] if trial.failures else shape
    hint = "" if other == shape else f"; the form {other} would suit the rewards"
    for setting in scorer.settings:
        yield from _check_verdicts(reading, setting, trial, golds)
        yield from _check_gold(reading, setting, trial, golds, f"in the form {shape}", hint)
    yield from _check_wrong(reading, scorer, shape, golds)


def attempt(reading: RenderedSource, scorer: Scorer, completions: list[str]) -> GoldCheck:
    """Score a completion for each row of a reading."""
    ids = reading.tokenizer(completions, add_special_tokens=False)["input_ids"]
    columns = {**reading.rows.to_dict(), "completion": completions, "completion_ids": ids}
    full = {s.name: s.reward.full for s in scorer.settings if full_score(s.reward) is not None}
    return GoldCheck(completions, scorer.score(columns).values, full)


def full_score(reward: Any) -> float | None:
    """Return the value that a reward gives a perfect completion, None where it names none."""
    value: float | None = getattr(reward, "full", None)
    return value


def _check_verdicts(
    reading: RenderedSource, setting: BoundReward, trial: GoldCheck, golds: Sequence[str]
) -> Iterator[Finding]:
    """Find golds on which a reward that applies has no verdict."""
    columns = {**reading.rows.to_dict(), "completion": golds}
    mute = [i for i in setting.applies(columns, None) if trial.values[setting.name][i] is None]
    if mute and setting.name in trial.full:
        yield Finding(
            f"{reading.where}.rewards.{setting.name}: no verdict on the gold answer of {len(mute)} "
            f"of {len(golds)} rows of {reading.source}, such as {_told(golds[mute[0]])}",
            wrong=len(mute) > FEW * len(golds),
        )


def _check_gold(
    reading: RenderedSource,
    setting: BoundReward,
    trial: GoldCheck,
    golds: Sequence[str],
    form: str,
    hint: str,
) -> Iterator[Finding]:
    """Find golds that do not get the full score."""
    name = setting.name
    failed = trial.failed(name) if name in trial.full else []
    if failed:
        i, needs = failed[0], ", ".join(setting.requires)
        yield Finding(
            f"{reading.where}.rewards.{name}: the gold answer gets {trial.values[name][i]:g} of "
            f"{trial.full[name]:g} on {len(failed)} of {len(golds)} rows of {reading.source}, "
            f"{form}{f' (it requires {needs})' if needs else ''}: "
            f"{_told(trial.completions[i])} for {_told(golds[i])}{hint}"
        )


def _check_wrong(
    reading: RenderedSource, scorer: Scorer, shape: AnswerFormat, golds: list[str]
) -> Iterator[Finding]:
    """Find what gets the full score of a reward that compares with the row, and must not."""
    prompts, others = reading.rows["prompt"][:], golds[1:] + golds[:1]
    wrong = {
        "an empty completion": [""] * len(golds),
        "the question repeated": reading.rows["question"][:],
        "garbage": [shape.fill(GARBAGE, prompt) for prompt in prompts],
        "another row's answer": list(map(shape.fill, others, prompts)),
    }
    for kind, texts in wrong.items():
        trial = attempt(reading, scorer, texts)
        for name in [s.name for s in scorer.settings if s.name in trial.full and s.columns]:
            hits = [i for i in trial.passed(name) if kind[:7] != "another" or others[i] != golds[i]]
            if len(hits) > FEW * len(golds):
                i = hits[0]
                yield Finding(
                    f"{reading.where}.rewards.{name}: {kind} gets the full score on {len(hits)} of "
                    f"{len(golds)} rows of {reading.source}: {_told(texts[i])} for the gold answer "
                    f"{_told(golds[i])}"
                )


def _check_columns(reading: RenderedSource, setting: BoundReward) -> Iterator[Finding]:
    """Find columns that a reward reads and the rows that it applies to lack."""
    there = reading.all_rows.column_names
    applies = setting.applies(
        {**reading.rows.to_dict(), "completion": reading.rows["prompt"]}, None
    )
    for parameter in setting.columns if applies else ():
        if parameter.name not in there and parameter.default is parameter.empty:
            yield Finding(
                f"{reading.where}.rewards.{setting.name}: reads the column '{parameter.name}', "
                f"which the rows of {reading.source} do not have{suggest(parameter.name, there)}; "
                f"they have: {', '.join(there)}"
            )


def _first(solution: Any) -> str:
    """Return a row's gold answer as text, the first of several."""
    many = solution if isinstance(solution, list) else [solution]
    return str(many[0]) if many else ""


def _told(text: str) -> str:
    return repr(text if len(text) <= 160 else f"{text[:80]}…{text[-80:]}")
