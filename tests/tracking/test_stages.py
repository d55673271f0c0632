"""What trackers are told of the stages of a run: one id for each, steps that count on, lineage."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from recorder import PLUGIN, told
from toy_run import ToyRun

from r1trl.stage.files import read_spec, write_spec

pytestmark = pytest.mark.slow  # imports torch


@pytest.fixture
def tracked(toy: ToyRun, plugin_file: Any) -> ToyRun:
    """Return a run with a recorder, in a file of its own."""
    recorder = plugin_file(PLUGIN, "recorder.py")
    toy.more |= {
        "plugins": {"load": [str(toy.plugin), recorder]},
        "trackers": {"recorder": {"path": str(toy.root / "told.jsonl")}},
    }
    return toy


def test_what_a_stage_makes_is_what_a_later_one_reads(tracked: ToyRun) -> None:
    assert tracked.run() == 0
    starts = {line["stage"]["name"]: line for line in told(tracked.root / "told.jsonl", "start")}
    made = [line["files"] for line in told(tracked.root / "told.jsonl", "finish")]
    assert list(starts) == ["first", "second", "third"]
    assert len({line["run_id"] for line in starts.values()}) == 3
    inputs = {i["name"]: i for i in starts["second"]["stage"]["inputs"]}
    assert inputs["stage:first"] == {
        "name": "stage:first",
        "digest": made[0]["model"]["digest"],
        "stage": "first",
        "run_id": starts["first"]["run_id"],
    }
    rows = inputs["stage:first/hardest.jsonl"]
    assert (rows["stage"], rows["run_id"]) == ("first", starts["first"]["run_id"])
    (base, _) = starts["first"]["stage"]["inputs"]
    assert base["name"] == str(tracked.base) and base["stage"] is None
    assert starts["first"]["stage"]["config"]["inputs"] == starts["first"]["stage"]["inputs"]
    assert set(starts["first"]["stage"]["code"]) == {"toy.py", "recorder.py"}


def test_steps_count_on_from_stage_to_stage(tracked: ToyRun) -> None:
    assert tracked.run(until="second") == 0
    for stage, steps in (("first", 7), ("second", 5)):
        lines = [json.dumps({"step": step}) for step in range(1, steps + 1)]
        (tracked.of(stage) / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    assert tracked.run() == 0
    starts = told(tracked.root / "told.jsonl", "start")
    assert [line["stage"]["first_step"] for line in starts] == [0, 0, 12]


def test_a_failed_stage_is_an_alert_and_goes_on_with_its_id(tracked: ToyRun) -> None:
    tracked.half_done("second")
    (alert,) = told(tracked.root / "told.jsonl", "alert")
    assert (alert["title"], alert["level"]) == ("stage second failed", "error")
    assert "ValueError: as asked" in alert["text"]
    assert told(tracked.root / "told.jsonl", "finish")[-1]["metrics"] is None
    assert tracked.run() == 0
    starts = [
        line
        for line in told(tracked.root / "told.jsonl", "start")
        if line["stage"]["name"] == "second"
    ]
    assert [line["resumed"] for line in starts] == [False, True]
    assert starts[0]["run_id"] == starts[1]["run_id"]
    assert told(tracked.root / "told.jsonl", "finish")[-1]["metrics"] == {"length": 2.0}


def test_a_run_ends_well_without_its_tracker_and_stays_finished_without(
    tracked: ToyRun, capfd: pytest.CaptureFixture[str]
) -> None:
    tracked.more["trackers"]["recorder"] |= {"at": "start", "how": "hang", "patience": 0.2}
    assert tracked.run(until="second") == 0
    said = capfd.readouterr()
    assert (said.out + said.err).count("trackers.recorder: is lost (") == 2  # once in each stage
    result = json.loads((tracked.of("first") / "result.json").read_text())
    assert "tracking.json" not in result["made"]
    tracked.more["trackers"] = {}
    assert [stage.finished for stage in tracked.plan().stages] == [True, True, False]


def test_a_stage_of_a_run_that_is_older_than_trackers_can_be_read(toy: ToyRun) -> None:
    (planned, *_) = toy.plan().stages
    write_spec(planned.folder, planned.spec)
    path: Path = planned.folder / "stage.yaml"
    content = yaml.safe_load(path.read_text())
    for name in ("digest", "about", "trackers", "completions"):
        del content[name]
    path.write_text(yaml.safe_dump({**content, "wandb": {"enabled": False, "completions": 16}}))
    spec = read_spec(planned.folder)
    assert spec is not None and spec.trackers == {} and spec.settings == planned.spec.settings
