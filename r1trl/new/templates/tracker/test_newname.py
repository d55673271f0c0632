"""What the tracker promises."""

from pathlib import Path

from newname import Newname

import r1trl


def test_it_writes_a_line_for_each_step_of_two_attempts(tmp_path: Path) -> None:
    stage = r1trl.TrackedStage("mine", "any", tmp_path, {}, "run", {}, [], {}, 0, False)
    for resumed, result in (
        (False, None),
        (True, r1trl.StageResult("mine", "any", tmp_path, metrics={})),
    ):
        tracker = Newname(name="told.txt")
        tracker.start(stage, "run-mine-1", resumed)
        tracker.metrics(1, {"step": 1, "reward": 0.5, "loss": None})
        tracker.finish(result, {})
    assert (tmp_path / "told.txt").read_text(encoding="utf-8").splitlines() == [
        *("run-mine-1 begins", "step 1: reward=0.5", "ended early"),
        *("run-mine-1 goes on", "step 1: reward=0.5", "finished"),
    ]
