"""The contract of filters, samplers, transitions and datasets: `r1trl check`."""

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from r1trl.data.filters import keep
from r1trl.data.sources import made_rows
from r1trl.errors import StageError
from r1trl.samplers import Messages, admission, chosen_rows, continuations, plain_state
from r1trl.trust.candidate import OfferUnderTest, Remark, interrupted_after
from r1trl.types import Completion, Group, Progress, StageResult

METRICS = {"reward": 0.5, "reward_std": 0.1, "loss": 0.1, "entropy": 1.0, "grad_norm": 0.1}
SAMPLER_METHODS = ("choose", "observe", "admit", "generate")
TOTALS: list[list[float | None]] = [[0.0, 1.0], [1.0, 1.0], [0.0, 0.0], [None, 0.5]]
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


def passes_a_result_on(test: OfferUnderTest) -> None:
    """Check that a transition returns a StageResult for that of a stage without a model's weights.

    What it raises may be its verdict on so small a stage, and is no fault.
    """
    with tempfile.TemporaryDirectory() as folder:
        result = _small_result(test, Path(folder))
        transition = test.offer.bind(test.options)
        try:
            with interrupted_after(test.seconds):
                returned: Any = transition(result)
        except TimeoutError as error:
            raise AssertionError(str(error)) from error
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            raise Remark(f"could not be tried on a stage without weights: {what}") from error
    assert isinstance(returned, StageResult), (
        f"returned {_named(returned)}; a transition returns a StageResult: the one that it got, or "
        "dataclasses.replace(result, …)"
    )


def _small_result(test: OfferUnderTest, folder: Path) -> StageResult:
    """Return the result of a stage with rollouts and metrics and an empty folder as its model."""
    from datasets import Dataset, disable_progress_bars

    disable_progress_bars()
    count = len(test.rows["completion"])
    scores = {"problem": list(range(count)), "finished": [True] * count}
    scores |= {name: [0.5] * count for name in ("reward", "rewards/accuracy")}
    rollouts, model = folder / "rollouts.parquet", folder / "model"
    Dataset.from_dict({**test.rows, **scores}).to_parquet(rollouts)
    model.mkdir()
    row = json.dumps({"step": 1, "seconds": 1.0, **METRICS})
    (folder / "metrics.jsonl").write_text(f"{row}\n", encoding="utf-8")
    return StageResult("checked", "checked", folder, model, rollouts, METRICS)


def stops_with_a_reason(test: OfferUnderTest) -> None:
    """Check that `should_stop` returns a reason or None while a stage trains."""
    should_stop = getattr(test.offer.bind(test.options), "should_stop", None)
    if should_stop is None:
        return
    history = [{"step": step, "seconds": float(step), **METRICS} for step in range(1, 31)]
    for rows in ([], history[:1], history):
        try:
            reason = should_stop(Progress(len(rows), 100, float(len(rows)), rows))
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            raise Remark(f"should_stop could not be tried on common metrics: {what}") from error
        may = "it returns None, or the reason to stop as a text"
        is_fine = reason is None or isinstance(reason, str)
        assert is_fine, f"should_stop returned {_named(reason)}; {may}"


def _named(value: Any) -> str:
    """Return a value for a message; of a coroutine that nobody awaits, what is wrong."""
    if hasattr(value, "close") and hasattr(value, "send"):
        value.close()
        return "a coroutine or generator: it must be a plain function"
    return repr(value)[:200]


def makes_rows(test: OfferUnderTest) -> None:
    """Check that a dataset has rows, the same ones each time."""
    source = test.offer.bind(test.options)
    first, second = (made_rows(source(), test.offer.name) for _ in range(2))
    assert len(first), "has no rows"
    assert first.to_dict() == second.to_dict(), "has other rows the second time"
