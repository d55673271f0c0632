"""Starting workers: one through a warm process, or several through accelerate.

Importing torch and TRL takes many seconds and a run has a dozen stages, so local workers are forks
of one process that has imported them (r1trl.run.warm). A fork runs the same code as
`python -m r1trl.run.worker FOLDER`, and a crash ends that fork alone.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import yaml

from r1trl.stage.ranks import EXPECTED
from r1trl.storage.writing import rename, write_text

RUN_STAGE = "r1trl.run.worker:run_stage"


class Workers:
    """The processes that a run starts; `signal_number` is the signal to leave, or None.

    `environment` is added to that of the warm process. As a context manager it installs signal
    handlers, and ends the warm process.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self.environment = dict(environment or {})
        self._warm: subprocess.Popen[str] | None = None
        self._current: subprocess.Popen[Any] | None = None
        self.signal_number: int | None = None

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            signal.signal(number, self._pass_on)
        return self

    def __exit__(self, *_: object) -> None:
        if self._warm and self._warm.stdin:
            self._warm.stdin.close()
            self._warm.wait()

    def warm_up(self) -> None:
        """Start importing in the background; a local stage then starts at once."""
        if self._warm is None or self._warm.poll() is not None:
            self._warm = subprocess.Popen(
                [sys.executable, "-m", "r1trl.run.warm"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )

    def run(self, folder: Path, launch: Mapping[str, Any]) -> int:
        """Run the worker of a stage folder to its end; return its exit status."""
        if launch["how"] == "accelerate":
            return self._accelerate(folder, launch)
        return self.call(RUN_STAGE, folder, launch["environment"])

    def call(self, function: str, folder: Path, environment: Mapping[str, str]) -> int:
        """Call a function, "module:name", with a folder in a fork; return its exit status."""
        self.warm_up()
        assert self._warm
        assert self._warm.stdin
        assert self._warm.stdout
        self._current = self._warm
        line = [function, str(folder), dict(environment)]
        self._warm.stdin.write(yaml.safe_dump(line, default_flow_style=True, width=10**6))
        self._warm.stdin.flush()
        reply = self._warm.stdout.readline()
        if not reply:
            self._warm = None
            return 1
        return int(reply)

    def _accelerate(self, folder: Path, launch: Mapping[str, Any]) -> int:
        config = folder / "accelerate.yaml"
        write_text(config, yaml.safe_dump(accelerate_config(launch)))
        command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(config)]
        with (folder / "log.txt").open("ab") as log:
            self._current = subprocess.Popen(
                [*command, "--module", "r1trl.run.worker", str(folder)],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, EXPECTED: str(launch["processes"]), **launch["environment"]},
                start_new_session=True,
            )
            return self._current.wait()

    def _pass_on(self, number: int, _: Any) -> None:
        """Signal the worker to save and leave; a second Ctrl-C ends everything at once."""
        if self.signal_number is not None:
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            return
        self.signal_number = number
        if self._current and self._current.poll() is None:
            self._current.send_signal(signal.SIGTERM)


def accelerate_config(launch: Mapping[str, Any]) -> dict[str, Any]:
    """Return accelerate's configuration file for a launch."""
    return {
        "compute_environment": "LOCAL_MACHINE",
        "distributed_type": "MULTI_GPU" if launch["processes"] > 1 else "NO",
        "num_machines": 1,
        "num_processes": launch["processes"],
        "machine_rank": 0,
        "main_process_port": 0,
        "mixed_precision": "no",
        **launch["config"],
    }


def rotate_log(folder: Path) -> None:
    """Keep the log of an earlier attempt as log.1.txt, log.2.txt and so on."""
    log = folder / "log.txt"
    if log.exists():
        number = 1
        while (folder / f"log.{number}.txt").exists():
            number += 1
        rename(log, folder / f"log.{number}.txt")


def last_lines(folder: Path, count: int = 25) -> str:
    """Return the last lines of a stage's log."""
    log = folder / "log.txt"
    if not log.exists():
        return ""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-count:])
