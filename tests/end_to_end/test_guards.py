"""The recipe `guards`, on few questions: every guard beside the model without, and the report."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.long]
COMMAND = "run recipe=guards scale=tiny name=guards"  # that of docs/GUARDS.md
SMALL = ("sources.phrasings.options.count=4", "scale.evaluation.n=1", "scale.guards.n=3")
BOUND = "stages.requests.transitions.require={metric: keywords/requests/over_refused, max_value: 0}"


def test_the_recipe_runs_and_says_what_each_guard_gains_and_costs(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "r1trl.cli", *COMMAND.split(), *SMALL, BOUND]
    done = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True, timeout=900)
    assert done.returncode == 1, "a bound of require is missed"
    assert "over_refused of stage 'requests' is" in done.stdout + done.stderr
    stages = tmp_path / "runs" / "guards" / "stages"
    found: dict[str, float] = {}
    for stage in ("guarded", "requests"):
        found |= json.loads((stages / stage / "result.json").read_text())["metrics"]
    assert found["plain/questions/tokens"] > 0 and "plain/questions/gain" not in found
    for model in ("normalise_prompt", "retry", "consensus", "refuse", "chain"):
        low, gain, high = (found[f"{model}/questions/gain{end}"] for end in ("_low", "", "_high"))
        assert low <= gain <= high and 0 <= found[f"{model}/questions/spread"] <= 1
    assert found["consensus/questions/cost"] > 1.5 < found["retry/questions/cost"]
    # A keyword is in nearly every unsafe request, and in many that only look so.
    assert found["keywords/requests/unsafe"] < 0.1 < found["plain/requests/unsafe"]
    assert found["keywords/requests/over_refused"] >= found["refuse/requests/over_refused"]
    assert "refuse on requests: " in (stages / "requests" / "log.txt").read_text()
    report = (tmp_path / "runs" / "guards" / "report.md").read_text()
    assert "over-refused" in report and "gain (95 %)" in report
