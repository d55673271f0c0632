"""The contract of filters, samplers, datasets and variants: `r1trl check`."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from r1trl.data.filters import keep
from r1trl.data.sources import made_rows
from r1trl.errors import StageError
from r1trl.samplers import Messages, admission, chosen_rows, continuations, plain_state
from r1trl.trust.candidate import OfferUnderTest, Remark
from r1trl.types import Completion, Group
from r1trl.variants import PromptSettings, Row, Variation

SAMPLER_METHODS = ("choose", "observe", "admit", "generate")
TOTALS: list[list[float | None]] = [[0.0, 1.0], [1.0, 1.0], [0.0, 0.0], [None, 0.5]]
SEEDS = range(4)
CHOICE = "Which is the largest?\n\nA) one\nB) two\nC) three\nD) four"
SETTINGS = (
    PromptSettings(),
    PromptSettings(
        system="Be brief.", prefill="<think>\n", chat_template_kwargs={"thinking": True}
    ),
    PromptSettings(template="User: {{ prompt }} Assistant:"),
)
GROUPS = [Group(i, totals, {"accuracy": totals}, [8, 8]) for i, totals in enumerate(TOTALS)]


def filters_rows(test: OfferUnderTest) -> None:
    """Check that a filter judges its rows, the same way each time, also none and a single one."""
    from datasets import Dataset

    rows = Dataset.from_dict({**test.rows, "row": list(range(len(test.rows["prompt"])))})
    filter_ = test.offer.bind(test.options)
    first, second = (keep(rows, filter_(rows))[0] for _ in range(2))
    assert first["row"][:] == second["row"][:], "keeps other rows the second time"
    for few in (rows.select([]), rows.select([0])):
        keep(few, filter_(few))


def chooses_prompts(test: OfferUnderTest) -> None:
    """Check that `choose` answers as many indices as asked for, the same on every rank."""
    from datasets import Dataset

    rows = Dataset.from_dict({**test.rows, "row": list(range(len(test.rows["prompt"])))})
    samplers: list[Any] = [test.offer.bind(test.options) for _ in range(2)]
    if not hasattr(samplers[0], "choose"):
        return
    with failing():
        first, second = (
            [chosen_rows(s.choose(rows, 4, step, 1), 4, len(rows)) for step in range(3)]
            for s in samplers
        )
    assert first == second, f"two processes chose {first} and {second}"


@contextmanager
def failing() -> Iterator[None]:
    """Turn what a stage would say of a sampler into the failure of a check."""
    try:
        yield
    except StageError as error:
        raise AssertionError(str(error)) from error


def judges_groups(test: OfferUnderTest) -> None:
    """Check that `observe` takes a rollout's groups, and that `admit` answers True or False.

    The state after them can be saved as JSON.
    """
    sampler: Any = test.offer.bind(test.options)
    if hasattr(sampler, "observe"):
        sampler.observe(GROUPS)
    if hasattr(sampler, "state_dict"):
        with failing():
            plain_state(sampler.state_dict())
    if not hasattr(sampler, "admit"):
        return
    for group in GROUPS:
        with failing():
            admission(sampler.admit(group))


class EchoPolicy:
    """A policy that ends each completion with the number 2, for samplers that generate."""

    def generate(
        self,
        completions: Sequence[Completion],
        *,
        max_tokens: int | None = None,
        stop: Sequence[str] = (),
    ) -> list[Completion]:
        """Return each completion with one more token, and finished."""
        return [
            replace(self.append(c, " 2"), finished=True, generated_tokens=1) for c in completions
        ]

    def append(self, completion: Completion, text: str) -> Completion:
        """Return the completion with a text of one token."""
        ids = (*completion.token_ids, 2)
        return replace(completion, text=completion.text + text, token_ids=ids)

    def score(self, completions: Sequence[Completion], reward: str) -> list[float | None]:
        """Return the same value for each."""
        return [0.5] * len(completions)

    def extract_answers(self, completions: Sequence[Completion], reward: str) -> list[str | None]:
        """Return the same answer for each."""
        return ["2"] * len(completions)

    def rewrite_prompts(
        self, completions: Sequence[Completion], change: Callable[[Messages], Messages]
    ) -> list[Completion]:
        """Return completions of the changed question, its text alone."""
        asked: list[Messages] = [[{"role": "user", "content": c.prompt}] for c in completions]
        pairs = zip(completions, asked, strict=True)
        return [replace(c, prompt=change(messages)[-1]["content"]) for c, messages in pairs]


def continues_completions(test: OfferUnderTest) -> None:
    """Check that `generate` returns one completion for each, in their order."""
    sampler: Any = test.offer.bind(test.options)
    if not hasattr(sampler, "generate"):
        return
    empty = [Completion(row, prompt) for row, prompt in enumerate(test.rows["prompt"])]
    with failing():
        continuations(sampler.generate(empty, EchoPolicy()), empty)


def makes_rows(test: OfferUnderTest) -> None:
    """Check that a dataset has rows, the same ones each time."""
    source = test.offer.bind(test.options)
    first, second = (made_rows(source(), test.offer.name) for _ in range(2))
    assert len(first), "has no rows"
    assert first.to_dict() == second.to_dict(), "has other rows the second time"


def varies_rows(test: OfferUnderTest) -> None:
    """Check that a variant returns a row with the same columns, the same one for the same seed.

    It is asked for prompts that are texts and messages, and changes nothing of what it gets.
    """
    changed = False
    for row, settings, seed in _cases(test):
        before = copy.deepcopy(row)
        first, second = (_varied(test, row, settings, seed) for _ in range(2))
        assert row == before, f"changes the row that it gets: {row!r:.200} was {before!r:.200}"
        assert first == second, f"makes {first!r:.200} and then {second!r:.200} of the same row"
        changed = changed or first != (row, settings)
    if not changed:
        raise Remark("leaves every row and its settings as they are")


def keeps_the_answer(test: OfferUnderTest) -> str:
    """Check that a variant says whether the answer stays the same, and that it then does."""
    keeps = test.offer.description.keeps_answer
    how = "decorate it with @r1trl.describe(keeps_answer=True), or False"
    assert keeps is not None, f"does not say whether the answer stays the same; {how}"
    for row, settings, seed in _cases(test) if keeps else ():
        solution = _varied(test, row, settings, seed)[0].get("solution")
        assert solution == row.get("solution"), (
            f"says that it keeps the answer, and makes {solution!r} of the solution "
            f"{row.get('solution')!r}"
        )
    return "it stays the same" if keeps else "it may be another one"


def _cases(test: OfferUnderTest) -> Iterator[tuple[dict[str, Any], PromptSettings, int]]:
    """Yield rows with settings and seeds: the rows to test on, and a question with options."""
    columns = {name: values for name, values in test.rows.items() if name != "completion"}
    rows = [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]
    rows.append({**rows[0], "prompt": CHOICE, "solution": "D"})
    for row in rows:
        talk = [{"role": "user", "content": row["prompt"]}]
        for settings in SETTINGS:
            for seed in SEEDS:
                yield dict(row), settings, seed
                if isinstance(row["prompt"], str):
                    yield {**row, "prompt": copy.deepcopy(talk)}, settings, seed


def _varied(
    test: OfferUnderTest, row: Row, settings: PromptSettings, seed: int
) -> tuple[Row, PromptSettings]:
    """Return a row and its settings in another form; raise AssertionError if the variant fails."""
    try:
        return Variation(test.offer.bind(test.options), seed, test.offer.name).of(row, settings)
    except StageError as error:
        raise AssertionError(str(error)) from error
