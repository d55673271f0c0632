"""The doctor tells what a machine, or the nodes of a launch, can and cannot do; really tried."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from machine import require

from r1trl.doctor.asked import composed
from r1trl.doctor.doctor import doctor, merged
from r1trl.doctor.finding import Finding
from r1trl.errors import ConfigError

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "DOCTOR.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^r1trl doctor(.*?)(?: +#.*)?$", PAGE, re.M)
HEAVY = "{'torch', 'trl', 'transformers', 'datasets', 'accelerate'}"
SAY_IMPORTS = (
    "import sys; from r1trl.cli import main; status = main(); "
    f"print({HEAVY} & {{*sys.modules}} or 'light'); sys.exit(status)"
)


def lines_of(output: str, state: str, what: str = "") -> list[str]:
    """Return the texts of the lines of a state, about something."""
    found = re.findall(rf"^{state} +(\S+) +(.*)$", output, re.M)
    return [text for name, text in found if name.startswith(what)]


def run(folder: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    """Look at something by the command, in a folder."""
    command = [sys.executable, "-c", SAY_IMPORTS, "doctor", *overrides]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_its_page_is_a_launch(command: str) -> None:
    assert len(COMMANDS) >= 5
    composed(command.split(), None)


@pytest.mark.slow
def test_this_machine_is_looked_at_without_a_recipe_and_nothing_is_left(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    for what in ("nodes", "versions", "folder", "packages", "disk", "plugins", "all-reduce"):
        assert lines_of(done.stdout, "ok", what), (what, done.stdout)
    assert lines_of(done.stdout, "(?:ok|note)", "gpus") and lines_of(done.stdout, "note", "hub")
    assert not lines_of(done.stdout, "wrong")
    assert done.stdout.splitlines()[-1] == "light"
    assert not [*tmp_path.iterdir()]


@pytest.mark.slow
def test_two_ranks_sum_really(tmp_path: Path) -> None:
    done = run(tmp_path, "launch=cpu2")
    assert done.returncode == 0, done.stdout + done.stderr
    [text] = lines_of(done.stdout, "ok", "all-reduce")
    found = re.fullmatch(r"64 MiB over 2 ranks by gloo in ([\d.]+) s: ([\d.]+) GB/s", text)
    assert found, text
    assert float(found[2]) == pytest.approx((64 << 20) / float(found[1]) / 1e9, rel=0.1)


@pytest.mark.slow
def test_ranks_that_do_not_find_each_other_are_wrong(tmp_path: Path) -> None:
    done = run(tmp_path, "launch=cpu2", "+launch.environment.GLOO_SOCKET_IFNAME=none0")
    assert done.returncode == 1
    [text] = lines_of(done.stdout, "wrong", "all-reduce")
    assert text.startswith("launch.processes: 2 ranks cannot exchange sums: ") and "none0" in text


def test_slurm_outside_a_job_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    assert doctor(["launch=slurm", "launch.nodes=2", f"runs_dir={tmp_path / 'runs'}"], None) == 1
    [text] = lines_of(capsys.readouterr().out, "wrong")
    assert text.startswith("launch.how: slurm starts steps of a job, and this is none")
    assert not [*tmp_path.iterdir()]


@pytest.mark.slow
def test_a_ray_cluster_that_does_not_answer_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    launch = ["launch=ray", "launch.nodes=2", "launch.address='127.0.0.1:1'"]
    assert doctor([*launch, f"runs_dir={tmp_path}"], None) == 1
    [text] = lines_of(capsys.readouterr().out, "wrong")
    assert "launch.address: nobody answers" in text or "pip install 'r1trl[ray]'" in text


def test_a_full_disk_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", tmp_path]
    mounted = os.geteuid() == 0 and not subprocess.run(command, capture_output=True).returncode
    require("mount", mounted, "no right to mount a disk")
    try:
        assert doctor([f"runs_dir={tmp_path}"], None) == 1
        assert not [*tmp_path.iterdir()]
    finally:
        subprocess.run(["umount", "-l", tmp_path], check=True)
    [text] = lines_of(capsys.readouterr().out, "wrong")
    assert text.startswith("runs_dir: ") and "there is no room (256.0 KiB of 256.0 KiB are" in text


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (["launch=slrum"], "launch: no launch is called 'slrum' (did you mean 'slurm'?)"),
        (["launch.proceses=2"], "launch.proceses: there is no such key"),
        (["launch.processes=2"], "launch.processes: how=local starts one process"),
        (["launch=cpu2", "launch.address=x"], "launch.address: how=accelerate does not read it"),
        (["seed=3"], "seed: without a recipe nothing reads it"),
    ],
)
def test_what_is_no_launch_is_refused(overrides: list[str], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        doctor(overrides, None)
    assert any(each.startswith(problem) for each in caught.value.problems), caught.value.problems


def test_a_run_has_each_launch_of_its_stages_once() -> None:
    from r1trl.doctor.asked import asked_of, launches

    own = ["stages.zero.launch={how: accelerate, processes: 2}"]
    config = composed(["recipe=zero", "scale=tiny", *own], None).config
    found = launches(config)
    assert {key: launch["how"] for key, launch in found.items()} == {
        "launch": "local",
        "stages.zero.launch": "accelerate",
    }
    chosen = asked_of(config, found["launch"]).chosen
    assert ("stages.zero.rewards.accuracy", "reward") in [(each.key, each.role) for each in chosen]


def test_what_nodes_have_alike_is_one_line_with_the_range_of_numbers() -> None:
    said = {"a": "2.0 GiB of 9.0 GiB are free", "b": "3.5 GiB of 9.0 GiB are free"}
    found = [(host, Finding("ok", "disk", text)) for host, text in said.items()]
    gpus = [(host, Finding("ok", "gpus", f"{n} x H100")) for host, n in (("a", 8), ("b", 7))]
    assert [*merged(found + gpus, 2)] == [
        Finding("ok", "disk", "2.0–3.5 GiB of 9.0 GiB are free"),
        Finding("ok", "gpus", "a: 8 x H100"),
        Finding("ok", "gpus", "b: 7 x H100"),
    ]


def test_secrets_of_a_run_are_not_in_the_command_of_a_node(monkeypatch: pytest.MonkeyPatch) -> None:
    from r1trl.doctor.asked import Asked, Chosen
    from r1trl.doctor.machine import read, written

    monkeypatch.setenv("JUDGE_API_KEY", "sk-very-secret")
    asked = Asked(
        "runs", 1, True, chosen=[Chosen("k", "reward", "judge", {"key": "sk-very-secret"})]
    )
    text = written(asked)
    assert "sk-very-secret" not in text and json.loads(text)
    assert read(text) == asked


def test_what_a_tracker_lacks_is_wrong_on_the_first_node_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from r1trl.doctor.asked import Asked, Chosen
    from r1trl.doctor.needs import need_findings

    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    asked = Asked("runs", 1, True, trackers=[Chosen("trackers.wandb", "tracker", "wandb", {})])
    first, second = ([f for f in need_findings(asked, n) if f.state == "wrong"] for n in (0, 1))
    assert [finding.text.partition(" is here")[0] for finding in first] == [
        "trackers.wandb: no key for api.wandb.ai"
    ]
    assert second == []
