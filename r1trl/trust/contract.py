"""The contract of a plugin's offers, as tests that run on somebody's own: `r1trl check`.

Each test is a function of an offer under test. It raises AssertionError with what is wrong; the
text that it may return is shown beside its name.
"""

import inspect
import pickle
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from r1trl.config.values import check_options
from r1trl.data.filters import keep
from r1trl.trust.candidate import OfferUnderTest
from r1trl.trust.kind_contract import describes_stages, is_light_to_import

ODD = [
    "",
    " \n\t",
    "\x00\ufffd",
    "</think></answer>",
    "\\boxed{" * 2000,
    "<think>" * 20_000,
    "7" * 9999,
]


def takes_options(test: OfferUnderTest) -> None:
    """Check that options are typed, and that the given ones fit; a kind has settings instead."""
    offer = test.offer
    if offer.role == "kind":
        return
    problems = check_options(offer, test.options, offer.name)
    assert not problems, problems[0] if problems else ""
    untyped = [n for n, p in offer.options.items() if p.annotation is inspect.Parameter.empty]
    assert not untyped, f"the option '{untyped[0]}' has no type" if untyped else ""


def is_documented(test: OfferUnderTest) -> None:
    """Check that there is a docstring, and that it names every option."""
    target = test.offer.target
    text = inspect.getdoc(target.run if test.offer.role == "kind" else target)
    assert text, "has no docstring; `r1trl plugins` shows its first line"
    undocumented = [name for name in test.offer.options if name not in text]
    missing = f"the docstring does not name the option '{undocumented[0]}'" if undocumented else ""
    assert not undocumented, missing


def gives_one_value_each(test: OfferUnderTest) -> None:
    """Check that there is one finite number or None for each completion."""
    test.values(test.rows)


def copes_with_none(test: OfferUnderTest) -> None:
    """Check a row of another source: it has None in the columns that its source lacks."""
    empty = {name: [None] * len(rows) for name, rows in test.rows.items()}
    kept = {name: test.rows[name] for name in ("prompt", "completion")}
    try:
        test.values({**empty, **kept})
    except AssertionError as error:
        hint = "rows of other sources have None in columns that they lack; return None for them"
        raise AssertionError(f"{error} ({hint})") from error


def copes_with_odd_texts(test: OfferUnderTest) -> None:
    """Check that empty, huge and malformed completions are scored like any other, in time."""
    count = len(ODD)
    rows = {name: [values[0]] * count for name, values in test.rows.items()}
    test.values({**rows, "completion": ODD})


def is_deterministic(test: OfferUnderTest) -> None:
    """Check that the same samples get the same values."""
    first, second = test.values(test.rows), test.values(test.rows)
    assert first == second, f"the same samples got {first} and then {second}"


def ignores_order(test: OfferUnderTest) -> None:
    """Check that the order of a batch changes nothing."""
    forward = test.values(test.rows)
    backward = test.values({name: values[::-1] for name, values in test.rows.items()})[::-1]
    assert forward == backward, f"in another order the samples got {backward}, not {forward}"


def ignores_company(test: OfferUnderTest) -> None:
    """Check that what else is in the batch changes nothing."""
    together = test.values(test.rows)
    for i, value in enumerate(together):
        alone = test.values({name: values[i : i + 1] for name, values in test.rows.items()})
        assert alone == [value], f"a sample got {value} in a batch and {alone[0]} alone"


def can_be_pickled(test: OfferUnderTest) -> None:
    """Check that it can be sent to other processes, which is done by name."""
    try:
        pickle.loads(pickle.dumps(test.offer.target))  # noqa: S301 - what was pickled here
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise AssertionError(f"{error}; define it at the top of its module") from error


def speed(test: OfferUnderTest) -> str:
    """Return the milliseconds per sample, once it is warm."""
    start = time.perf_counter()
    test.values(test.rows)
    each = (time.perf_counter() - start) / len(test.rows["completion"])
    return f"{1000 * each:.2f} ms per sample"


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

    rows = Dataset.from_dict(dict(test.rows))
    samplers: list[Any] = [test.offer.bind(test.options) for _ in range(2)]
    if not hasattr(samplers[0], "choose"):
        return
    first, second = ([s.choose(rows, 4, step, 1) for step in range(3)] for s in samplers)
    assert first == second, f"two processes chose {first} and {second}"
    wrong = [i for chosen in first for i in chosen if i not in range(len(rows))]
    wrong += [len(chosen) for chosen in first if len(chosen) != 4]
    assert not wrong, f"chose {first}, not 4 of {len(rows)} each time"


def takes_a_result(test: OfferUnderTest) -> None:
    """Check that a transition can be called with the stage's result alone."""
    bound = test.offer.bind(test.options)
    try:
        inspect.signature(bound).bind(object())
    except TypeError as error:
        raise AssertionError(f"cannot be called with a result: {error}") from error


def makes_rows(test: OfferUnderTest) -> None:
    """Check that a dataset has rows, the same ones each time."""
    from datasets import Dataset

    source = test.offer.bind(test.options)
    first, second = source(), source()
    assert isinstance(first, Dataset), f"returned {type(first).__name__}, not a Dataset"
    assert len(first), "has no rows"
    assert first.to_dict() == second.to_dict(), "has other rows the second time"


TESTS_OF_ALL: Sequence[Callable[[OfferUnderTest], Any]] = (takes_options, is_documented)
TESTS: Mapping[str, Sequence[Callable[[OfferUnderTest], Any]]] = {
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
    "kind": (is_light_to_import, describes_stages),
}
