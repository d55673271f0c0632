"""How far a stage is, by what its rank 0 counts, and how long it still takes."""

from pathlib import Path
from typing import Any

import pytest

from r1trl.live.line import line
from r1trl.live.numbers import Numbers
from r1trl.live.run import RunNow
from r1trl.live.stage import StageFollower, StageNow
from r1trl.report.state import RUNNING, StageState
from r1trl.watch.beats import Beat, write_beat
from r1trl.watch.processes import this_process


class Clocked:
    """A stage whose files and clock the test sets."""

    def __init__(self, folder: Path) -> None:
        (folder / "ranks").mkdir()
        self.now, self.state = 0.0, StageState("s", "sample", folder, RUNNING)
        self.follower = StageFollower(self.state, clock=lambda: self.now)

    def look(self, seconds: float, **counts: Any) -> StageNow:
        """Return what is seen after some seconds, when so much is done."""
        self.now += seconds
        write_beat(self.state.folder, Beat(0, this_process(), 1, 0.0, counts=counts))
        return self.follower.look()


@pytest.fixture
def stage(tmp_path: Path) -> Clocked:
    return Clocked(tmp_path)


@pytest.mark.parametrize(
    ("counts", "share"),
    [
        ({}, None),
        ({"completions": (70, None)}, None),
        ({"rows": (64, 256), "completions": (70, None)}, 0.25),
        ({"models": (1, 4), "benchmarks": (1, 2), "rows": (32, 64)}, 0.25 + 0.125 + 0.0625),
        ({"models": (1, 4), "benchmarks": (1, 2), "rows": (64, 64)}, 0.5),
        ({"models": (3, 4), "benchmarks": (1, 2), "rows": (64, 64)}, 1.0),
    ],
)
def test_the_share_that_is_done_counts_what_contains_the_others_first(
    counts: Any, share: float | None, stage: Clocked
) -> None:
    assert stage.look(0, **counts).done == (None if share is None else pytest.approx(share))


def test_the_time_that_is_left_is_by_the_speed_so_far(stage: Clocked) -> None:
    assert stage.look(5, steps=(10, 50)).left is None
    seen = stage.look(20, steps=(20, 50))
    assert seen.left == pytest.approx(60) and seen.step_seconds == pytest.approx(2)
    seen = stage.look(4, steps=(20, 50))  # nothing new: time goes by
    assert seen.left == pytest.approx(56) and seen.step_seconds == pytest.approx(2)
    assert stage.look(60, steps=(20, 50)).left is None  # later than it was thought
    assert stage.look(0, steps=(50, 50)).left is None


def test_a_line_tells_what_a_stage_counts(stage: Clocked, tmp_path: Path) -> None:
    def said(*counted: tuple[float, dict[str, Any]]) -> str:
        now = [stage.look(seconds, **counts) for seconds, counts in counted][-1]
        return line(RunNow(tmp_path, "", 0.0, [stage.state], stage.state, now))

    assert said((0, {})) == "s: begins"
    (tmp_path / "log.txt").write_text("server 0: starts\r\nserver 0: loads\n")
    assert said((0, {})) == "s: server 0: loads"
    rows = (9, {"rows": (0, 4096)}), (10, {"rows": (1024, 4096), "completions": (2048, None)})
    assert said(*rows) == "s: rows 1,024 of 4,096, completions 2,048, about 30 s left"
    assert said((1, {"models": (2, 9), "rows": (8, 64)})).startswith("s: models 2 of 9, rows 8")


def test_a_stage_without_rewards_tells_what_it_learns() -> None:
    numbers = Numbers(None, {})
    numbers.add([{"step": 1, "seconds": 1, "num_tokens": 100, "loss": 2.5, "grad_norm": 9}])
    numbers.add([{"step": 2, "seconds": 3, "num_tokens": 400, "loss": 1.25, "kl": None}])
    numbers.add([{"step": 2, "mean_token_accuracy": 0.75}])
    texts = [number.text for number in numbers.shown()]
    assert texts == ["loss 1.25", "right tokens 0.75", "150 tokens/s"]
