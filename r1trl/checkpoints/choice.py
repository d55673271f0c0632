"""From which checkpoint a stage continues: the newest whole one; what is skipped is said."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from r1trl.checkpoints.marks import MARK, Mark, copies, damage, own_checkpoints, read_mark
from r1trl.checkpoints.unread import sweep
from r1trl.errors import StageError
from r1trl.process.terminal import say
from r1trl.storage.jsonl import read_rows
from r1trl.storage.writing import remove

Identity = Mapping[str, Any]


@dataclass(frozen=True)
class Fit:
    """What a checkpoint must be for a stage to continue from it.

    `key` is the stage's; `accepted` are the identities that its results may belong to; `form` is by
    what it must have been saved; `missing` returns which part is not among the names of its files,
    of so many processes, or None.
    """

    key: str
    accepted: Sequence[Identity]
    form: str
    processes: int
    missing: Callable[[Collection[str], int], str | None]

    def check(self, name: str, mark: Mark) -> None:
        """Raise StageError if a checkpoint is another stage's, or of another launch."""
        redo = f"redo={self.key.rpartition('.')[2]} begins the stage again"
        if mark.identity not in self.accepted:
            parts = {p for p in mark.identity if mark.identity[p] != self.accepted[0].get(p)}
            parts |= set(self.accepted[0]) - set(mark.identity)
            raise StageError(
                f"{self.key}: {name} was made with other {', '.join(sorted(parts))}; "
                f"{redo}, keep={self.key.rpartition('.')[2]} continues from it"
            )
        if mark.form != self.form:
            raise StageError(
                f"{self.key}.launch: {name} was saved by {mark.form}, and {self.form} cannot load "
                f"it; launch as before, or {redo}"
            )
        if "DeepSpeed" in self.form and mark.processes != self.processes:
            raise StageError(
                f"{self.key}.launch.processes: {name} has the parts of {mark.processes} processes, "
                f"and DeepSpeed cannot load them with {self.processes}; launch as before, or {redo}"
            )


def choose_checkpoint(folder: Path, fit: Fit) -> tuple[Path, Mark] | None:
    """Return the newest whole checkpoint of a stage and its mark, or None; rank 0 calls it.

    `folder` is the stage's. Newer ones that are damaged or cut short are removed, with a line for
    each. Raises StageError if a newer one does not belong to the stage as it is.
    """
    sweep(folder / "checkpoints")
    own = own_checkpoints(folder / "checkpoints")
    skipped: dict[Path, str] = {}
    chosen = None
    for path in reversed(own.values()):
        mark = read_mark(path)
        if mark is not None:
            fit.check(path.name, mark)
        problem = _problem(path, mark, fit)
        if mark is not None and problem is None:
            chosen = path, mark
            break
        skipped[path] = problem or ""
    for path in copies(folder / "checkpoints"):
        say(f"{path.name} is a copy of another step's, and is left alone")
    for path, problem in skipped.items():
        remove(path)
        say(f"{path.name} {problem}, and is removed")
    if skipped:
        step = chosen[1].step if chosen else 0
        after = f"continues from {chosen[0].name}" if chosen else "begins again"
        say(f"training {after}; {seconds_after(folder, step):.0f} s of it are lost")
    return chosen


def _problem(path: Path, mark: Mark | None, fit: Fit) -> str | None:
    """Return why a checkpoint is not whole, or None."""
    if mark is None:
        return f"is damaged ({MARK} cannot be read)" if (path / MARK).exists() else "was cut short"
    if lacking := fit.missing(mark.files, mark.processes):
        return f"is damaged (it has no {lacking})"
    problem = damage(path, mark.files)
    return f"is damaged ({problem})" if problem else None


def seconds_after(folder: Path, step: int) -> float:
    """Return for how long a stage has trained after a step, by its metrics."""
    rows = read_rows(folder / "metrics.jsonl", numbers=("step", "seconds"))
    before = [row["seconds"] for row in rows if row["step"] <= step]
    return float(rows[-1]["seconds"] - (before[-1] if before else 0.0)) if rows else 0.0
