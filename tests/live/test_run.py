"""A real run, as a user sees it on a terminal and in a pipe; its logs are for reading."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from terminal import ESCAPE, Terminal

from r1trl.watch.beats import first_beat

pytestmark = [pytest.mark.slow, pytest.mark.long]

STEPS = 6
RUN = (
    *(sys.executable, "-m", "r1trl.cli", "run", "recipe=zero", "scale=tiny", "name=x"),
    *("preflight=false", "scale.rl.outputs=64", "scale.rl.micro_batch=32"),
    *("until=zero_first", f"scale.zero.first_steps={STEPS}", "progress.seconds=1"),
)
EVALUATED = "stages.zero_first.evaluate={every: 3, rows: 8, metrics: {correct: accuracy}}"
BENCHMARK = "stages.zero_first.evaluate.benchmarks=[held_out]"


def assert_readable(log: Path) -> None:
    """Assert that a log has no bars, no dictionaries of metrics and no talk among developers."""
    text = log.read_bytes().decode()
    assert "rank 0 is on the" in text
    assert not [
        noise for noise in ("\r", "{'", "Warning", "it/s", "warnings.warn") if noise in text
    ]


def test_a_run_on_a_terminal_shows_its_stages_steps_and_rewards(tmp_path: Path) -> None:
    with Terminal([*RUN, EVALUATED, BENCHMARK], tmp_path, 110, 40) as terminal:
        text = terminal.wait_for("▸ zero_first  · zero  · scoreboard", "stage 1 of 3")
        assert "zero_first (grpo)" in text
        text = terminal.wait_for(f"of {STEPS}", "reward", "accuracy", "held-out", seconds=120)
        assert re.search(r"step \d of 6", text)
        assert terminal.status(120) == 0
        last = terminal.text
    assert "zero_first finished in" in last
    assert "✓ zero_first  · zero  · scoreboard" in last
    assert "runs/x is done until zero_first; left: zero, scoreboard" in last
    stage = tmp_path / "runs" / "x" / "stages" / "zero_first"
    assert_readable(stage / "log.txt")
    beat = first_beat(stage)
    assert beat and tuple(beat.counts["steps"]) == (STEPS, STEPS)
    assert {"drawing", "training", "evaluating"} <= beat.spent.keys()


def test_a_run_in_a_pipe_says_a_line_now_and_then(tmp_path: Path) -> None:
    command = [*RUN, "preflight=true", "until=scoreboard", "scale.zero.steps=4"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr.replace("\n", "").strip() or "note:" in done.stderr
    lines = done.stdout.split("\n")
    assert ESCAPE not in done.stdout and "\r" not in done.stdout
    assert any(re.match(rf"zero_first: step \d of {STEPS}, reward \d", line) for line in lines)
    assert any(re.match(r"scoreboard: models \d of 2, benchmarks \d of", line) for line in lines)
    assert {"preflight …", "zero_first (grpo) …", "scoreboard (evaluate) …"} <= set(lines)
    for log in (tmp_path / "runs" / "x" / "stages").glob("*/log.txt"):
        assert_readable(log)


def test_ctrl_c_on_a_terminal_leaves_the_last_picture(tmp_path: Path) -> None:
    slowly = ["scale.zero.first_steps=400", "scale.rl.micro_batch=8"]
    with Terminal([*RUN, *slowly], tmp_path, 110, 40) as terminal:
        terminal.wait_for("step 2 of 400", seconds=120)
        terminal.process.send_signal(signal.SIGINT)
        terminal.wait_for("leaving (SIGINT): finishing this rollout", seconds=30)
        assert terminal.status(120) == 3
        last = terminal.text
    assert "■ zero_first  · zero  · scoreboard" in last
    assert re.search(r"zero_first left early \(SIGINT\): checkpoint-\d+ stands", last)
    assert last.rstrip().endswith("runs/x/report.html")
