"""Small runs of whole recipes through the command `r1trl run`, and how far they have come."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from disturbed.recipes import SMALL

MARK = "R1TRL_BENCHMARK_RUN"  # in the environment of every process of a run: its folder


@dataclass
class SmallRun:
    """A run at scale=tiny in a folder of its own; `plugin` is the source of one that it loads."""

    folder: Path
    recipe: str
    overrides: Sequence[str] = ()
    plugin: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        recipes = self.folder / "conf" / "recipe"
        recipes.mkdir(parents=True, exist_ok=True)
        (recipes / "small.yaml").write_text(self.recipe)
        if self.plugin is not None:
            (self.folder / "plugin.py").write_text(self.plugin)

    @property
    def run(self) -> Path:
        """Return the folder of the run."""
        return self.folder / "runs" / "small"

    def stage(self, name: str) -> Path:
        """Return the folder of a stage."""
        return self.run / "stages" / name

    def start(self, *more: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start the command, or continue the run by it; what it prints is added to a file."""
        loaded = ["plugins.load=[./plugin.py]"] if self.plugin is not None else []
        command = [sys.executable, "-m", "r1trl.cli", "run", "--config-dir", "conf"]
        chosen = ["recipe=small", "scale=tiny", "name=small", *SMALL, *self.overrides, *loaded]
        with self.printed.open("ab") as output:
            return subprocess.Popen(
                [*command, *chosen, *more],
                cwd=self.folder,
                env={**os.environ, **STEADY, MARK: str(self.folder), **self.environment}
                | environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for this run alone
                preexec_fn=_heed_hang_up,
            )

    def carry_out(self, *more: str, **environment: str) -> tuple[int, str]:
        """Run the command to its end; return its exit status and what it printed."""
        before = len(self.output)
        status = self.start(*more, **environment).wait()
        return status, self.output[before:]

    def carry_out_observed(self) -> tuple[int, dict[str, int]]:
        """Run the command; return its exit status, and the units that each stage came to."""
        begin, most = time.time(), dict[str, int]()
        command = self.start()
        while command.poll() is None:
            for stage in self.run.glob("stages/*"):
                if not (stage / "result.json").exists():
                    most[stage.name] = max(most.get(stage.name, 0), units(stage, begin))
            time.sleep(0.02)
        return command.returncode, most

    @property
    def output(self) -> str:
        """Return what all commands have printed."""
        return self.printed.read_text(errors="replace") if self.printed.exists() else ""

    @property
    def printed(self) -> Path:
        """Return the file of what the commands print; it is beside the folder."""
        return self.folder.with_name(f"{self.folder.name}.txt")

    def stages(self) -> list[str]:
        """Return the names of the stages, in their order."""
        text = (self.run / "config.yaml").read_text()
        return list(yaml.safe_load(text)["stages"])

    def results(self) -> dict[str, Any]:
        """Return the content of result.json of each finished stage."""
        files = {name: self.stage(name) / "result.json" for name in self.stages()}
        return {name: json.loads(f.read_text()) for name, f in files.items() if f.exists()}


STEADY = {  # libraries neither ask the network nor fight for cores
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "WANDB_MODE": "offline",
}


def units(stage: Path, since: float) -> int:
    """Return how far a stage has come: logged steps, or shards; 0 before an attempt begins.

    `since` is when that began: what metrics.jsonl says from before it may yet be dropped.
    """
    metrics = stage / "metrics.jsonl"
    if metrics.exists():
        lines = metrics.read_text(errors="replace").split("\n") if _newer(metrics, since) else []
        return sum('"loss"' in line for line in lines)
    return sum(1 for file in stage.glob("shards/**/*.parquet") if ".cache" not in file.parts)


def begun(stage: Path, since: float) -> bool:
    """Return True if a worker has begun with a stage in the attempt that began then."""
    return _newer(stage / "log.txt", since)


def _newer(path: Path, since: float) -> bool:
    try:
        return path.stat().st_mtime > since
    except FileNotFoundError:
        return False


def _heed_hang_up() -> None:
    """Undo what nohup has done to this process."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
