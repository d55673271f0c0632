"""The easy way to write a reward: a function that scores one completion.

    @r1trl.verifier
    def accuracy(completion: str, solution: str, *, answer: str = "boxed") -> float | None: ...

Its positional parameters are its inputs: `completion`, `prompt`, `completion_ids` or any column of
the rows; its keyword-only parameters are options. It runs in a scoring process that is killed at
the deadline, so it may be slow, crash or hang without harm.
"""

import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from r1trl.description import Description
from r1trl.rewards.pool import Failure, Job, JobResult, Pool, shared_pool

Value = float | None
UNDECIDED: Any = object()
OF_COMPLETIONS = ("completion", "prompt", "completion_ids")  # parameters that are no row's column


@dataclass(frozen=True)
class ImportPath:
    """The way to import a function in another process: by module, or by file if that fails."""

    module: str
    file: str
    name: str


class Verifier:
    """A reward with TRL's signature, made of a function of one sample."""

    def __init__(
        self,
        function: Callable[..., Value],
        fast_path: Callable[..., Any] | None,
        setup: Callable[[], Any] | None,
        description: Description,
    ) -> None:
        self.function, self.fast_path, self.setup = function, fast_path, setup
        self.__name__, self.__doc__ = function.__name__, function.__doc__
        self.__module__, self.__qualname__ = function.__module__, function.__qualname__
        self.__signature__ = inspect.signature(function)
        self.columns = [
            name
            for name, parameter in self.__signature__.parameters.items()
            if parameter.kind is not inspect.Parameter.KEYWORD_ONLY
        ]
        compares = not set(self.columns) <= set(OF_COMPLETIONS)
        if description.full_score is UNDECIDED:
            description = replace(description, full_score=1.0 if compares else None)
        self.__r1trl__ = description
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
        """Score as any reward does, in the shared pool; a timeout or an error is None."""
        options = {
            k: rest.pop(k) for k in list(rest) if k not in self.columns and k in self.options
        }
        rows = {
            "prompt": prompts,
            "completion": completions,
            "completion_ids": completion_ids,
            **rest,
        }
        values = self.score(rows, options, shared_pool())
        return [None if isinstance(value, Failure) else value for value in values]

    @property
    def options(self) -> list[str]:
        """Return the names of the options."""
        return [name for name in self.__signature__.parameters if name not in self.columns]

    def score(
        self, rows: Mapping[str, Sequence[Any]], options: Mapping[str, Any], pool: Pool
    ) -> list[Value | Failure]:
        """Score rows given as columns of equal length; see `results`."""
        return [result.value for result in self.results(rows, options, pool)]

    def results(
        self, rows: Mapping[str, Sequence[Any]], options: Mapping[str, Any], pool: Pool
    ) -> list[JobResult]:
        """Score rows given as columns and time each one; identical rows are scored once.

        Raises KeyError if a column is missing for which the function has no default.
        """
        samples = self._samples(rows)
        keys = [repr(sample) for sample in samples]
        unique = dict(zip(keys, samples, strict=True))
        results = dict(zip(unique, self._score(list(unique.values()), options, pool), strict=True))
        return [results[key] for key in keys]

    def submit(
        self, rows: Mapping[str, Sequence[Any]], options: Mapping[str, Any], pool: Pool
    ) -> None:
        """Start scoring the rows that the fast path leaves undecided, ahead of `results`."""
        unique = {repr(sample): sample for sample in self._samples(rows)}.values()
        slow = [s for s in unique if self._try_fast_path(s, options).value is UNDECIDED]
        pool.submit([Job(self.import_path, sample, dict(options)) for sample in slow])

    def _samples(self, rows: Mapping[str, Sequence[Any]]) -> list[tuple[Any, ...]]:
        """Return the arguments of every row; a missing column has its default."""
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
    ) -> list[JobResult]:
        fast = [self._try_fast_path(sample, options) for sample in samples]
        slow = [s for s, result in zip(samples, fast, strict=True) if result.value is UNDECIDED]
        jobs = [Job(self.import_path, sample, dict(options)) for sample in slow]
        scored = iter(pool.score(jobs)) if jobs else iter(())
        return [next(scored) if result.value is UNDECIDED else result for result in fast]

    def _try_fast_path(self, sample: tuple[Any, ...], options: Mapping[str, Any]) -> JobResult:
        start = time.perf_counter()
        value = self.fast_path(*sample, **options) if self.fast_path else UNDECIDED
        return JobResult(value, time.perf_counter() - start)

    @property
    def import_path(self) -> ImportPath:
        """Return the way for a scoring process to import this verifier."""
        file = str(Path(inspect.getfile(self.function)).resolve())
        return ImportPath(self.function.__module__, file, self.function.__qualname__)


def verifier(
    function: Callable[..., Value] | None = None,
    *,
    fast_path: Callable[..., Any] | None = None,
    setup: Callable[[], Any] | None = None,
    extract_answer: Callable[..., str | None] | None = None,
    missing_requirements: Callable[..., str | None] | None = None,
    full_score: float | None = UNDECIDED,
    aliases: Mapping[str, str] | None = None,
    asks_outside: Callable[..., str | None] | None = None,
) -> Any:
    """Make a reward of a function that scores one sample; usable with and without arguments.

    `fast_path` takes the same arguments, runs in the training process and scores the plain cases;
    it returns `r1trl.UNDECIDED` for all others. `setup` runs once in each scoring process, before
    its first sample and outside the deadline: the place for slow imports. The others are as in
    `r1trl.describe`; `full_score` is 1 by default if the function reads a column of the rows, such
    as the solution, and else None: there is no value that a right answer must have.
    """
    description = Description(
        full_score=full_score,
        missing_requirements=missing_requirements,
        extract_answer=extract_answer,
        aliases=aliases or {},
        asks_outside=asks_outside,
    )
    if function is None:
        return lambda decorated: Verifier(decorated, fast_path, setup, description)
    return Verifier(function, fast_path, setup, description)
