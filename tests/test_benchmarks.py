"""The benchmarks run; what they measure is no test's business."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.mark.slow
def test_the_benchmark_of_the_rewards_runs_and_explains_every_difference(tmp_path):
    out = tmp_path / "rewards.json"
    script = BENCHMARKS / "rewards.py"
    done = subprocess.run(
        [sys.executable, script, "--quick", "--out", out], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())
    assert found["verdicts"]["unexplained"] == found["verdicts"]["stale"] == 0
    assert {"date", "cores", "python", "versions"} <= set(found["machine"])
    workloads = {row["workload"] for row in found["rows"]}
    assert {"plain numbers", "mixed LaTeX", "long completions"} <= workloads
    assert all(row["per_second"] > 0 for row in found["rows"])
    assert all(row["as_labelled"] > 0.8 for row in found["rows"])
