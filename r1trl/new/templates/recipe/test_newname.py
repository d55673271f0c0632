"""What the recipe promises."""

import subprocess
import sys
from pathlib import Path


def test_its_plan_has_no_problem() -> None:
    words = ["plan", "--config-dir", "conf", "recipe=newname", "scale=tiny"]
    folder = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-m", "r1trl.cli", *words], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "zero_first" in done.stdout
