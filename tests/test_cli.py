"""The command line: exit statuses, messages, and what a driver does not import."""

import functools
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from finished import finish

from r1trl.config.checked import Composed
from r1trl.config.compose import compose
from r1trl.plan.plan import make_plan

DONE = ("recipe=zero", "scale=tiny", "name=done")
HEAVY = "{'torch', 'trl', 'transformers', 'datasets', 'accelerate'}"
SAY_IMPORTS = f"""
import sys
from r1trl.cli import main
try:
    status = main()
except SystemExit as left:
    status = left.code
print('heavy:', sorted({HEAVY} & set(sys.modules)))
sys.exit(status)
"""


def r1trl(*arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command; the last line of its output says which heavy packages it imported."""
    command = [sys.executable, "-c", SAY_IMPORTS, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--help"], "exit status:"),
        (["run", "--help"], "r1trl run recipe=full scale=tiny name=demo"),
        (["plugins"], "accuracy  (math)"),
        (["plugins", "kind"], "evaluate  (kinds)  Generate completions of every model"),
        (["plan", "recipe=r1", "name=x"], "run runs/x: 11 stages, seed 1"),
        (["plan", "-m", "recipe=zero", "scale=tiny", "seed=1,2"], "run runs/zero-tiny-seed=2"),
        (["plan", "-v", "recipe=zero", "scale=tiny"], "rewards.accuracy   "),
    ],
)
def test_a_driver_answers_without_importing_torch_or_trl(arguments: list[str], shown: str) -> None:
    done = r1trl(*arguments)
    assert done.returncode == 0, done.stderr
    assert shown in done.stdout
    assert done.stdout.splitlines()[-1] == "heavy: []"


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (["plan", "recipe=zreo", "name=x"], ["error: recipe: no recipe is called 'zreo' (did"]),
        (
            ["run", "recipe=zero", "scale=tiny", "name=a/b", "stages.zero.rewards.acuracy={}"],
            ["error: name: 'a/b' cannot be", "error: stages.zero.rewards: no reward is called"],
        ),
        (["plan", "-m", "recipe"], ["error: 'recipe': is no override; give key=value"]),
        (["plan", "recipe=zero", "seed=1,2"], ["error: seed: 1,2 is a sweep; add -m, or quote it"]),
        (["plugins", "--load", "nowhere.py"], ["error: plugins.load: 'nowhere.py' cannot be"]),
        (["report", "nowhere"], ["error: nowhere is not the folder of a run"]),
    ],
)
def test_what_is_wrong_is_told_a_line_each_with_status_2(
    arguments: list[str], lines: list[str], tmp_path: Path
) -> None:
    done = r1trl(*arguments, folder=tmp_path)
    assert done.returncode == 2
    told = done.stderr.splitlines()
    assert len(told) == len(lines)
    for line, start in zip(told, lines, strict=True):
        assert line.startswith(start)
    assert not (tmp_path / "runs").exists()


def test_an_unknown_command_has_status_2() -> None:
    done = r1trl("runn")
    assert done.returncode == 2 and "'run'" in done.stderr


def test_plugins_lists_a_kind_with_options_and_the_plugin_of_a_file(plugin_file: Any) -> None:
    path = plugin_file(
        """\
        import r1trl

        def brevity(prompts, completions, completion_ids, *, limit: int = 10, **columns):
            '''Return 1 for a short completion.'''
            return [float(len(c) <= limit) for c in completions]

        @r1trl.hookimpl
        def r1trl_rewards():
            return {"brevity": brevity}
        """
    )
    done = r1trl("plugins", "reward", "--load", path)
    assert done.returncode == 0
    assert f"brevity  ({path})  Return 1 for a short completion.\n      limit: int = 10" in (
        done.stdout
    )
    assert "filters" not in done.stdout


@functools.cache
def composed_once() -> Composed:
    """Compose the run that is made to look finished."""
    return compose(list(DONE), None)


def finish_all(folder: Path, stop: str | None) -> list[str]:
    """Make every stage of a run look finished, the first with a reason to end; return the run."""
    once = composed_once()
    moved = replace(once, config=replace(once.config, runs_dir=str(folder)))
    for planned in make_plan(moved).stages:
        metrics = {f"zero/held_out/{m}": 0.5 for m in ("pass@1", "pass@1_low", "pass@1_high")}
        first = planned.spec.stage == "zero_first"
        finish(planned, metrics if planned.spec.scores else {}, stop=stop if first else None)
    return [*DONE, f"runs_dir={folder}"]


def test_a_finished_run_is_not_done_again(tmp_path: Path) -> None:
    done = r1trl("run", *finish_all(tmp_path, None))
    assert done.returncode == 0, done.stderr
    assert "zero_first is already finished" in done.stdout
    assert "is complete" in done.stdout and "50.0 (50.0–50.0)" in done.stdout
    assert "recipe=zero" in (tmp_path / "done" / "config.yaml").read_text()
    assert (tmp_path / "done" / "report.md").is_file()
    assert done.stdout.splitlines()[-1] == "heavy: []"


def test_a_run_that_a_transition_ended_has_status_1_and_says_why(tmp_path: Path) -> None:
    done = r1trl("run", *finish_all(tmp_path, "accuracy is below 0.5"))
    assert done.returncode == 1
    assert "the run ends after zero_first: accuracy is below 0.5" in done.stderr
    assert "scoreboard" not in done.stdout.partition("heavy:")[0]


def test_a_finished_run_that_would_now_differ_has_status_2(tmp_path: Path) -> None:
    done = r1trl("run", *finish_all(tmp_path, None), "stages.zero.args.learning_rate=0.7")
    assert done.returncode == 2
    assert done.stderr.startswith("error: stages.zero.args.learning_rate: was 0.0002, would be 0.7")
    assert "redo=zero carries it out again, and scoreboard after it; keep=zero uses" in done.stderr


def test_a_stage_is_kept_by_one_command_and_needs_no_word_in_the_next(tmp_path: Path) -> None:
    changed = [*finish_all(tmp_path, None), "stages.zero.args.learning_rate=0.7"]
    difference = "stages.zero.args.learning_rate: was 0.0002, would be 0.7"
    for more in (["keep=zero", "until=zero"], []):
        done = r1trl("run", *changed, *more)
        assert done.returncode == 0, done.stderr
        assert f"zero is already finished (kept: {difference})" in done.stdout
    assert "| zero (kept) |" in (tmp_path / "done" / "report.md").read_text()


@pytest.mark.parametrize("key", ["until", "redo", "keep"])
def test_stages_of_one_command_are_not_swept_over(key: str) -> None:
    done = r1trl("plan", "-m", "recipe=zero", "scale=tiny", f"{key}=zero,zero_first")
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {key}: is not swept over")


def test_former_names_are_accepted_with_a_note_each(tmp_path: Path) -> None:
    old = [
        "stages.scoreboard.measures={correct: accuracy}",
        "stages.scoreboard.attention=sdpa",
        "stages.zero.samplers={adaptive: {reward: accuracy, memory: 0.25}}",
        "stages.zero.filters.tidy.lines=3",
        "sources.problems.limit=99",
    ]
    done = r1trl("plan", "recipe=zero", "scale=tiny", "name=x", *old, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [
        "note: stages.scoreboard.measures is called 'stages.scoreboard.metrics' now",
        "note: stages.scoreboard.attention is called 'stages.scoreboard.attn_implementation' now",
        "note: stages.zero.filters.tidy.lines is called "
        "'stages.zero.filters.no_markdown.min_lines' now",
        "note: sources.problems.limit is called 'sources.problems.sample_rows' now",
        "note: stages.scoreboard.metrics is replaced as a whole, without format, "
        "language_consistency, reflection_words",
        "note: stages.zero.samplers.adaptive.memory is called 'ema_decay' now",
    ]


def test_a_run_folder_of_another_format_is_refused(tmp_path: Path) -> None:
    done = finish_all(tmp_path, None)
    spec = tmp_path / "done" / "stages" / "zero" / "stage.yaml"
    spec.write_text(spec.read_text().removeprefix("format: 3\n"))
    result = r1trl("run", *done)
    assert result.returncode == 2
    assert f"error: stages.zero: {spec}: is of format 1, and this r1trl reads" in result.stderr


def test_the_report_command_prints_the_scoreboard(tmp_path: Path) -> None:
    finish_all(tmp_path, None)
    done = r1trl("report", str(tmp_path / "done"))
    assert done.returncode == 0 and "50.0 (50.0–50.0)" in done.stdout
