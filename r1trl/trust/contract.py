"""The contract of a plugin's offers, as tests that run on somebody's own: `r1trl check`.

Each test is a function of an offer under test. It raises AssertionError with what is wrong, or a
Remark on what is no fault; the text that it may return is shown beside its name.
"""

import inspect
import pickle
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from r1trl.plugins.values import check_options
from r1trl.rewards.verifier import Verifier
from r1trl.trust import role_contracts as of_rows
from r1trl.trust import stage_contracts as of_stages
from r1trl.trust.candidate import OfferUnderTest, Remark

Test = Callable[[OfferUnderTest], Any]
INPUTS = {"filter": ("rows",), "transition": ("result",), "dataset": ()}
INPUTS |= {"variant": ("row", "settings", "rng")}

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
    """Check that options are typed and keyword-only, and that the given ones fit.

    A kind has settings instead.
    """
    offer = test.offer
    if offer.role == "kind":
        return
    problems = check_options(offer, test.options, offer.name)
    assert not problems, problems[0] if problems else ""
    untyped = [n for n, p in offer.options.items() if p.annotation is inspect.Parameter.empty]
    assert not untyped, f"the option '{untyped[0]}' has no type" if untyped else ""
    inputs = 0 if inspect.isclass(offer.target) else len(INPUTS.get(offer.role, offer.positional))
    unfilled = offer.positional[inputs:]
    hint = "put it after * to make it an option"
    assert not unfilled, f"nothing fills the positional parameter '{unfilled[0]}'; {hint}"


def can_be_called(test: OfferUnderTest) -> None:
    """Check that it takes what r1trl calls it with; samplers and trackers have methods instead."""
    role = test.offer.role
    if role in ("kind", "tracker"):
        return
    target: Any = test.reward.reward if role == "reward" else test.offer.bind(test.options)
    if role == "sampler":
        methods = [
            name for name in of_rows.SAMPLER_METHODS if callable(getattr(target, name, None))
        ]
        assert methods, f"has none of the methods {', '.join(of_rows.SAMPLER_METHODS)}"
        return
    form = "prompts, completions, completion_ids, **columns" if role == "reward" else INPUTS[role]
    form = form if isinstance(form, str) else ", ".join(form)
    assert callable(target), f"cannot be called; a class needs __call__(self, {form})"
    try:
        _call_by_name(test) if role == "reward" else inspect.signature(target).bind(*INPUTS[role])
    except TypeError as error:
        raise AssertionError(f"cannot be called as ({form}): {error}") from error


def _call_by_name(test: OfferUnderTest) -> None:
    """Raise TypeError if a reward does not take every column of the rows by name."""
    bound = test.reward
    if isinstance(bound.reward, Verifier):
        is_async = inspect.iscoroutinefunction(bound.reward.function)
        assert not is_async, "a verifier runs in a process of its own: make it a plain function"
    else:
        names = ["prompts", "completions", "completion_ids", "any_other_column"]
        names += [parameter.name for parameter in bound.columns]
        names += ["rewards"] if bound.needs_other_rewards else []
        inspect.signature(bound.reward).bind(**dict.fromkeys(names), **bound.options)


def is_documented(test: OfferUnderTest) -> None:
    """Check that there is a docstring; remark on an option that it does not name."""
    target = test.offer.target
    text = inspect.getdoc(target.run if test.offer.role == "kind" else target)
    assert text, "has no docstring; `r1trl plugins` shows its first line"
    for name in test.offer.options:
        if name not in text:
            raise Remark(f"the docstring does not name the option '{name}'")


def reads_columns(test: OfferUnderTest) -> str:
    """Return the columns that a reward reads; remark on one that may be meant as an option."""
    for parameter in test.reward.columns:
        if parameter.default is not parameter.empty:
            raise Remark(
                f"'{parameter.name}' is a column, {parameter.default!r} if the rows lack it; if it "
                "is meant as an option, put it after *"
            )
    return ", ".join(parameter.name for parameter in test.reward.columns)


def loads_what_it_needs(test: OfferUnderTest) -> str:
    """Call `load()`, which takes nothing, if a class has it; return how long that takes."""
    reward, start = test.reward, time.perf_counter()
    reward.load()
    has_one = hasattr(reward.reward, "load")
    return f"{time.perf_counter() - start:.1f} s" if has_one else "it has no load()"


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


TESTS_OF_ALL: Sequence[Test] = (takes_options, can_be_called, is_documented)
TESTS: Mapping[str, Sequence[Test]] = {
    "reward": (
        reads_columns,
        loads_what_it_needs,
        gives_one_value_each,
        copes_with_none,
        copes_with_odd_texts,
        is_deterministic,
        ignores_order,
        ignores_company,
        can_be_pickled,
        speed,
    ),
    "filter": (of_rows.filters_rows,),
    "sampler": (of_rows.chooses_prompts, of_rows.judges_groups, of_rows.continues_completions),
    "transition": (of_stages.passes_a_result_on, of_stages.stops_with_a_reason),
    "dataset": (of_rows.makes_rows,),
    "kind": (
        of_stages.is_light_to_import,
        of_stages.describes_stages,
        of_stages.returns_metrics,
    ),
    "tracker": (of_stages.has_the_methods_of_a_tracker,),
    "variant": (of_rows.varies_rows, of_rows.keeps_the_answer),
}
