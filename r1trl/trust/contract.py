"""What is asked of a plugin's offers, as tests that run on somebody's own: `r1trl check`.

Each check is a function of a subject that raises AssertionError with what is wrong; what it returns
is told.
"""

import inspect
import pickle
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from r1trl.config.arguments import check_options
from r1trl.data.filters import kept
from r1trl.trust.candidate import OfferUnderTest

ODD = [
    "",
    " \n\t",
    "\x00\ufffd",
    "</think></answer>",
    "\\boxed{" * 2000,
    "<think>" * 20_000,
    "7" * 9999,
]


def takes_options(subject: OfferUnderTest) -> None:
    """Check that options are typed, and that what is given fits them."""
    offer = subject.offer
    problems = check_options(offer, subject.options, offer.name)
    assert not problems, problems[0] if problems else ""
    untyped = [n for n, p in offer.options.items() if p.annotation is inspect.Parameter.empty]
    assert not untyped, f"the option '{untyped[0]}' has no type" if untyped else ""


def is_documented(subject: OfferUnderTest) -> None:
    """Check that there is a docstring, and that it names every option."""
    text = inspect.getdoc(subject.offer.what)
    assert text, "has no docstring; `r1trl plugins` shows its first line"
    silent = [name for name in subject.offer.options if name not in text]
    assert not silent, f"the docstring does not name the option '{silent[0]}'" if silent else ""


def gives_one_value_each(subject: OfferUnderTest) -> None:
    """Check that there is one finite number or None for each completion."""
    subject.scored(subject.rows)


def copes_with_none(subject: OfferUnderTest) -> None:
    """Check a row of another source: it has None in the columns that its source lacks."""
    empty = {name: [None] * len(rows) for name, rows in subject.rows.items()}
    kept = {name: subject.rows[name] for name in ("prompt", "completion")}
    try:
        subject.scored({**empty, **kept})
    except AssertionError as error:
        told = "rows of other sources have None in columns that they lack; return None for them"
        raise AssertionError(f"{error} ({told})") from error


def copes_with_odd_texts(subject: OfferUnderTest) -> None:
    """Check that empty, huge and malformed completions are scored like any other, in time."""
    count = len(ODD)
    rows = {name: [values[0]] * count for name, values in subject.rows.items()}
    subject.scored({**rows, "completion": ODD})


def is_deterministic(subject: OfferUnderTest) -> None:
    """Check that the same samples get the same values."""
    first, second = subject.scored(subject.rows), subject.scored(subject.rows)
    assert first == second, f"the same samples got {first} and then {second}"


def ignores_order(subject: OfferUnderTest) -> None:
    """Check that the order of a batch changes nothing."""
    there = subject.scored(subject.rows)
    back = subject.scored({name: values[::-1] for name, values in subject.rows.items()})[::-1]
    assert there == back, f"in another order the samples got {back}, not {there}"


def ignores_company(subject: OfferUnderTest) -> None:
    """Check that what else is in the batch changes nothing."""
    together = subject.scored(subject.rows)
    for i, value in enumerate(together):
        alone = subject.scored({name: values[i : i + 1] for name, values in subject.rows.items()})
        assert alone == [value], f"a sample got {value} in a batch and {alone[0]} alone"


def can_be_pickled(subject: OfferUnderTest) -> None:
    """Check that it can be sent to other processes, which is done by name."""
    try:
        pickle.loads(pickle.dumps(subject.offer.what))  # noqa: S301 - what was pickled here
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise AssertionError(f"{error}; define it at the top of its module") from error


def speed(subject: OfferUnderTest) -> str:
    """Return the milliseconds per sample, once it is warm."""
    start = time.perf_counter()
    subject.scored(subject.rows)
    each = (time.perf_counter() - start) / len(subject.rows["completion"])
    return f"{1000 * each:.2f} ms per sample"


def filters_rows(subject: OfferUnderTest) -> None:
    """Check that a filter judges its rows, the same way each time, also none and a single one."""
    from datasets import Dataset

    rows = Dataset.from_dict({**subject.rows, "row": list(range(len(subject.rows["prompt"])))})
    filter_ = subject.offer.bind(subject.options)
    first, second = (kept(rows, filter_(rows))[0] for _ in range(2))
    assert first["row"][:] == second["row"][:], "keeps other rows the second time"
    for few in (rows.select([]), rows.select([0])):
        kept(few, filter_(few))


def chooses_prompts(subject: OfferUnderTest) -> None:
    """Check that `choose` answers as many indices as asked for, the same on every rank."""
    from datasets import Dataset

    rows = Dataset.from_dict(dict(subject.rows))
    asked: list[Any] = [subject.offer.bind(subject.options) for _ in range(2)]
    if not hasattr(asked[0], "choose"):
        return
    first, second = ([s.choose(rows, 4, step, 1) for step in range(3)] for s in asked)
    assert first == second, f"two processes chose {first} and {second}"
    wrong = [i for chosen in first for i in chosen if i not in range(len(rows))]
    wrong += [len(chosen) for chosen in first if len(chosen) != 4]
    assert not wrong, f"chose {first}, not 4 of {len(rows)} each time"


def takes_a_result(subject: OfferUnderTest) -> None:
    """Check that a transition can be called with the stage's result alone."""
    bound = subject.offer.bind(subject.options)
    try:
        inspect.signature(bound).bind(object())
    except TypeError as error:
        raise AssertionError(f"cannot be called with a result: {error}") from error


def makes_rows(subject: OfferUnderTest) -> None:
    """Check that a dataset has rows, the same ones each time."""
    from datasets import Dataset

    source = subject.offer.bind(subject.options)
    first, second = source(), source()
    assert isinstance(first, Dataset), f"returned {type(first).__name__}, not a Dataset"
    assert len(first), "has no rows"
    assert first.to_dict() == second.to_dict(), "has other rows the second time"


OF_ALL: Sequence[Callable[[OfferUnderTest], Any]] = (takes_options, is_documented)
CHECKS: Mapping[str, Sequence[Callable[[OfferUnderTest], Any]]] = {
    "reward": (
        gives_one_value_each,
        copes_with_none,
        copes_with_odd_texts,
        is_deterministic,
        ignores_order,
        ignores_company,
        can_be_pickled,
        speed,
    ),
    "filter": (filters_rows,),
    "sampler": (chooses_prompts,),
    "transition": (takes_a_result,),
    "dataset": (makes_rows,),
}
