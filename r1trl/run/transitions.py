"""A stage's transitions: asked while it trains whether it should stop, applied to its result."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from r1trl.errors import StageError, errors_named
from r1trl.plugins.loading import Plugins
from r1trl.stage.checkpoints import CheckpointReader
from r1trl.stage.files import StageSpec
from r1trl.types import Progress, StageResult


@dataclass(frozen=True)
class StageTransitions:
    """The transitions of a stage with their options bound, by their config keys."""

    bound: Mapping[str, Callable[..., Any]]

    @property
    def should_stop(self) -> Mapping[str, Callable[[Progress], str | None]]:
        """Return the `should_stop` of those that have one, by their keys."""
        return {k: t.should_stop for k, t in self.bound.items() if hasattr(t, "should_stop")}

    @property
    def checkpoint_readers(self) -> Mapping[str, CheckpointReader]:
        """Return those that read checkpoints, by their keys."""
        bound: Mapping[str, Any] = self.bound
        return {k: t for k, t in bound.items() if isinstance(t, CheckpointReader)}

    def apply(self, result: StageResult) -> StageResult:
        """Return a result passed through all transitions, in their order."""
        for key, transition in self.bound.items():
            result = self.apply_one(key, transition, result)
        return result

    def apply_one(
        self, key: str, transition: Callable[..., Any], result: StageResult
    ) -> StageResult:
        """Return a result passed through a transition.

        Raises StageError if it fails, or returns what no stage can hand over.
        """
        with errors_named(key):
            passed = transition(result)
        if not isinstance(passed, StageResult):
            raise StageError(f"{key}: returned {passed!r}; a transition returns a StageResult")
        for problem in _problems(passed, result):
            raise StageError(f"{key}: returned a StageResult {problem}")
        return passed


def _problems(passed: StageResult, result: StageResult) -> Iterator[str]:
    """Yield what cannot be handed over of what a transition has made of a result."""
    for name in ("stage", "kind", "folder"):
        if getattr(passed, name) != getattr(result, name):
            yield f"whose {name} is {getattr(passed, name)!r}, not {getattr(result, name)!r}"
    for name in ("model", "dataset"):
        path = getattr(passed, name)
        if getattr(result, name) is not None and not (isinstance(path, Path) and path.exists()):
            yield f"whose {name} is {path!r}; it is the path of one that exists"
    if not isinstance(passed.metrics, Mapping):
        yield f"whose metrics are {passed.metrics!r}; they are numbers by name"
        return
    for name, value in passed.metrics.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (isinstance(name, str) and number and math.isfinite(value)):
            yield f"whose metric {name!r} is {value!r}; a metric is a finite number"
    if not isinstance(passed.stop, str | None):
        yield f"whose stop is {passed.stop!r}; it is the reason to end the run, or None"


def bind_transitions(spec: StageSpec, plugins: Plugins) -> dict[str, Callable[..., Any]]:
    """Return a stage's transitions with their options bound, by their config keys."""
    bound: dict[str, Callable[..., Any]] = {}
    for name, options in spec.settings["transitions"].items():
        if options is not None:
            key = f"stages.{spec.stage}.transitions.{name}"
            with errors_named(key):
                bound[key] = plugins.find("transition", name).bind(options)
    return bound
