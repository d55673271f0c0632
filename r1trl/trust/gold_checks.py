"""A stage's rewards on gold answers, which must get the full score, and on what must not.

A gold answer is in the format that the prompt asks for. If it asks for none, or an earlier stage
may have taught the model one, it is in the format that suits the rewards.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from r1trl.errors import suggest
from r1trl.rewards.bound_reward import BoundReward
from r1trl.rewards.scorer import Scorer
from r1trl.rewards.texts import gold_hint
from r1trl.trust.answer_formats import (
    ALL_FORMATS,
    AnswerFormat,
    GoldCheck,
    best_format,
    formats_asked_for,
    golds_of,
    score_texts,
    usual_formats,
)
from r1trl.trust.renderings import RenderedSource

TOLERATED = 0.1  # share of rows: real data has golds that cannot be parsed, and chance hits
GARBAGE = "zqx-7731-nonsense"


@dataclass(frozen=True)
class Finding:
    """An observation; `text` begins with its key if it is `wrong`, else it is a note.

    `misses_full_score` says that a gold answer does not get a reward's full score.
    """

    text: str
    wrong: bool = True
    misses_full_score: bool = False


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


def _check_verdicts(
    source: RenderedSource, reward: BoundReward, check: GoldCheck, golds: Sequence[str]
) -> Iterator[Finding]:
    """Yield the golds on which a reward fails, or has no verdict though it applies."""
    key, tolerated = f"{source.key}.rewards.{reward.name}", TOLERATED * len(golds)
    if broken := check.broken(reward.name):
        row, failure = next(iter(broken.items()))
        yield Finding(
            f"{key}: {failure.kind} on the gold answer of {len(broken)} of {len(golds)} rows of "
            f"{source.name}, such as {_quoted(golds[row])} ({failure.message})",
            wrong=len(broken) > tolerated,
        )
    columns = {**source.rows.to_dict(), "completion": golds}
    others = {i for name in check.raw for i in check.broken(name)}
    applies = [i for i in reward.applies(columns, None) if i not in others]
    unscored = [i for i in applies if check.values[reward.name][i] is None]
    if unscored and reward.name in check.full_scores:
        yield Finding(
            f"{key}: no verdict on the gold answer of {len(unscored)} of {len(golds)} rows of "
            f"{source.name}, such as {_quoted(golds[unscored[0]])}"
            f"{gold_hint(golds[unscored[0]])}",
            wrong=len(unscored) > tolerated,
            misses_full_score=True,
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
            f"{_quoted(check.completions[i])} for {_quoted(golds[i])}{hint}",
            misses_full_score=True,
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
