"""What has become of a run so far: its stages in their order, and the state of each.

The driver leaves run.json when it begins: the stages of the recipe, and the machine.
"""

import datetime
import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

import psutil

from r1trl.config.schema import ReportConfig
from r1trl.errors import suggest
from r1trl.process.terminal import say
from r1trl.stage.devices import driver_gpus
from r1trl.stage.files import StageSpec, read_result, read_spec
from r1trl.stage.inputs import PREFIX
from r1trl.storage.writing import write_text
from r1trl.types import StageResult
from r1trl.watch.beats import Beat, at_work, errors, read_beats
from r1trl.watch.control import read_control

FILE = "run.json"
GIB = 1 << 30
FINISHED, RUNNING, FAILED, STOPPED, WAITING = "finished", "running", "failed", "stopped", "waiting"
WORST = (FAILED, RUNNING, STOPPED, WAITING)  # the states but the best one
tell = cache(say)  # a report is written every minute, and says once what is the matter


@dataclass(frozen=True)
class RecordedStage:
    """A stage of the recipe; `reads` has the stages that it reads from, by the key that says so.

    `drawn` and `trained` are about how many tokens it draws and trains on; 0: not known, or none.
    """

    name: str
    kind: str
    reads: Mapping[str, str] = field(default_factory=dict)
    drawn: float = 0.0
    trained: float = 0.0


@dataclass(frozen=True)
class Record:
    """A run, by its driver; `begun` is its first command's time, `machine` the last one's."""

    begun: str = ""
    machine: str = ""
    completions: int = ReportConfig().completions
    stages: Sequence[RecordedStage] = ()


def run_problem(folder: Path) -> str | None:
    """Return why a folder is not that of a run, in a sentence; None if it is one."""
    if is_run(folder):
        return None
    reason = "it has no stages/"
    if not folder.is_dir():
        beside = folder.parent.iterdir() if folder.parent.is_dir() else ()
        near = suggest(folder.name, [each.name for each in beside if is_run(each)])
        reason = f"it is not there{near}"
    return f"{folder} is not the folder of a run: {reason}"


def is_run(folder: Path) -> bool:
    """Return True if a folder is that of a run, which may just have begun."""
    return (folder / "stages").is_dir() or (folder / FILE).is_file()


def write_record(folder: Path, stages: Sequence[RecordedStage], completions: int) -> None:
    """Write run.json of a run that is about to begin, or to go on."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    begun = read_record(folder).begun or now
    record = Record(begun, machine(), completions, stages)
    write_text(folder / FILE, json.dumps(asdict(record), indent=1) + "\n")


def read_record(folder: Path) -> Record:
    """Return run.json; of a run that has none, or a damaged one, a record of nothing."""
    path = folder / FILE
    if not path.exists():
        return Record()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        stages = [RecordedStage(**stage) for stage in content.pop("stages")]
        return Record(**content, stages=stages)
    except (ValueError, LookupError, TypeError, AttributeError):
        tell(f"{path} is damaged, and is left out of the report")
        return Record()


def machine() -> str:
    """Return this machine's cores, memory and GPUs in a few words."""
    words = [f"{os.cpu_count()} cores ({platform.machine()})"]
    words.append(f"{psutil.virtual_memory().total / GIB:.0f} GiB")
    gpus = driver_gpus()
    if gpus.number:
        words.append(f"{gpus.number} GPU{'s' * (gpus.number > 1)} of {gpus.memory / GIB:.0f} GiB")
    return ", ".join(words)


@dataclass(frozen=True)
class StageState:
    """A stage of a run; `reason` says why it failed, or why the run ends after it, else ""."""

    name: str
    kind: str
    folder: Path
    state: str
    reason: str = ""
    reads: Mapping[str, str] = field(default_factory=dict)
    spec: StageSpec | None = None
    result: StageResult | None = None

    @property
    def versions(self) -> Mapping[str, str]:
        """Return the versions that have made its result; none if it is not finished."""
        return self.result.versions if self.result else {}

    @property
    def right(self) -> str | None:
        """Return the name of the reward of a right answer, by its settings; None if none is."""
        settings = self.spec.settings if self.spec else {}
        held_out = (settings.get("evaluate") or {}).get("metrics") or {}
        name = (settings.get("metrics") or held_out).get("correct") or held_out.get("correct")
        return name if isinstance(name, str) else None


def read_stages(folder: Path, record: Record) -> list[StageState]:
    """Return the stages of a run in the order of the recipe; without a record, of their files.

    Raises ConfigError if a stage's files are of another format or cannot be read.
    """
    found = sorted(folder.glob("stages/*/stage.yaml"), key=lambda path: path.stat().st_mtime)
    names = [stage.name for stage in record.stages]
    further = [path.parent.name for path in found if path.parent.name not in names]
    stages = [*record.stages, *(RecordedStage(name, "") for name in further)]
    return [_state(folder / "stages" / stage.name, stage) for stage in stages]


def worst(states: Sequence[str]) -> str:
    """Return the state of all of some stages or runs in one word."""
    if not states:
        return WAITING
    return next((state for state in WORST if state in states), FINISHED)


def _state(folder: Path, stage: RecordedStage) -> StageState:
    spec, result = read_spec(folder), read_result(folder)
    state, reason = _what(folder, spec, result)
    reads, kind = stage.reads or (_reads(spec) if spec else {}), spec.kind if spec else stage.kind
    return StageState(stage.name, kind, folder, state, reason, reads, spec, result)


def _what(folder: Path, spec: StageSpec | None, result: StageResult | None) -> tuple[str, str]:
    """Return the state of a stage, and the reason for it."""
    if result:
        return FINISHED, result.stop or ""
    if not spec:
        return WAITING, ""
    beats, told = read_beats(folder), errors(folder)
    if told:
        return FAILED, told[0][1].partition("\n")[0]
    if at_work(beats):
        return RUNNING, ""
    control = read_control(folder)
    if control and control.leave:
        return STOPPED, f"left early ({control.leave}); the same command continues"
    if not beats and control and control.driver.state != "gone":
        return RUNNING, ""
    return _ended(beats)


def _ended(beats: list[Beat]) -> tuple[str, str]:
    """Return the state of a stage without a result, at which nobody works any more."""
    dead = next((beat for beat in beats if beat.ended is None), None)
    if dead:
        return FAILED, f"{dead} has died, or was killed, without a word"
    failed = next((beat for beat in beats if beat.ended not in (0, 3)), None)
    if failed:
        return FAILED, f"{failed} ended with exit status {failed.ended}"
    return STOPPED, "nobody works at it; the same command continues"


def _reads(spec: StageSpec) -> dict[str, str]:
    """Return the stages that a started stage reads from, by the reference to each."""
    names = {path: reference for reference, path in spec.inputs.items()}
    start = names.pop(str(spec.settings.get("model")), "")
    found = {"model": start, **{reference: reference for reference in names.values()}}
    return {
        key: reference.removeprefix(PREFIX).partition("/")[0]
        for key, reference in found.items()
        if reference.startswith(PREFIX)
    }
