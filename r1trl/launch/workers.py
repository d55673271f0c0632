"""Starting workers: one through a warm process, or several in a step of an engine.

Importing torch and TRL takes many seconds and a run has a dozen stages, so local workers are forks
of one process that has imported them (r1trl.run.warm). A fork runs the same code as
`python -m r1trl.run.worker FOLDER`, and a crash ends that fork alone.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import yaml

from r1trl.config.stage_parts import ServeConfig
from r1trl.launch.servers import Servers
from r1trl.launch.step import Steps
from r1trl.process.environment import plain
from r1trl.process.terminal import say
from r1trl.stage.ranks import EXPECTED
from r1trl.watch.beats import read_beats
from r1trl.watch.control import DRIVER, Bounds, own_name
from r1trl.watch.leaving import Leaving, Watch
from r1trl.watch.processes import end_trees
from r1trl.watch.stage import StageWatch

RUN_STAGE = "r1trl.run.worker:run_stage"
LEFT_EARLY = 3
LINES = 25  # that the warm process said last


class Workers:
    """The processes that a run starts, with what makes it leave.

    `environment` is added to that of the warm process, `watchdog` is in seconds. `watch` has
    watched the last stage. As a context manager it ends the warm process.
    """

    def __init__(
        self,
        environment: Mapping[str, str] | None = None,
        leaving: Leaving | None = None,
        watchdog: float = Bounds().watchdog,
    ) -> None:
        self.environment = {**(environment or {}), DRIVER: own_name(), EXPECTED: "1"}
        self.leaving, self.watchdog = leaving or Leaving(), watchdog
        self.watch: StageWatch | None = None
        self._warm: subprocess.Popen[str] | None = None
        # What the warm process says, beside the logs of its forks.
        self._said = tempfile.TemporaryFile("a+b")  # noqa: SIM115 - it is there as long as this is
        self._steps = Steps(self.environment)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is not None:
            self.end()
        if self._warm and self._warm.stdin:
            self._warm.stdin.close()
            self._warm.wait()
        self._said.close()

    def end(self) -> None:
        """Kill all processes that this has started, and all that those have."""
        self._steps.end()
        if self._warm:
            end_trees([self._warm.pid])

    def warm_up(self) -> None:
        """Start importing in the background; a local stage then starts at once."""
        if self._warm is None or self._warm.poll() is not None:
            self._warm = subprocess.Popen(
                [sys.executable, "-m", "r1trl.run.warm"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                text=True,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )

    def run(
        self,
        folder: Path,
        launch: Mapping[str, Any],
        serve: Mapping[str, ServeConfig] | None = None,
    ) -> int:
        """Run the workers of a stage folder to their end, with its servers; return the exit status.

        Raises ConfigError if workers of another r1trl are at work in its run.
        """
        given = {name: launch[name] for name in ("grace", "timeout") if name in launch}
        bounds = Bounds(**given, watchdog=self.watchdog)
        servers = Servers(folder, serve or {}, launch, self.environment)
        watch = StageWatch(folder, bounds, self.leaving, self.end, servers.failed)
        with watch as self.watch, servers:
            launch = servers.for_ranks()
            if launch["how"] == "local":
                return self._fork(RUN_STAGE, folder, launch["environment"])
            status = self._steps.run(folder, launch, bounds.grace)
            self.watch.last_look()
            if status:  # a node that is cut off has ranks yet
                self.watch.end_ranks()
            self._end_left(folder)
        ends = [beat.ended for beat in read_beats(folder)]
        return LEFT_EARLY if status and ends and set(ends) == {LEFT_EARLY} else status

    def call(self, function: str, folder: Path, environment: Mapping[str, str]) -> int:
        """Call a function, "module:name", with a folder in a fork; return its exit status.

        The order to leave ends it: it has nothing to save.
        """
        with Watch(self.leaving, self.end):
            return self._fork(function, folder, environment)

    def _fork(self, function: str, folder: Path, environment: Mapping[str, str]) -> int:
        self.warm_up()
        assert self._warm
        assert self._warm.stdin
        assert self._warm.stdout
        line = [function, str(folder), plain(dict(environment))]
        try:
            self._warm.stdin.write(yaml.safe_dump(line, default_flow_style=True, width=10**6))
            self._warm.stdin.flush()
            reply = self._warm.stdout.readline()
        except BrokenPipeError:  # it was killed
            reply = ""
        if not reply:
            self._warm.wait()
            self._warm = None
        status = int(reply) if reply else 1
        if status not in (0, LEFT_EARLY) and self.leaving.reason is None:
            self._tell()
        return status

    def _tell(self) -> None:
        """Say what the warm process has said, which is of no interest unless something failed."""
        self._said.seek(0)
        if said := self._said.read().decode("utf-8", "replace").strip():
            say("\n".join(said.splitlines()[-LINES:]), error=True)
        self._said.seek(0)
        self._said.truncate()

    def _end_left(self, folder: Path) -> None:
        """Kill the ranks of a launcher that has ended without them."""
        beats = [beat for beat in read_beats(folder) if beat.ended is None]
        end_trees([beat.process.pid for beat in beats if beat.process.state in ("runs", "stopped")])
