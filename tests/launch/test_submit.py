"""A run's batch script: its options, its set-up, and the driver that it becomes."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from r1trl.config.compose import compose
from r1trl.errors import ConfigError, R1trlError
from r1trl.launch.submit import batch_script, driver_command, requeue, submit
from r1trl.plan.plan import Plan, make_plan

TINY = ("recipe=zero", "scale=tiny", "name=x", "launch.processes=1")
RUN = ("python", "-m", "r1trl.cli", "run", *TINY)


def planned(*overrides: str) -> Plan:
    """Return the plan of a small run."""
    return make_plan(compose([*TINY, *overrides], None))


def options(script: str) -> list[str]:
    """Return what a batch script asks of sbatch."""
    return [line.removeprefix("#SBATCH ") for line in script.splitlines() if "#SBATCH" in line]


def test_the_script_has_the_largest_stage_s_nodes_and_becomes_the_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plan = planned(
        *("launch=slurm", "launch.nodes=2", "launch.grace=90", "launch.requeues=5"),
        "stages.scoreboard.launch.nodes=1",
    )
    assert batch_script(plan, RUN).splitlines() == [
        "#!/bin/bash",
        "#SBATCH --job-name=r1trl-x",
        "#SBATCH --nodes=2",
        f"#SBATCH --output={tmp_path}/runs/x/slurm-%j.txt",
        "#SBATCH --signal=B:USR1@150",
        "#SBATCH --requeue",
        "#SBATCH --open-mode=append",
        "#SBATCH --partition=gpu",
        "#SBATCH --time=24:00:00",
        "#SBATCH --gpus-per-node=1",
        "#SBATCH --exclusive",
        "set -e",
        f"cd {tmp_path}",
        "export R1TRL_REQUEUES=5",
        "exec python -m r1trl.cli run recipe=zero scale=tiny name=x launch.processes=1",
    ]


def test_an_option_is_given_with_its_value_or_alone_or_taken_away() -> None:
    given = "{account: mine, exclusive: null, partition: cpu, nodes: 3, contiguous: true}"
    asked = options(batch_script(planned("launch=slurm", f"launch.sbatch={given}"), RUN))
    assert {"--account=mine", "--partition=cpu", "--nodes=3", "--contiguous"} <= set(asked)
    assert "--nodes=1" not in asked
    assert not [option for option in asked if option.startswith(("--exclusive", "--time"))]
    more = planned("launch=slurm", "launch.sbatch.mem=0", "launch.sbatch.exclusive=null")
    asked = options(batch_script(more, RUN))
    assert {"--mem=0", "--time=24:00:00"} <= set(asked)
    assert "--exclusive" not in asked


def test_what_has_spaces_is_quoted_and_set_up_comes_before_the_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a b"
    folder.mkdir()
    monkeypatch.chdir(folder)
    lines = "launch.setup=['module load cuda','export A=1']"
    comment = "launch.sbatch={comment: 'of ours # 1'}"
    script = batch_script(planned("launch=slurm", lines, comment), ["my python", "x=[a, b]"])
    asked = [shlex.split(option) for option in options(script)]
    assert all(len(option) == 1 for option in asked)
    assert [f"--output={folder}/runs/x/slurm-%j.txt"] in asked
    assert ["--comment=of ours # 1"] in asked
    rest = script.splitlines()[script.splitlines().index("set -e") + 1 :]
    assert rest[:3] == [f"cd '{folder}'", "module load cuda", "export A=1"]
    assert rest[-1] == "exec 'my python' 'x=[a, b]'"


def test_bash_carries_a_script_out_to_the_driver_and_stops_at_a_failing_set_up() -> None:
    told = ["printf", "%s|", "a b", "$HOME", "'"]
    done = subprocess.run(
        ["bash", "-c", batch_script(planned("launch=slurm"), told)], capture_output=True, text=True
    )
    assert done.stdout == "a b|$HOME|'|"
    failing = batch_script(planned("launch=slurm", "launch.setup=['false']"), told)
    done = subprocess.run(["bash", "-c", failing], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")


def test_the_driver_gets_the_overrides_and_the_folder_of_recipes() -> None:
    command = driver_command(["recipe=mine", "x=1"], Path("my conf"))
    assert command[1:] == [
        *("-m", "r1trl.cli", "run"),
        *("--config-dir=my conf", "recipe=mine", "x=1"),
    ]


def test_a_run_without_slurm_is_not_submitted() -> None:
    with pytest.raises(ConfigError, match=r"launch\.how: no stage is launched by Slurm; give"):
        batch_script(planned("launch=accelerate"), RUN)


def test_without_slurm_here_it_says_so_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(R1trlError, match="sbatch is not here: submit from a machine of the Slurm"):
        submit(planned("launch=slurm"), "")
    assert not list(tmp_path.iterdir())


def slurm_of(folder: Path, monkeypatch: pytest.MonkeyPatch, **programs: str) -> None:
    """Put Slurm's programs first in the path, each a line of shell."""
    folder.mkdir()
    for name, line in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{line}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_a_submitted_run_says_how_to_follow_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    slurm_of(tmp_path / "bin", monkeypatch, sbatch='[ -f "$2" ] && echo "117;cluster"')
    assert submit(planned("launch=slurm"), "the script") == 0
    assert Path("runs/x/submit.sh").read_text() == "the script"
    said = capsys.readouterr().out
    assert "job 117 is submitted" in said and "tail -F runs/x/slurm-117.txt" in said
    assert "scancel --batch --signal=USR1 117" in said


def test_a_refusal_of_slurm_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    slurm_of(tmp_path / "bin", monkeypatch, sbatch="echo sbatch: error: no account >&2; exit 1")
    with pytest.raises(R1trlError, match=r"sbatch refuses runs/x/submit\.sh: sbatch: error: no a"):
        submit(planned("launch=slurm"), "")


@pytest.mark.parametrize(
    ("environment", "state", "said"),
    [
        ({"SLURM_JOB_ID": "7", "R1TRL_REQUEUES": "3"}, "RUNNING", "queued again (1 of 3)"),
        ({"SLURM_JOB_ID": "7"}, "RUNNING", ""),
        ({"SLURM_JOB_ID": "7", "R1TRL_REQUEUES": "3"}, "CANCELLED", "7 is CANCELLED: it is not"),
        (
            {"SLURM_JOB_ID": "7", "R1TRL_REQUEUES": "3", "SLURM_RESTART_COUNT": "3"},
            *("RUNNING", "has been queued again 3 times, launch.requeues=3: it ends here"),
        ),
    ],
)
def test_a_job_is_queued_again_only_where_r1trl_has_submitted_it_and_so_often(
    environment: dict[str, str],
    state: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = tmp_path / "asked"
    line = (
        f'case $1 in requeue) echo "$2" > {asked};; *) echo "JobId=7 JobState={state} X=1";; esac'
    )
    slurm_of(tmp_path / "bin", monkeypatch, scontrol=line)
    requeue(environment)
    assert said in capsys.readouterr().out
    assert asked.exists() == ("(1 of 3)" in said)
