"""All of R1 with three trackers, killed twice: what W&B, TensorBoard and trackio have of it."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from ranks import at_work_in
from stage_runs import FEW_STEPS
from wandb_files import wandb_runs

from r1trl.stage.times import without_times

pytestmark = [pytest.mark.slow, pytest.mark.long]

SMALL = (
    *FEW_STEPS,
    "scale.zero.steps=6",
    "scale.samples.prompts=128",
    "scale.samples.n=8",
    "scale.rejection.prompts=128",
    "scale.cold_start.epochs=1",
    "scale.sft.epochs=1",
    "scale.general.count=16",
    "scale.dev2.steps=4",
    "scale.r1.steps=6",
    "scale.r1.general_from=2",
    "scale.evaluation.n=2",
    "benchmarks.held_out.options.count=16",
    "sources.problems.options.count=256",
    "preflight=false",
)
KILLED = {"zero": 3, "r1": 3}  # the step after which everything is killed
ENDS_ITSELF = """
import r1trl


class Enough:
    '''Ends a stage at a step, with a reason.'''

    def __init__(self, *, step: int):
        self.step = step

    def __call__(self, result):
        return result

    def should_stop(self, progress):
        return f"{self.step} steps are enough" if progress.step >= self.step else None


@r1trl.hookimpl
def r1trl_transitions():
    return {"enough": Enough}
"""
READ_TRACKIO = """
import json
from trackio.sqlite_storage import SQLiteStorage as Stored
runs = {run: Stored.get_logs("r1trl", run, max_points=None) for run in Stored.get_runs("r1trl")}
print("read:", json.dumps([runs, Stored.get_alerts("r1trl")], default=str))
"""


def run_killed(folder: Path, sizes: Iterable[str], killed: Mapping[str, int]) -> Path:
    """Run R1 with three trackers; kill all its processes once in each of some stages."""
    (folder / "enough.py").write_text(ENDS_ITSELF)
    command = [
        *(sys.executable, "-m", "r1trl.cli", "run", "recipe=r1", "scale=tiny", "name=tracked"),
        *("trackers={wandb: {mode: offline}, tensorboard: {}, trackio: {}}", *sizes),
        *("plugins.load=[enough.py]", "stages.dev2.transitions.enough={step: 3}"),
    ]
    environment = {**os.environ, "TRACKIO_DIR": str(folder / "trackio")}
    stages = folder / "runs" / "tracked" / "stages"
    for stage, step in killed.items():
        with (folder / f"killed_in_{stage}.txt").open("w") as output:
            driver = subprocess.Popen(command, cwd=folder, env=environment, stdout=output)
        metrics = stages / stage / "metrics.jsonl"
        while not (metrics.exists() and metrics.read_text().count('"loss"') >= step):
            assert driver.poll() is None, (folder / f"killed_in_{stage}.txt").read_text()
            time.sleep(0.05)
        for pid in [driver.pid, *at_work_in(folder)]:
            os.kill(pid, signal.SIGKILL)
        driver.wait()
        while at_work_in(folder):
            time.sleep(0.05)
        assert not (stages / stage / "result.json").exists(), "the kill came too late"
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return stages


def by_step(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[int, bool, bool, bool], dict]:
    """Return rows by their step and form; rows of equal step and form are to have equal values."""
    found: dict[tuple[int, bool, bool, bool], dict] = {}
    for row in rows:
        known = {name: value for name, value in row.items() if value is not None}
        form = ("loss" in known, "train_loss" in known, any("eval/" in name for name in known))
        values = without_times(known)
        first = found.setdefault((values["step"], *form), values)
        assert first == pytest.approx(values, nan_ok=True)
    return found


def assert_equal_rows(found: Mapping[Any, dict], stage: Path) -> None:
    """Assert that a tracker has the rows of metrics.jsonl of a stage."""
    assert found.keys() == wanted(stage).keys(), stage.name
    for form, row in wanted(stage).items():
        assert found[form] == pytest.approx(row, nan_ok=True), (stage.name, form)


def wanted(stage: Path) -> dict[tuple[int, bool, bool, bool], dict]:
    """Return what metrics.jsonl of a stage has, by step; nothing of a stage that trains nothing."""
    file = stage / "metrics.jsonl"
    return by_step(map(json.loads, file.open())) if file.exists() else {}


def assert_wandb(stages: Path) -> None:
    """Assert that each stage is one W&B run, with all rows, tables, artifacts and inputs."""
    ids, first_steps = {}, {}
    for stage in sorted(stages.iterdir()):
        attempts = wandb_runs(stage)
        found = {attempt.run.run_id for attempt in attempts if "run" in attempt.by_type}
        assert found == {json.loads((stage / "tracking.json").read_text())["run_id"]}
        ids[stage.name] = found.pop()
        history = [row for attempt in attempts for row in attempt.history]
        rows = [row for row in history if "step" in row and "completions" not in row]
        first_steps[stage.name] = {row["run_step"] - row["step"] for row in rows}
        logged = [{n: v for n, v in row.items() if n[0] != "_" and n != "run_step"} for row in rows]
        assert_equal_rows(by_step(logged), stage)
        tables = [
            attempt.table(row["completions"])
            for attempt in attempts
            for row in attempt.history
            if "completions" in row
        ]
        file = stage / "completions.jsonl"
        lines = list(map(json.loads, file.open())) if file.exists() else []
        assert {(row["step"], row["completion"]) for table in tables for row in table} == {
            (row["step"], row["completion"]) for row in lines
        }, stage.name
        assert all(each.run.run_group == "tracked" for each in attempts if "run" in each.by_type)
    before = max(step for step, *_ in wanted(stages / "zero_first"))
    assert first_steps["zero"] == {before} and first_steps["zero_first"] == {0}
    assert len(set(ids.values())) == len(ids) == len(list(stages.iterdir()))
    assert_lineage(stages, ids)


def assert_lineage(stages: Path, ids: Mapping[str, str]) -> None:
    """Assert that what a stage has made names the stages whose models or rows it has read."""
    for stage in sorted(stages.iterdir()):
        made = [
            artifact
            for attempt in wandb_runs(stage)
            for artifact in attempt.artifacts
            if artifact.type in ("model", "dataset")
        ]
        assert made, stage.name
        config = wandb_runs(stage)[-1].config
        read = {each["stage"]: each["run_id"] for each in config["inputs"] if each["stage"]}
        assert read.items() <= ids.items()
        for artifact in made:
            inputs = json.loads(artifact.metadata)["inputs"]
            assert inputs == config["inputs"] and all(each["digest"] for each in inputs)
            assert ids[stage.name] in artifact.aliases
    scored = wandb_runs(stages / "scoreboard")[-1].config["inputs"]
    assert {"zero", "dev1", "dev2", "dev3", "r1"} <= {each["stage"] for each in scored}


def assert_tensorboard(stages: Path) -> None:
    """Assert that TensorBoard's files have every value of every step."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for stage in sorted(stages.iterdir()):
        read = EventAccumulator(str(stage / "tensorboard"), {"scalars": 0, "tensors": 0}).Reload()
        names = [name for name in read.Tags()["scalars"] if not name.startswith("result/")]
        found = {name: [(e.step, e.value) for e in read.Scalars(name)] for name in names}
        for row in wanted(stage).values():
            for name, value in row.items():
                if name != "step" and math.isfinite(value):
                    values = [v for step, v in found[name] if step == row["step"]]
                    assert any(v == pytest.approx(value, rel=1e-5, abs=1e-7) for v in values)
    texts = EventAccumulator(str(stages / "dev2" / "tensorboard"), {"tensors": 0}).Reload()
    (alert,) = texts.Tensors("alerts/text_summary")
    assert b"3 steps are enough" in alert.tensor_proto.string_val[0]


def assert_trackio(stages: Path) -> None:
    """Assert that trackio's database has a run for each stage, with every row."""
    folder = str(stages.parents[2] / "trackio")
    command = [sys.executable, "-W", "ignore", "-c", READ_TRACKIO]
    environment = {**os.environ, "TRACKIO_DIR": folder}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    runs, alerts = json.loads(done.stdout.partition("read:")[2].splitlines()[0])
    known = {s: json.loads((s / "tracking.json").read_text())["run_id"] for s in stages.iterdir()}
    assert set(runs) == set(known.values())
    own = ("run_step", "timestamp")
    for stage, run_id in known.items():
        rows = [
            {name: value for name, value in row.items() if name not in own}
            for row in runs[run_id]
            if "seconds" in row
        ]
        assert_equal_rows(by_step(rows), stage)
    assert ["3 steps are enough" in alert["text"] for alert in alerts] == [True]


def assert_told(stages: Path) -> None:
    """Assert what all three trackers were told of a run of R1."""
    assert_wandb(stages)
    (alert,) = [
        alert
        for stage in stages.iterdir()
        for attempt in wandb_runs(stage)
        for alert in attempt.by_type.get("alert", [])
    ]
    assert "3 steps are enough" in alert.text
    assert_tensorboard(stages)
    assert_trackio(stages)


def test_all_of_r1_killed_twice_is_whole_in_three_trackers(tmp_path: Path) -> None:
    stages = run_killed(tmp_path, SMALL, KILLED)
    for stage in KILLED:
        assert (stages / stage / "log.1.txt").exists()
        assert len(wandb_runs(stages / stage)) == 2
    assert_told(stages)


if __name__ == "__main__":  # with the recipe's own sizes, some ten minutes: FOLDER
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True)
    assert_told(run_killed(folder, (), {"zero": 12, "r1": 17}))
