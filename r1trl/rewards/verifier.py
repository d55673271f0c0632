"""The easy way to write a reward: a function that scores one completion.

    @r1trl.verifier
    def accuracy(completion: str, solution: str, *, answer: str = "boxed") -> float | None: ...

Its first parameters are named after what it wants to see: `completion`, `prompt`,
`completion_ids` or any column of the rows; its keyword-only parameters are options. It runs in a
scoring process that is killed at the deadline, so it may be slow, crash or hang without harm.
"""

import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from r1trl.rewards.pool import Failure, Job, Pool, Verdict, shared_pool

Value = float | None
UNDECIDED: Any = object()


@dataclass(frozen=True)
class Reference:
    """Where a scoring process finds a function: by module name, or by file for a plugin file."""

    module: str
    file: str
    name: str


class Verifier:
    """A reward in TRL's form made of a function of one sample."""

    def __init__(
        self,
        function: Callable[..., Value],
        quick: Callable[..., Any] | None,
        prepare: Callable[[], Any] | None,
        extract: Callable[..., str | None] | None,
        ready: Callable[..., str | None] | None,
        full: float | None,
    ) -> None:
        self.function, self.quick, self.full = function, quick, full
        self.prepare, self.extract, self.ready = prepare, extract, ready
        self.__name__, self.__doc__ = function.__name__, function.__doc__
        self.__module__, self.__qualname__ = function.__module__, function.__qualname__
        self.__signature__ = inspect.signature(function)
        self.columns = [
            name
            for name, parameter in self.__signature__.parameters.items()
            if parameter.kind is not inspect.Parameter.KEYWORD_ONLY
        ]
        self.optional = {
            name: parameter.default
            for name, parameter in self.__signature__.parameters.items()
            if name in self.columns and parameter.default is not inspect.Parameter.empty
        }

    def __reduce__(self) -> str:
        return str(self.__qualname__)  # by name, as functions are pickled

    def __call__(
        self,
        prompts: list[str],
        completions: list[str],
        completion_ids: list[list[int]],
        **rest: Any,
    ) -> list[Value]:
        """Score as any reward does; what timed out or failed is None."""
        options = {
            k: rest.pop(k) for k in list(rest) if k not in self.columns and k in self.options
        }
        rows = {
            "prompt": prompts,
            "completion": completions,
            "completion_ids": completion_ids,
            **rest,
        }
        outcomes = self.outcomes(rows, options, shared_pool())
        return [None if isinstance(outcome, Failure) else outcome for outcome in outcomes]

    @property
    def options(self) -> list[str]:
        """Return the names of the options."""
        return [name for name in self.__signature__.parameters if name not in self.columns]

    def outcomes(
        self, rows: Mapping[str, Sequence[Any]], options: Mapping[str, Any], pool: Pool
    ) -> list[Value | Failure]:
        """Score rows given as columns; see `verdicts`."""
        return [verdict.value for verdict in self.verdicts(rows, options, pool)]

    def verdicts(
        self, rows: Mapping[str, Sequence[Any]], options: Mapping[str, Any], pool: Pool
    ) -> list[Verdict]:
        """Score rows given as columns, and say how long each took; identical ones are scored once.

        Raises KeyError where a column that the function has no default for is missing.
        """
        samples = self._samples(rows)
        keys = [repr(sample) for sample in samples]
        unique = dict(zip(keys, samples, strict=True))
        verdicts = dict(zip(unique, self._score(list(unique.values()), options, pool), strict=True))
        return [verdicts[key] for key in keys]

    def begin(
        self, rows: Mapping[str, Sequence[Any]], options: Mapping[str, Any], pool: Pool
    ) -> None:
        """Begin to score rows that are soon asked about, those that are not judged at once."""
        unique = {repr(sample): sample for sample in self._samples(rows)}.values()
        slow = [sample for sample in unique if self._at_once(sample, options).value is UNDECIDED]
        pool.begin([Job(self.reference, sample, dict(options)) for sample in slow])

    def _samples(self, rows: Mapping[str, Sequence[Any]]) -> list[tuple[Any, ...]]:
        """Return the arguments of every row; a column that is not there has its default."""
        count = len(rows["completion"])
        columns = {
            name: rows[name]
            if name in rows or name not in self.optional
            else [self.optional[name]] * count
            for name in self.columns
        }
        return [tuple(columns[name][i] for name in self.columns) for i in range(count)]

    def _score(
        self, samples: list[tuple[Any, ...]], options: Mapping[str, Any], pool: Pool
    ) -> list[Verdict]:
        known = [self._at_once(sample, options) for sample in samples]
        slow = [s for s, verdict in zip(samples, known, strict=True) if verdict.value is UNDECIDED]
        jobs = [Job(self.reference, sample, dict(options)) for sample in slow]
        scored = iter(pool.score(jobs)) if jobs else iter(())
        return [next(scored) if verdict.value is UNDECIDED else verdict for verdict in known]

    def _at_once(self, sample: tuple[Any, ...], options: Mapping[str, Any]) -> Verdict:
        start = time.perf_counter()
        value = self.quick(*sample, **options) if self.quick else UNDECIDED
        return Verdict(value, time.perf_counter() - start)

    @property
    def reference(self) -> Reference:
        """Tell where a scoring process finds this verifier."""
        file = str(Path(inspect.getfile(self.function)).resolve())
        return Reference(self.function.__module__, file, self.function.__qualname__)


def verifier(
    function: Callable[..., Value] | None = None,
    *,
    quick: Callable[..., Any] | None = None,
    prepare: Callable[[], Any] | None = None,
    extract: Callable[..., str | None] | None = None,
    ready: Callable[..., str | None] | None = None,
    full: float | None = 1.0,
) -> Any:
    """Make a reward of a function that scores one sample.

    `quick`, where given, takes the same arguments, runs in the training process and answers the
    plain cases; it returns `r1trl.UNDECIDED` for all others. `prepare`, where given, runs
    once in each scoring process before its first sample and outside the deadline: the place for
    slow imports. `extract(completion, **options)`, where given, returns the answer that is scored,
    as text, for majority votes. `ready(**options)`, where given, is asked when the plan is made and
    says what the verifier lacks on this machine, or None. `full` is the value of a right answer,
    which `r1trl plan --preflight` expects of the gold one; None where there is no such value.
    """
    if function is None:
        return lambda decorated: Verifier(decorated, quick, prepare, extract, ready, full)
    return Verifier(function, quick, prepare, extract, ready, full)
