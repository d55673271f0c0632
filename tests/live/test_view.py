"""What a user sees of a run, on real ptys and pipes, by files as its processes leave them."""

import dataclasses
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hostile_texts import ALL
from report_runs import write_report_run
from terminal import ESCAPE, Terminal

from r1trl.process.texts import ACTING
from r1trl.report.state import RecordedStage, read_record, write_record
from r1trl.stage.files import StageSpec, write_result, write_spec
from r1trl.storage.jsonl import append_rows
from r1trl.types import StageResult
from r1trl.watch.beats import Beat, write_beat
from r1trl.watch.control import Bounds, Control, write_control
from r1trl.watch.processes import this_process

# Shows a run until its file `over` is there; with a second argument pictures fail.
SHOW = """
import sys
import time
from pathlib import Path

from r1trl.live import picture
from r1trl.live.view import View
from r1trl.process.terminal import say

run = Path(sys.argv[1])
if sys.argv[2:]:
    picture.picture = lambda *_: [][1]
with View(run, 0.4, "run 2 of 4") as view:
    with view.watching("later", run / "stages" / "later"):
        say("this stands above")
        while not (run / "over").exists():
            time.sleep(0.05)
"""
HALF = "half of the samples without a verdict"
COLOURS = re.compile(rb"\x1b\[[\d;]*\b[34]\d[\d;]*m")


class Shown:
    """A run with a stage at work, `later`, and the command that shows it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "run"
        write_report_run(self.folder)
        *before, later = read_record(self.folder).stages
        ahead = [dataclasses.replace(later, drawn=100), RecordedStage("last", "sample", drawn=3e5)]
        write_record(self.folder, [*before, *ahead], 2000)
        self.later = self.folder / "stages" / "later"
        rewards = {"accuracy": {}, "tags": {"weight": 0.5}, "words": {"weight": 0.0}}
        settings = {"rewards": rewards, "metrics": {"correct": "accuracy"}}
        write_spec(self.later, StageSpec("later", "grpo", "run", 1, settings))
        (self.later / "ranks").mkdir()
        (self.later / "log.txt").write_text("one\nthe newest line\n")
        self.beat = Beat(0, this_process(), 1, 0.0, step=3, saves=True, to_save=12.0)
        self.step(3)

    @property
    def command(self) -> list[str]:
        """Return the command that shows the run, from the folder that it is in."""
        return [sys.executable, "-c", SHOW, self.folder.name]

    def step(self, step: int, completion: str = "<think>a</think>") -> None:
        """Have the stage end a step."""
        shares = {"drawing": 3.0 * step, "training": 1.0 * step}
        counts = {"steps": (step, 8)}
        self.beat = dataclasses.replace(self.beat, counts=counts, spent=shares, notice=HALF)
        write_beat(self.later, self.beat)
        row = {"step": step, "seconds": 2.0 * step, "num_tokens": 300.0 * step}
        row |= {"reward": step / 4, "rewards/accuracy/mean": step / 10, "rewards/tags/mean": 0.75}
        row |= {"rewards/words/mean": 4.0, "completions/mean_length": 21.4}
        row |= {"completions/clipped_ratio": 0.25, "frac_reward_zero_std": 0.4}
        held_out = {"pass@1": 0.625, "pass@1_low": 0.5, "pass@1_high": 0.75}
        row |= {f"eval/held_out/{name}": value for name, value in held_out.items()}
        append_rows([row], self.later / "metrics.jsonl")
        with (self.later / "completions.jsonl").open("a") as file:
            file.write(json.dumps({"step": step, "completion": completion, "reward": 1.0}) + "\n")

    def leave(self) -> None:
        """Have the driver order the ranks to leave."""
        write_control(self.later, Control(this_process(), 1, Bounds(60), leave="SIGTERM"))

    def end(self) -> None:
        """Have the stage end."""
        (self.later / "ranks" / "0.json").unlink()
        write_result(StageResult("later", "grpo", self.later, metrics={}, seconds=5.0))
        (self.folder / "over").touch()


@pytest.fixture
def shown(tmp_path: Path) -> Shown:
    return Shown(tmp_path)


def test_a_terminal_shows_stages_numbers_and_what_changes(shown: Shown, tmp_path: Path) -> None:
    with Terminal(shown.command, tmp_path) as terminal:
        text = terminal.wait_for("step 3 of 8", "this stands above")
        for row in (
            "run · run 2 of 4 · stage 4 of 5",
            "✓ zero  ✗ dev1  ✓ scoreboard  ▸ later  · last",
            "reward       0.750 (accuracy 0.30, 0.5 × tags 0.75; beside it words 4.00)",
            "accuracy     0.300",
            "held-out     held_out 0.625 (0.500 to 0.750) at step 3",
            "completions  21 tokens a completion, 25% cut off, 60% of groups with signal",
            f"note         {HALF}",
            "completion   (1.00) <think>a</think>",
            "log says     the newest line",
            "stages/later/log.txt",
            "run/report.html",
            "failed       dev1: stages.dev1: it has no rows",
        ):
            assert row in text
        time.sleep(2)  # which makes it some seconds that are left
        shown.step(5)
        text = terminal.wait_for("step 5 of 8", "━━━━━━━━━━━━──", "62%", "left", "150 tokens/s")
        assert "s a step (drawing 75%, training 25%)" in text
        assert re.search(r"about \d+ m?s left, of the run about [\d.]+ (min|h)", text)
        shown.leave()
        awaited = "leaving (SIGTERM): finishing this rollout, about 12 s; a second Ctrl-C"
        terminal.wait_for(awaited)
        shown.end()
        assert terminal.status() == 0
        last = terminal.text
        assert "✓ later" in last and last.count("report.html") == 1 and "step 5" not in last
        assert last.index("this stands above") < last.index("✓ zero")
        assert COLOURS.search(terminal.output)


def test_a_narrow_terminal_is_filled_anew_and_needs_no_colours(
    shown: Shown, tmp_path: Path
) -> None:
    with Terminal(shown.command, tmp_path, 90, 34, {"NO_COLOR": "1"}) as terminal:
        terminal.wait_for("step 3 of 8")
        terminal.resize(38, 30)
        shown.step(4, "word " * 200)
        text = terminal.wait_for("step 4 of 8", "word word")
        assert text.count("report.html") == 1
        assert text.count("word") <= 4 * 38 / len("word ")
        terminal.resize(24, 14)
        shown.step(5)
        terminal.wait_for("step 5")
        (shown.folder / "over").touch()
        assert terminal.status() == 0
        assert not COLOURS.search(terminal.output)


@pytest.mark.parametrize("way", ["pipe", "dumb terminal"])
def test_elsewhere_there_are_lines_without_escapes(way: str, shown: Shown, tmp_path: Path) -> None:
    line = (
        "run 2 of 4, later: step 3 of 8, reward 0.750 (accuracy 0.30, 0.5 × tags 0.75; beside it "
        "words 4.00), accuracy 0.300, held_out 0.625 (0.500 to 0.750) at step 3, 21 tokens a "
        f"completion, 25% cut off, 60% of groups with signal, {HALF}"
    )
    if way == "pipe":
        with subprocess.Popen(
            shown.command, cwd=tmp_path, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout
            read = [process.stdout.readline(), process.stdout.readline()]
            shown.leave()
            while "leaving" not in read[-1]:
                read.append(process.stdout.readline())
            (shown.folder / "over").touch()
            read += process.stdout.readlines()
            assert process.wait() == 0
        assert read[:2] == ["this stands above\n", f"{line}\n"]
        assert "leaving (SIGTERM): finishing this rollout, about 12 s" in "".join(read)
        output = "".join(read)
        assert "\r" not in output
    else:
        with Terminal(shown.command, tmp_path, 500, 20, {"TERM": "dumb"}) as terminal:
            terminal.wait_for(line)
            (shown.folder / "over").touch()
            assert terminal.status() == 0
        output = terminal.output.decode().replace("\r\n", "\n")
    assert ESCAPE not in output and "\r" not in output


def test_what_models_write_does_nothing_to_a_terminal(shown: Shown, tmp_path: Path) -> None:
    for text in ALL:
        shown.step(3, text[:3000])
    worst = next(text for text in ALL if ACTING.search(text))
    shown.step(4, f"begins {worst[:300]}")
    with Terminal(shown.command, tmp_path, 100, 50) as terminal:
        terminal.wait_for("begins", "report.html")
        (shown.folder / "over").touch()
        assert terminal.status() == 0
    written = terminal.output.decode()
    own = re.sub(r"\x1b\[[\d;?]*[A-Za-z]|[\r\n]", "", written)
    assert not ACTING.search(own)
    assert not re.search(r"\x1b\[[\d;]*(?![mABKlh])[A-Za-z]", written)


def test_a_picture_that_fails_is_said_once_and_lines_follow(shown: Shown, tmp_path: Path) -> None:
    with Terminal([*shown.command, "broken"], tmp_path, 200, 400) as terminal:
        said = "the picture of the run cannot be shown (IndexError: list index out of range): lines"
        terminal.wait_for(said, "later: step 3 of 8")
        (shown.folder / "over").touch()
        assert terminal.status() == 0
        assert terminal.text.count(said) == 1


def test_files_that_cannot_be_read_end_no_run(shown: Shown, tmp_path: Path) -> None:
    (shown.later / "metrics.jsonl").unlink()
    (shown.later / "metrics.jsonl").mkdir()
    with Terminal(shown.command, tmp_path, 200, 20) as terminal:
        terminal.wait_for("the lines on its progress cannot be shown (IsADirectoryError")
        (shown.folder / "over").touch()
        assert terminal.status() == 0
        assert terminal.text.count("cannot be shown") == 2
