"""What the transition promises."""

from pathlib import Path

from newname import newname

import r1trl


def test_it_writes_the_metrics_and_hands_over_the_same_result(tmp_path: Path) -> None:
    result = r1trl.StageResult("mine", "any", tmp_path, metrics={"reward": 0.5})
    assert newname(result, file="metrics.txt") is result
    assert (tmp_path / "metrics.txt").read_text(encoding="utf-8") == "reward: 0.5\n"
