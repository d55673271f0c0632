"""The grid of one kind: each field of its config is tried, with TRL alone and with r1trl."""

import gc
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bare import Bare, Weights, drawn_by_inverse_cdf
from one_step import OneStep, kind_of
from trials import BASE, BASE_OF, ELSEWHERE, Trial, trial_of

from r1trl.arguments.check import FIELDS, args_of
from r1trl.arguments.source import fields
from r1trl.fields import Field
from r1trl.training.arguments import trl_arguments

TOLERANCE = 1e-4  # of the largest change of a weight
NOTICEABLE = 1e-3


def table_of(kind: str) -> Mapping[str, Field]:
    """Return what r1trl says of the fields of a kind's config."""
    table = {**FIELDS, **kind_of(kind).fields}
    return {name: table[name] for name in fields(str(kind_of(kind).trl_config)) if name in table}


def verdict_of(field_: Field) -> str:
    """Return a field's verdict; one that may have no value but TRL's default counts as refused."""
    alone = len(field_.choices) == 1 and not field_.also
    return "refused" if alone else field_.verdict


@dataclass
class Grid:
    """A kind, the folders of models by their names, and a folder to train in."""

    kind: str
    models: Mapping[str, Path]
    folder: Path
    count: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.stages = {
            name: OneStep(self.kind, model, self.folder / name)
            for name, model in self.models.items()
        }
        self.bare = {name: Bare(stage) for name, stage in self.stages.items()}
        for stage in self.stages.values():
            stage.folder.mkdir()

    def wrong(self) -> dict[str, str]:
        """Try every field; return what is wrong, by field."""
        began, found = time.monotonic(), {}
        with without_old_garbage():
            for name, field_ in table_of(self.kind).items():
                verdict = verdict_of(field_)
                self.count[verdict] += 1
                try:
                    problem = getattr(self, f"_{verdict}")(name, field_)
                except Exception as error:  # noqa: BLE001 - the others are tried too
                    problem = f"{type(error).__name__}: {error}"
                if problem:
                    found[name] = problem
        self.seconds = time.monotonic() - began
        return found

    def _refused(self, name: str, field_: Field) -> str | None:
        """Return what is wrong with a field that the plan must refuse."""
        value = "refused" if field_.choices else None
        lines = self.stages["plain"].problems({name: value})
        named = any(line.startswith(f"stages.x.args.{name}: ") for line in lines)
        return None if named else f"is not refused: {lines}"

    def _changed(self, name: str, field_: Field) -> str | None:
        """Return what is wrong with a field that does something else on purpose."""
        return None if field_.reason else "has no reason"

    def _equal(self, name: str, field_: Field) -> str | None:
        """Return what is wrong with a field that must do what it does in TRL."""
        trial = trial_of(self.kind, name)
        return self._elsewhere(name) if trial is None else self._trained(name, trial)

    def _elsewhere(self, name: str) -> str | None:
        """Return what is wrong with a field whose value must reach TRL's config as it is."""
        self.count["reaches"] += 1
        value, stage = ELSEWHERE[name], self.stages["plain"]
        args = args_of(stage.config, {name: value}, kind_of(self.kind).fields)
        reached = trl_arguments(replace(stage.stage({}), args=args), self.folder, 1, {})[name]
        return None if reached == value else f"{value!r} has become {reached!r}"

    def _trained(self, name: str, trial: Trial) -> str | None:
        """Return what is wrong with the weights that a trial leads to."""
        from safetensors.torch import load

        base = {**BASE, **BASE_OF.get(self.kind, {}), **trial.beside}
        base, args = (self._filled(args) for args in (base, {**base, name: trial.value}))
        stage, bare = self.stages[trial.model], self.bare[trial.model]
        problems = [line for line in stage.problems(args) if f".args.{name}:" in line]
        if problems:
            return f"is refused: {problems}"
        with drawn_by_inverse_cdf():
            wanted, without = bare.weights(args), bare.weights(base)
            stage.train(args)
        start = start_of(stage.model)
        moved, usual = distance(wanted, start), distance(without, start)
        limit = TOLERANCE * max(moved, usual / 10)
        error, effect = distance(load(stage.weights()), wanted), distance(wanted, without)
        if not error <= limit:
            return f"is {error / limit:.3g} times too far from TRL, which moved {moved:.3g}"
        if (effect > NOTICEABLE / TOLERANCE * limit) == (self.kind in trial.silent):
            return f"changes TRL's own weights by {effect:.3g}, and they move by {moved:.3g}"
        return None

    def _filled(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """Return arguments with a file for the value TEMPLATE."""
        file = self.folder / "template.jinja"
        file.write_text("{{ messages }}")
        return {n: str(file) if value == "TEMPLATE" else value for n, value in args.items()}


def distance(ours: Weights, theirs: Weights) -> float:
    """Return the largest difference between two sets of weights."""
    names = ours.keys() & theirs.keys()  # a tied head is saved once
    return max(float((ours[name] - theirs[name]).abs().max()) for name in names)


def start_of(model: Path) -> Weights:
    """Return the weights of a model."""
    from safetensors.torch import load_file

    return dict(load_file(model / "model.safetensors"))


@contextmanager
def without_old_garbage() -> Iterator[None]:
    """Spare the collections at the end of each training what has been imported before."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
