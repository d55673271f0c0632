"""The recipe `regress` as docs/REGRESSIONS.md has it: two models, all benchmarks, and a verdict."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import r1trl_tiny
import yaml

pytestmark = [pytest.mark.slow, pytest.mark.long]
PAGE = (Path(__file__).parents[2] / "docs" / "REGRESSIONS.md").read_text(encoding="utf-8")
SMALL = ["scale.evaluation.n=1", "scale.evaluation.tokens=32"]
BENCHMARKS = ("calls", "instructions", "json", "turns", "chinese", "held_out")


def test_models_are_compared_and_the_run_ends_with_one_that_lost(tmp_path: Path) -> None:
    student = Path(r1trl_tiny.__file__).parent / "models" / "student"
    [line] = [line for line in re.findall(r"^\$ r1trl (.*)$", PAGE, re.M) if "name=lost" in line]
    asked = [
        word.replace("runs/zero-tiny/stages/zero/model", str(student)) for word in shlex.split(line)
    ]
    [block] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    options = yaml.safe_load(block)["stages"]["scoreboard"]["transitions"]["no_regression"]
    ends = [f"stages.scoreboard.transitions.no_regression.{k}={v}" for k, v in options.items()]
    counts = [f"benchmarks.{name}.options.count=32" for name in BENCHMARKS]
    command = [*asked, *ends, *SMALL, *counts]
    done = subprocess.run(
        [sys.executable, "-m", "r1trl.cli", *command],
        cwd=tmp_path,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    run = tmp_path / "runs" / "lost"
    result = json.loads((run / "stages" / "scoreboard" / "result.json").read_text("utf-8"))
    for benchmark in BENCHMARKS:
        gain = [result["metrics"][f"zero/{benchmark}/gain{end}"] for end in ("_low", "", "_high")]
        assert gain == sorted(gain)
        assert f"base/{benchmark}/gain" not in result["metrics"]
        both = [result["metrics"][f"{name}/{benchmark}/pass@1"] for name in ("base", "zero")]
        assert gain[1] == pytest.approx(both[1] - both[0], abs=1e-9)
    metrics, bound = result["metrics"], -options["margin"]
    of = [f"zero/{benchmark}/gain" for benchmark in BENCHMARKS]
    lost = any(metrics[gain] < bound and metrics[f"{gain}_high"] < 0 for gain in of)
    assert (result["stop"] is not None) is lost
    assert "gain (95 %)" in (run / "report.md").read_text("utf-8")
