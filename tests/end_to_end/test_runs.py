"""Whole runs: real TRL, real processes, the shipped models, few steps.

Tests of the command and of processes start `r1trl run`. The others carry stages out in the workers
of the test session, because a process of their own imports torch and TRL first.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from ranks import at_work_in
from stage_runs import FEW_STEPS, Run

pytestmark = pytest.mark.slow

SMALL = (
    *FEW_STEPS,
    "scale.zero.steps=2",
    "scale.evaluation.n=2",
    "benchmarks.held_out.options.count=16",
    "sources.problems.options.count=64",
)
ONE_STAGE = ("~stages.zero", "~stages.scoreboard")


def command(*overrides: str) -> list[str]:
    """Return the command of a small run."""
    return [sys.executable, "-m", "r1trl.cli", "run", "scale=tiny", *SMALL, *overrides]


def r1trl(folder: Path, *overrides: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command(*overrides), cwd=folder, text=True, capture_output=True, timeout=300
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done


def small_run(folder: Path, recipe: str, *overrides: str) -> Run:
    """Return a small run of a shipped recipe, for the workers of the test session."""
    return Run(folder, f"# @package _global_\ndefaults: [{recipe}]\n", *SMALL, *overrides)


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def wait_for(condition, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A finished run of the recipe zero."""
    folder = tmp_path_factory.mktemp("finished")
    r1trl(folder, "recipe=zero", "name=a")
    return folder / "runs" / "a"


def test_a_run_leaves_the_files_that_the_readme_names(finished: Path) -> None:
    for name in ("config.yaml", "report.md", "report.html"):
        assert (finished / name).stat().st_size
    zero = finished / "stages" / "zero"
    for name in ("stage.yaml", "metrics.jsonl", "completions.jsonl", "trainer_args.json"):
        assert (zero / name).stat().st_size
    assert (zero / "model" / "model.safetensors").exists()
    assert (zero / "data" / "filters.json").exists()
    board = json.loads((finished / "stages" / "scoreboard" / "result.json").read_text())
    assert 0 <= board["metrics"]["base/held_out/pass@1"] <= 1
    assert {"zero/held_out/cons@k", "zero/held_out/language_consistency"} <= set(board["metrics"])


def test_a_stage_starts_from_the_weights_that_it_names(finished: Path) -> None:
    spec = yaml.safe_load((finished / "stages" / "zero" / "stage.yaml").read_text())
    assert spec["settings"]["model"] == "stage:zero_first"
    assert spec["inputs"]["stage:zero_first"] == "../zero_first/model"
    arguments = json.loads((finished / "stages" / "zero" / "trainer_args.json").read_text())
    assert arguments["generation_batch_size"] == 32
    assert arguments["gradient_accumulation_steps"] == 2
    assert arguments["use_bias_correction_kl"] is False
    assert arguments["ref_model_mixup_alpha"] == 1.0


def test_the_same_command_again_changes_nothing(finished: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in finished.glob("stages/**/*") if p.is_file()}
    start = time.monotonic()
    done = r1trl(finished.parent.parent, "recipe=zero", "name=a")
    assert time.monotonic() - start < 20
    assert done.stdout.count("is already finished") == 3
    assert {p: p.stat().st_mtime_ns for p in finished.glob("stages/**/*") if p.is_file()} == before


def test_a_finished_stage_with_other_settings_stops_the_plan(finished: Path) -> None:
    changed = ("recipe=zero", "name=a", "stages.zero.args.learning_rate=1e-5")
    done = r1trl(finished.parent.parent, *changed, status=2)
    assert "stages.zero.args.learning_rate: was 0.0002, would be 1e-05" in done.stderr
    assert "redo=zero" in done.stderr and "keep=zero" in done.stderr


@pytest.mark.long
def test_in_a_copy_a_removed_stage_is_trained_again_and_later_ones_are_used(
    finished: Path, tmp_path: Path
) -> None:
    shutil.copytree(finished, tmp_path / "runs" / "b")
    again = tmp_path / "runs" / "b" / "stages" / "zero_first"
    shutil.rmtree(again)
    done = r1trl(tmp_path, "recipe=zero", "name=b")
    assert "zero_first finished in" in done.stdout
    assert done.stdout.count("is already finished") == 2, "the weights are the same to the bit"
    with (again / "model" / "model.safetensors").open("r+b") as weights:
        weights.seek(100_000)
        weights.write(b"\0\0\0\0")
    done = r1trl(tmp_path, "recipe=zero", "name=b", status=2)
    assert "model.safetensors is not what the stage has made" in done.stderr
    done = r1trl(tmp_path, "recipe=zero", "name=b", "redo=zero_first", "until=zero_first")
    assert "left: zero, scoreboard" in done.stdout


WHOLE = (
    "scale.samples={prompts: 128, n: 8, temperature: 1.0, tokens: 64, batch: 512}",
    "scale.rejection={prompts: 128, n: 2}",
    "scale.cold_start.epochs=1",
    "scale.sft.epochs=1",
    "scale.general.count=16",
    "scale.dev2.steps=2",
    "scale.r1={steps: 4, general_from: 2, learning_rate: 1e-4, temperature: 0.7, tokens: 48}",
    "scale.distill={epochs: 1, batch: 32, tokens: 256, prompts: 256, n: 1}",
    "scale.student_rl.steps=2",
    "sources.problems.options.count=256",
)


KILLED_IN = {  # a stage of each kind but grpo, and a file that it writes before its end
    "zero_samples": "data/rows.parquet",
    "dev1": "metrics.jsonl",
    "helpful_rm": "metrics.jsonl",
    "scoreboard": "shards/*/*/*.parquet",
}


@pytest.mark.long
def test_the_whole_paper_is_one_run_that_survives_a_kill_in_any_kind_of_stage(
    tmp_path: Path,
) -> None:
    overrides = ("recipe=full", "name=f", *WHOLE)
    stages = tmp_path / "runs" / "f" / "stages"
    for name, pattern in KILLED_IN.items():
        driver = subprocess.Popen(command(*overrides), cwd=tmp_path, stdout=subprocess.DEVNULL)
        wait_for(lambda folder=stages / name, file=pattern: list(folder.glob(file)), 240)
        for pid in [driver.pid, *at_work_in(tmp_path)]:
            os.kill(pid, signal.SIGKILL)
        driver.wait()
        wait_for(lambda: not at_work_in(tmp_path), 10)
        assert not (stages / name / "result.json").exists(), "the kill came too late"
    done = r1trl(tmp_path, *overrides)
    for name in KILLED_IN:
        assert (stages / name / "log.1.txt").exists()
    for model in ("base", "zero", "dev1", "dev2", "dev3", "r1", "student", "student_rl"):
        assert f"| {model} " in done.stdout
    filters = json.loads((stages / "dev1" / "data" / "filters.json").read_text())["cold_start"]
    assert [step["filter"] for step in filters][:3] == ["correct", "readable", "one_language"]
    trained = [row["step"] for row in rows(stages / "dev1" / "metrics.jsonl") if "loss" in row]
    assert trained == list(range(1, len(trained) + 1))
    r1 = {row["step"]: row for row in rows(stages / "r1" / "metrics.jsonl")}
    general = {"rewards/helpfulness/mean", "rewards/safety/mean"}
    assert not general & set(r1[1])
    assert general & set(r1[3])


@pytest.mark.long
def test_a_killed_run_continues_from_its_checkpoint(tmp_path: Path) -> None:
    overrides = ("recipe=zero", "name=k", *ONE_STAGE, "scale.zero.first_steps=8")
    stage = tmp_path / "runs" / "k" / "stages" / "zero_first"
    driver = subprocess.Popen(command(*overrides), cwd=tmp_path, stdout=subprocess.DEVNULL)
    wait_for(lambda: list(stage.glob("checkpoints/checkpoint-*/complete.json")))
    driver.kill()
    driver.wait()
    wait_for(lambda: not at_work_in(tmp_path), 10)
    r1trl(tmp_path, *overrides)
    steps = [row["step"] for row in rows(stage / "metrics.jsonl") if "loss" in row]
    assert steps == list(range(1, 9))
    assert (stage / "log.1.txt").exists()


@pytest.mark.long
def test_a_signal_saves_and_the_same_command_continues(tmp_path: Path) -> None:
    overrides = ("recipe=zero", "name=s", *ONE_STAGE, "scale.zero.first_steps=16")
    stage = tmp_path / "runs" / "s" / "stages" / "zero_first"
    driver = subprocess.Popen(command(*overrides), cwd=tmp_path, stdout=subprocess.DEVNULL)
    wait_for(lambda: (stage / "metrics.jsonl").exists() and rows(stage / "metrics.jsonl"))
    driver.send_signal(signal.SIGTERM)
    assert driver.wait(timeout=60) == 3
    assert not (stage / "result.json").exists()
    reached = rows(stage / "metrics.jsonl")[-1]["step"]
    assert reached < 16
    assert (stage / "checkpoints" / f"checkpoint-{reached}" / "complete.json").exists()
    r1trl(tmp_path, *overrides)
    assert (stage / "result.json").exists()


@pytest.mark.long
def test_the_reference_model_is_restored_with_the_checkpoint(tmp_path: Path) -> None:
    """It was replaced at step 4, and the rollout at step 6 is compared with it."""
    learn = (*ONE_STAGE, "scale.rl.reference_every=4", "scale.rl.save_every=4")
    learn = (*learn, "stages.zero_first.args.learning_rate=1e-3", "scale.zero.first_steps=8")
    runs = {name: small_run(tmp_path / name, "zero", *learn) for name in ("whole", "cut")}
    assert runs["whole"].carry_out() == 0, runs["whole"].log("zero_first")
    runs["cut"].carry_out_killed("zero_first", 5)
    logs = {name: run.metrics("zero_first") for name, run in runs.items()}
    kl = {n: {row["step"]: row["kl"] for row in log if "kl" in row} for n, log in logs.items()}
    assert kl["cut"] == pytest.approx(kl["whole"], rel=1e-2, abs=1e-6)
    assert kl["cut"][5] == pytest.approx(0.0, abs=1e-6)
    assert kl["cut"][7] > 1e-4


@pytest.mark.long
def test_two_processes_train_under_accelerate(tmp_path: Path) -> None:
    run = small_run(tmp_path, "zero", *ONE_STAGE, "launch=cpu2")
    assert run.carry_out() == 0, run.log("zero_first")
    arguments = json.loads((run.stages / "zero_first" / "trainer_args.json").read_text())
    assert arguments["processes"] == 2
    assert arguments["generation_batch_size"] == 32
    assert arguments["gradient_accumulation_steps"] == 1
    assert [row["step"] for row in run.metrics("zero_first")] == [1, 2, 3, 4]


@pytest.mark.long
def test_two_processes_fine_tune_with_zero3(tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    pairs = [{"prompt": f"Compute {i}.", "completion": f"<answer>{i}</answer>"} for i in range(32)]
    data.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    r1trl(
        tmp_path,
        "name=z",
        "+stage@stages.tune=sft",
        f"stages.tune.data.pairs.path={data}",
        "stages.tune.args.num_train_epochs=1",
        "stages.tune.args.per_device_train_batch_size=8",
        "launch=cpu2-zero3",
    )
    stage = tmp_path / "runs" / "z" / "stages" / "tune"
    arguments = json.loads((stage / "trainer_args.json").read_text())
    assert (arguments["processes"], arguments["zero_stage"]) == (2, 3)
    assert (stage / "model" / "model.safetensors").stat().st_size > 3_000_000


STATEFUL = "adaptive: {}, dynamic: {rounds: 2}"
SAMPLERS = [
    STATEFUL,
    "curriculum: {steps: 5}, reward_range: {max_mean: 1.0, rounds: 1}",
    pytest.param("phases: {by: language, start_steps: {zh: 3}}", marks=pytest.mark.long),
    pytest.param("uniform: {}", marks=pytest.mark.long),
]
SAMPLED = (*ONE_STAGE, "wandb.completions=32", "scale.zero.first_steps=6")


@pytest.mark.long
@pytest.mark.parametrize("samplers", SAMPLERS)
def test_samplers_continue_as_if_uninterrupted(samplers: str, tmp_path: Path) -> None:
    chosen = (*SAMPLED, f"stages.zero_first.samplers={{{samplers}}}")
    whole, cut = (small_run(tmp_path / name, "zero", *chosen) for name in ("whole", "cut"))
    assert whole.carry_out() == 0, whole.log("zero_first")
    cut.carry_out_killed("zero_first", 3)
    assert_same_samples(whole.stages / "zero_first", cut.stages / "zero_first", samplers)


@pytest.mark.long
@pytest.mark.parametrize("samplers", SAMPLERS)
def test_samplers_of_two_processes_continue_as_if_uninterrupted(
    samplers: str, tmp_path: Path
) -> None:
    chosen = f"stages.zero_first.samplers={{{samplers}}}"
    more = ("recipe=zero", *SAMPLED, chosen, "launch=cpu2")
    r1trl(tmp_path, "name=whole", *more)
    whole, cut = (tmp_path / "runs" / n / "stages" / "zero_first" for n in ("whole", "cut"))
    driver = subprocess.Popen(command("name=cut", *more), cwd=tmp_path, stdout=subprocess.DEVNULL)
    wait_for(lambda: list(cut.glob("checkpoints/checkpoint-*/complete.json")))
    for pid in [driver.pid, *at_work_in(tmp_path)]:
        os.kill(pid, signal.SIGKILL)
    driver.wait()
    wait_for(lambda: not at_work_in(tmp_path), 10)
    r1trl(tmp_path, "name=cut", *more)
    assert_same_samples(whole, cut, samplers)


def assert_same_samples(whole: Path, cut: Path, samplers: str) -> None:
    """Assert that two stages logged the same values and completed the same prompts."""
    logs = [[r for r in rows(f / "metrics.jsonl") if "reward" in r] for f in (whole, cut)]
    for row, again in zip(*logs, strict=True):
        for name in ("step", "reward", "completions/mean_length", "sampling/groups/refused"):
            assert row.get(name) == pytest.approx(again.get(name)), name
    if samplers == STATEFUL:
        refused = [row["sampling/groups/refused"] for row in logs[0]]
        assert 0 < max(refused) <= 1
        assert max(row["sampling/groups/rounds"] for row in logs[0]) == 3
    prompts, again = ([r["prompt"] for r in rows(f / "completions.jsonl")] for f in (whole, cut))
    assert prompts == again
    assert len(prompts) >= 3 * 4


@pytest.mark.long
@pytest.mark.parametrize("recipe", ["dapo", "dr_grpo"])
def test_the_later_algorithms_train(recipe: str, tmp_path: Path) -> None:
    run = small_run(tmp_path, recipe, f"scale.{recipe}.steps=4")
    assert run.carry_out() == 0, run.log(recipe)
    board = json.loads((run.stages / "scoreboard" / "result.json").read_text())
    assert f"{recipe}/held_out/pass@1" in board["metrics"]
    logged = run.metrics(recipe)
    assert [row["step"] for row in logged] == [1, 2, 3, 4]
    assert ("sampling/groups/refused" in logged[0]) == (recipe == "dapo")


RLOO = """# @package _global_
defaults: [/stage@stages.rl: rloo, _self_]
stages:
  rl:
    template: "User: {{ prompt }} Assistant:"
    data: {problems: {}}
    rewards: {accuracy: {answer: answer_tag}}
    args: {max_steps: 2, max_completion_length: 32}
"""


@pytest.mark.long
def test_rloo_trains_too(tmp_path: Path) -> None:
    run = Run(tmp_path, RLOO, *SMALL)
    assert run.carry_out() == 0, run.log("rl")
    assert "rewards/accuracy/mean" in run.metrics("rl")[0]


BROKEN = """
import r1trl

def short(prompts, completions, completion_ids, **columns):
    return [1.0]

def undefined(prompts, completions, completion_ids, **columns):
    return [float("nan")] * len(prompts)

@r1trl.hookimpl
def r1trl_rewards():
    return {"short": short, "undefined": undefined}
"""


BAD_VALUES = {
    "short": "reward 'short' returned 1 values for 32 completions",
    "undefined": "reward 'undefined' returned nan for row 0",
}


@pytest.mark.parametrize("reward", BAD_VALUES)
def test_a_reward_with_invalid_values_is_named(reward: str, plugin_file, tmp_path: Path) -> None:
    overrides = (
        f"plugins.load=[{plugin_file(BROKEN)}]",
        f"+stages.zero_first.rewards.{reward}={{}}",
    )
    run = small_run(tmp_path, "zero", *ONE_STAGE, *overrides)
    assert run.carry_out() == 1
    assert BAD_VALUES[reward] in run.log("zero_first")


def test_the_command_shows_why_a_stage_failed(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    overrides = ("plugins.load=[./broken.py]", "+stages.zero_first.rewards.short={}")
    done = r1trl(tmp_path, "recipe=zero", "name=b", *ONE_STAGE, *overrides, status=1)
    assert "stage zero_first failed: stages.zero_first.rewards.short: " in done.stderr
    assert BAD_VALUES["short"] in done.stderr
    assert "see runs/b/stages/zero_first/log.txt" in done.stderr
