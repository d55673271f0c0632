"""No file below a run, no output, holds a secret: runs that end well, that fail, and processes."""

import os
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.long]

FROM_VARIABLE, TYPED = "hf_FromVariable0123456789", "hf_TypedTypedTyped0123456789"
OF_PROCESSES = "0123456789abcdef0123456789abcdef01234567"
RECIPE = """# @package _global_
defaults:
  - /stage@stages.tuned: sft
  - /stage@stages.broken: sft
  - _self_
stages:
  tuned:
    checkpoints: keep
    template: "{{ prompt }}"
    data: {rows: {path: "${oc.env:PLACE}/rows.jsonl"}}
    max_truncated_rate: 1.0
    transitions: {check_model: null}
    args: {max_steps: 1, max_length: 64, hub_token: "${oc.env:A_NAME}"}
  broken:
    model: stage:tuned
    template: "{{ prompt }}"
    data: {rows: {path: "${oc.env:PLACE}/rows.jsonl"}}
    args: {max_steps: 1}
"""
PLUGIN = """
import os

import r1trl

@r1trl.hookimpl
def r1trl_stage_started(stage):
    assert stage.settings["args"]["hub_token"].startswith("hf_")
    assert os.environ["WANDB_API_KEY"] == os.environ["EXPECTED_KEY"]
    if stage.name == "broken":
        raise RuntimeError(f"401 with {stage.settings['args']['hub_token']}")
"""


@pytest.fixture(
    scope="module", params=["local", pytest.param("accelerate", marks=pytest.mark.long)]
)
def done(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple:
    """Return the folder and the output of a run whose second stage fails with its secret."""
    folder = tmp_path_factory.mktemp("secrets")
    place = folder / "a place of data"
    for each in (place, folder / "conf" / "recipe"):
        each.mkdir(parents=True)
    (place / "rows.jsonl").write_text('{"prompt": "1 + 1 = ", "completion": "2"}\n' * 64)
    (folder / "conf" / "recipe" / "mine.yaml").write_text(RECIPE)
    (folder / "mine.py").write_text(PLUGIN)
    words = ["recipe=mine", "scale=tiny", "name=x", "plugins.load=[mine.py]"]
    words += [f"stages.broken.args.hub_token={TYPED}", f"launch.how={request.param}"]
    words += [f"launch.environment={{WANDB_API_KEY: '{OF_PROCESSES}'}}"]
    words += ["wandb={enabled: true, mode: offline}", "scale.sft.micro_batch=32"]
    command = [sys.executable, "-m", "r1trl.cli", "run", "--config-dir", "conf", *words]
    own = {"A_NAME": FROM_VARIABLE, "PLACE": str(place), "EXPECTED_KEY": OF_PROCESSES}
    ended = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **own},
        text=True,
        capture_output=True,
        timeout=300,
    )
    return folder, ended.returncode, ended.stdout + ended.stderr


def test_the_first_stage_ends_well_and_the_second_fails_without_its_secret(done: tuple) -> None:
    folder, status, output = done
    assert status == 1, output
    assert (folder / "runs/x/stages/tuned/result.json").exists(), output
    assert not (folder / "runs/x/stages/broken/result.json").exists()
    assert "r1trl_stage_started: " in output and "preflight" in output, output


def test_no_file_and_no_output_has_a_secret(done: tuple) -> None:
    folder, _, output = done
    files = [file for file in (folder / "runs").rglob("*") if file.is_file()]
    names = {file.name for file in files}
    wanted = {"config.yaml", "settings.yaml", "stage.yaml", "log.txt", "trainer_args.json"}
    assert wanted <= names and "training_args.bin" in names
    for secret in (FROM_VARIABLE, TYPED, OF_PROCESSES):
        assert secret not in output
        for file in files:
            assert secret.encode() not in file.read_bytes(), file


def test_a_place_from_the_environment_is_written_by_its_name(done: tuple) -> None:
    folder, _, _ = done
    for name in ("config.yaml", "preflight/settings.yaml", "stages/tuned/stage.yaml"):
        text = (folder / "runs/x" / name).read_text()
        assert "${oc.env:PLACE}/rows.jsonl" in text and "a place of data" not in text


def test_others_may_read_what_a_stage_hands_over(done: tuple) -> None:
    folder, _, _ = done
    run = folder / "runs/x"
    mask = os.umask(0o077)
    os.umask(mask)
    for file in (run, *run.rglob("*")):
        if "checkpoints" not in file.parts and not file.is_symlink():
            usual = (0o755 if file.is_dir() else 0o644) & ~mask
            assert file.stat().st_mode & 0o755 == usual, file
