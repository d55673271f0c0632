"""The heartbeats of a stage's ranks, files in its folder ranks/, and what ranks leave: errors."""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from r1trl.storage.writing import replace_text, write_text
from r1trl.watch.processes import ProcessName

RANKS = "ranks"
PERIOD = 5.0  # seconds between two beats


@dataclass(frozen=True)
class Beat:
    """What a rank writes: `number` grows with every beat, `done` with what it gets done.

    The number is the file's time, in nanoseconds, which a full disk does not keep from changing.
    `progress` is the time of the last of that, in seconds since 1970. `saves`, `to_save`, `step`,
    `counts`, `spent` and `notice` are as in `Pulse`. `ended` is its exit status, None while it is
    at work.
    """

    rank: int
    process: ProcessName
    done: int
    progress: float
    number: int = 0
    step: int | None = None
    saves: bool = False
    to_save: float | None = None
    ended: int | None = None
    counts: Mapping[str, tuple[int, int | None]] = field(default_factory=dict)
    spent: Mapping[str, float] = field(default_factory=dict)
    notice: str | None = None

    def __str__(self) -> str:
        return f"rank {self.rank} ({self.process})"


def write_beat(folder: Path, beat: Beat) -> None:
    """Write a rank's beat to a stage's folder; on a full disk the last one stays, renewed."""
    path, content = folder / RANKS / f"{beat.rank}.json", asdict(beat)
    content.pop("number")
    try:
        replace_text(path, json.dumps(content) + "\n")
    except OSError:
        os.utime(path)


def read_beats(folder: Path) -> list[Beat]:
    """Return the last beat of every rank of a stage, in the order of ranks."""
    beats = filter(None, map(_read, (folder / RANKS).glob("*.json")))
    return sorted(beats, key=lambda beat: beat.rank)


def first_beat(folder: Path) -> Beat | None:
    """Return the last beat of rank 0, which beats most often; None if there is none."""
    return _read(folder / RANKS / "0.json")


def _read(path: Path) -> Beat | None:
    with suppress(OSError, ValueError, TypeError, KeyError):  # removed, or not a beat
        number = path.stat().st_mtime_ns
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        process = ProcessName(**content.pop("process"))
        return Beat(process=process, number=number, **content)
    return None


def write_error(folder: Path, rank: int, text: str) -> None:
    """Write why a rank failed, its sentence in the first line; an earlier error stays.

    The log has it too, which is all that is left of it on a disk without room.
    """
    path = folder / RANKS / f"{rank}.error"
    with suppress(OSError):
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, text.rstrip() + "\n")


def errors(folder: Path) -> list[tuple[int, str]]:
    """Return the errors of a stage's ranks, with the rank's number; the first one first."""
    paths = sorted((folder / RANKS).glob("*.error"), key=lambda path: path.stat().st_mtime_ns)
    texts = [path.read_text(encoding="utf-8", errors="replace").rstrip() for path in paths]
    return [(int(path.stem), text) for path, text in zip(paths, texts, strict=True)]


def stacks(folder: Path) -> list[Path]:
    """Return the files of stacks that a stage's ranks have written."""
    return sorted((folder / RANKS).glob("*.stack"))


def clear(folder: Path, rank: str = "*") -> None:
    """Remove what ranks of an earlier attempt, or one of them, have left in a stage's folder."""
    (folder / RANKS).mkdir(parents=True, exist_ok=True)
    for kind in ("json", "error", "stack"):
        for path in (folder / RANKS).glob(f"{rank}.{kind}"):
            path.unlink(missing_ok=True)


def at_work(beats: Sequence[Beat]) -> list[Beat]:
    """Return the beats of ranks that have not ended, as far as can be known from here."""
    return [beat for beat in beats if beat.ended is None and beat.process.state != "gone"]


def how_to_leave(beats: list[Beat], grace: float) -> str:
    """Return how ranks will leave, by what they said last of the way to the next checkpoint."""
    need = max((beat.to_save for beat in beats if beat.to_save is not None), default=None)
    if all(beat.step is None for beat in beats):
        return "finishing this stage"
    if need is None:
        return "finishing this rollout"  # the first one, of which no time is known yet
    if need > grace:
        rest = f"the rest of this rollout takes about {need:.0f} s"
        return f"{rest}, longer than launch.grace={grace:g}: the last checkpoint counts"
    return f"finishing this rollout, about {need:.0f} s" if need else "saving after this step"
