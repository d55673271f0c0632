"""The file `control` of a stage: what its driver orders, with a counter that says that it lives."""

import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from r1trl.config.stage_parts import LaunchConfig, WatchdogConfig
from r1trl.storage.writing import replace_text
from r1trl.watch.processes import GONE, ProcessName, this_process

FILE = "control"
DRIVER = "R1TRL_DRIVER"  # the variable with the driver's name, in the environment of its workers


@dataclass(frozen=True)
class Bounds:
    """Seconds to leave in, without progress of any rank, and without a sign of life of one."""

    grace: float = LaunchConfig().grace
    timeout: float = LaunchConfig().timeout
    watchdog: float = WatchdogConfig().seconds


@dataclass(frozen=True)
class Control:
    """What a driver orders: `leave` is why to leave, in `seconds`; `stacks`: ranks write theirs.

    `end`: ranks end at once, wherever they are.

    `count` grows with every writing.
    """

    driver: ProcessName
    count: int
    bounds: Bounds = field(default_factory=Bounds)
    leave: str | None = None
    seconds: float | None = None
    stacks: bool = False
    end: bool = False


def write_control(folder: Path, control: Control) -> None:
    """Write the control file of a stage's folder."""
    content = {"order": "leave" if control.leave else "run", **asdict(control)}
    replace_text(folder / FILE, json.dumps(content) + "\n")


def read_control(folder: Path) -> Control | None:
    """Return the control file of a stage's folder; None if there is none that can be read."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        content: dict[str, Any] = json.loads((folder / FILE).read_text(encoding="utf-8"))
        content.pop("order")
        driver, bounds = ProcessName(**content.pop("driver")), Bounds(**content.pop("bounds"))
        return Control(driver=driver, bounds=bounds, **content)
    return None


def time_of(folder: Path) -> int:
    """Return when the control file was last written, in nanoseconds; 0 if there is none."""
    with suppress(OSError):
        return (folder / FILE).stat().st_mtime_ns
    return 0


def renew(folder: Path) -> None:
    """Make a control file that cannot be written for want of room say that the driver lives."""
    with suppress(OSError):
        os.utime(folder / FILE)


def own_name() -> str:
    """Return the name of this driver, which its workers find in the variable DRIVER."""
    return this_process().text


def own_driver() -> ProcessName | None:
    """Return the driver of this worker; None if it was started by hand."""
    text = os.environ.get(DRIVER)
    return ProcessName.read(text) if text else None


def bounds_of(folder: Path) -> Bounds:
    """Return the bounds that the driver of this worker gave its stage, or those of the schema."""
    control = read_control(folder)
    return control.bounds if control and control.driver == own_driver() else Bounds()


class OwnDriver:
    """The driver that has started this process, as its control file in a stage's folder shows it.

    `name` is None if the process was started by hand.
    """

    def __init__(self, folder: Path, watchdog: float) -> None:
        self.folder, self.watchdog, self.name = folder, watchdog, own_driver()
        self._heard, self._written = time.monotonic(), 0

    def problem(self) -> str | None:
        """Return what has become of the driver if it is gone, or None."""
        if self.name is None:
            return None
        control, written = read_control(self.folder), time_of(self.folder)
        if control is not None and control.driver != self.name:
            return "another r1trl has taken the place of its driver"
        if written != self._written:
            self._written, self._heard = written, time.monotonic()
        if self.name.state == GONE:
            return "the end of its driver"
        silent = time.monotonic() - self._heard
        if self._written and silent > self.watchdog:
            return f"{silent:.0f} s of silence of its driver"
        return None
