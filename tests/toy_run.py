"""Runs of stages that take no time: a plugin's kind that writes what it has read.

The driver, the plan and the worker are r1trl's own; the worker runs in the test's process.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from r1trl.config.checked import Composed, checked
from r1trl.launch.workers import Workers
from r1trl.plan.plan import Plan, make_plan
from r1trl.run import loop
from r1trl.run.worker import run_stage
from r1trl.watch.control import DRIVER, own_name

PLUGIN = '''
import dataclasses
import pathlib

import r1trl


@dataclasses.dataclass
class Toy:
    text: str = "a"
    table: str = ""


def run(work):
    """Write a model of all that is read, with noise if there is some, and a checkpoint."""
    folder, stage = work.folder, work.stage
    parts = [stage.text, *(source.path or "" for source in stage.data.values())]
    parts += [pathlib.Path(stage.table).read_text()] if stage.table else []
    if stage.model:
        parts += [path.read_text() for path in sorted(pathlib.Path(stage.model).rglob("*.txt"))]
    noise = folder.parents[2] / "noise"
    parts += [noise.read_text()] if noise.exists() else []
    (folder / "checkpoints" / "checkpoint-1").mkdir(parents=True, exist_ok=True)
    if (folder.parents[2] / "fail").exists():
        raise ValueError("as asked")
    (folder / "model").mkdir(exist_ok=True)
    (folder / "model" / "weights.txt").write_text("|".join(parts))
    return {"length": float(len(parts))}


def write_rows(result):
    (result.folder / "hardest.jsonl").write_text('{"prompt": "x"}\\n')
    return result


def score(prompts, completions, completion_ids, **columns):
    return [1.0] * len(completions)


@r1trl.hookimpl
def r1trl_kinds():
    return {"toy": r1trl.Kind(run=run, settings=Toy, needs=(), takes=("rewards", "model", "data"))}


@r1trl.hookimpl
def r1trl_transitions():
    return {"write_rows": write_rows}


@r1trl.hookimpl
def r1trl_rewards():
    return {"score": score}
'''


class HereWorkers(Workers):
    """Workers that carry a stage out in this process, in place of processes of their own."""

    def _fork(self, function: str, folder: Path, environment: Any) -> int:
        return run_stage(folder)


class ToyRun:
    """A run of three stages: `second` starts from `first`, and `third` from `second`."""

    def __init__(self, folder: Path) -> None:
        self.root, self.name = folder, "run"
        self.plugin = folder / "toy.py"
        self.plugin.write_text(PLUGIN)
        self.rows = folder / "rows.jsonl"
        self.rows.write_text('{"prompt": "1 + 1"}\n')
        self.base = folder / "base"
        self.base.mkdir()
        for name in ("config.json", "tokenizer.json"):
            (self.base / name).write_text("{}")
        for name in ("model.safetensors", "more.txt"):
            (self.base / name).write_text("weights")
        self.stages: dict[str, dict[str, Any]] = {
            "first": {
                "kind": "toy",
                "model": str(self.base),
                "data": {"rows": {"path": str(self.rows)}},
                "transitions": {"write_rows": {}},
            },
            "second": {
                "kind": "toy",
                "model": "stage:first",
                "data": {"hard": {"path": "stage:first/hardest.jsonl"}},
            },
            "third": {"kind": "toy", "model": "stage:second"},
        }
        self.more: dict[str, Any] = {}

    @property
    def folder(self) -> Path:
        """Return the run's folder."""
        return self.root / self.name

    def of(self, stage: str) -> Path:
        """Return the folder of a stage."""
        return self.folder / "stages" / stage

    def composed(self, text: str = "", **asked: Any) -> Composed:
        """Return the run as it is composed; `asked` are keys of the run, `text` is its YAML."""
        values = {
            "name": self.name,
            "runs_dir": str(self.root),
            "preflight": False,
            "plugins": {"load": [str(self.plugin)]},
            "stages": json.loads(json.dumps(self.stages)),
            **self.more,
            **asked,
        }
        return checked(values, text)

    def plan(self, **asked: Any) -> Plan:
        """Return the plan; `asked` are keys of the run."""
        return make_plan(self.composed(**asked))

    def run(self, **asked: Any) -> int:
        """Carry the run out, as the command does; return its exit status."""
        return loop.run(self.plan(**asked), "")

    def half_done(self, stage: str = "first") -> None:
        """Carry the run out until a stage fails with a checkpoint."""
        if stage != "first":
            assert self.run(until=list(self.stages)[list(self.stages).index(stage) - 1]) == 0
        (self.root / "fail").touch()
        assert self.run() == 1
        (self.root / "fail").unlink()
        assert not (self.of(stage) / "result.json").exists()

    def weights(self, stage: str) -> str:
        """Return what a stage has made."""
        return (self.of(stage) / "model" / "weights.txt").read_text()


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ToyRun:
    """Return a run that has not begun."""
    monkeypatch.setattr(loop, "Workers", HereWorkers)
    monkeypatch.setenv(DRIVER, own_name())
    return ToyRun(tmp_path)
