"""`r1trl eval`: a model on benchmarks, in a run of its own or as one more stage of its run."""

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from finished import finish
from stage_runs import workers

from r1trl.config.compose import compose
from r1trl.errors import ConfigError
from r1trl.eval.asked import question
from r1trl.eval.of_stage import plan_of_stage
from r1trl.eval.own_run import run_overrides
from r1trl.plan.plan import Plan, make_plan
from r1trl.run.loop import write_stage
from r1trl.stage.files import read_result, read_spec

SMALL = ("scale.evaluation.n=1", "scale.evaluation.tokens=24", "benchmarks.held_out.sample_rows=8")
TRAINED = ("recipe=zero", "scale=tiny", "name=demo")
ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "docs" / "COMMANDS.md"]
COMMANDS = [
    line.partition(" #")[0].strip()
    for file in DOCUMENTS
    for line in file.read_text(encoding="utf-8").splitlines()
    if line.startswith("r1trl eval ")
]


def own(model: str, *words: str) -> Any:
    """Return the config of the run of its own that evaluates a model."""
    return compose(run_overrides(question(model, words, None)), None).config


def test_a_run_of_its_own_asks_the_model_the_benchmarks_named() -> None:
    run = own("tiny", "held_out", "gsm8k-test", "scale=tiny")
    board = run.stages["scoreboard"]
    assert run.name == "eval-tiny-held_out-gsm8k-test"
    assert list(board.models) == ["tiny"] and board.models["tiny"].path == run.model.path
    assert set(board.benchmarks) == {"held_out", "gsm8k_test"}
    assert board.benchmarks["gsm8k_test"].path == "openai/gsm8k"
    assert board.benchmarks["held_out"] == run.benchmarks["held_out"]


def test_without_benchmarks_those_of_the_scale_are_asked(tmp_path: Path) -> None:
    folder = tmp_path / "it's mine"
    folder.mkdir()
    run = own(str(folder), "scale=tiny", "name=other")
    assert run.name == "other" and run.model.path == str(folder)
    assert not run.stages["scoreboard"].benchmarks and "held_out" in run.benchmarks
    assert list(run.stages["scoreboard"].models) == ["it-s-mine"]
    assert own("some/one").model.path == "some/one"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["tinyy"], "there is no model 'tinyy' (did you mean 'tiny'?)"),
        (["runs/nope/stages/zero", "unseen"], "there is no folder runs/nope/stages/zero"),
        (["tiny", "math-50"], "no benchmark is called 'math-50' (did you mean 'math-500'?)"),
        (["tiny", "math_50"], "no benchmark is called 'math_50' (did you mean 'math_500'?)"),
    ],
)
def test_a_model_or_benchmark_that_is_not_there_is_refused(words: list[str], problem: str) -> None:
    with pytest.raises(ConfigError) as raised:
        own(*words)
    assert raised.value.problems[0].startswith(problem)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run whose training looks finished, with the real base as models."""
    folder = tmp_path_factory.mktemp("own") / "runs"
    composed = compose([*TRAINED, f"runs_dir={folder}", "plugins.load=[]"], None)
    plan = make_plan(composed)
    for stage in plan.stages[:2]:
        model = finish(stage) / "model"
        (model / "weights").unlink()
        for file in Path(composed.config.model.path).iterdir():
            (model / file.name).symlink_to(file)
    (folder / "demo" / "config.yaml").write_text(composed.text, encoding="utf-8")
    return folder / "demo"


def added(run: Path, stage: str, *words: str) -> Plan:
    """Return the plan of the stage that evaluates a stage of a run."""
    asked = question(str(run / "stages" / stage), words, None)
    assert asked.stage is not None
    return plan_of_stage(asked, asked.stage)


def test_a_stage_is_asked_as_its_run_asks_and_judged_by_its_runs_verifiers(run: Path) -> None:
    plan = added(run, "zero_first", "held_out", "scale.evaluation.n=3")
    (stage,) = plan.stages
    config: Any = stage.config
    assert stage.folder.resolve() == run / "stages" / "eval_zero_first-held_out"
    assert config.models["zero_first"].template == "User: {{ prompt }} Assistant:"
    assert list(config.benchmarks) == ["held_out"]
    assert config.metrics["correct"] == "first_of" and "safe_reply" in config.rewards
    assert config.sampling.n == 3
    assert stage.spec.inputs.keys() == {"stage:zero_first"}


def test_without_benchmarks_a_stage_is_asked_those_of_its_run(run: Path) -> None:
    (stage,) = added(run, "zero_first").stages
    assert stage.folder.name == "eval_zero_first"
    assert {"held_out", "harder", "helpful"} <= stage.config.benchmarks.keys()


def test_a_run_without_a_scoreboard_is_judged_as_by_the_recipe(run: Path) -> None:
    file = run / "config.yaml"
    text = file.read_text(encoding="utf-8")
    values = yaml.safe_load(text)
    del values["stages"]["scoreboard"]
    try:
        file.write_text(yaml.safe_dump(values), encoding="utf-8")
        (stage,) = added(run, "zero_first", "aime-2024").stages
    finally:
        file.write_text(text, encoding="utf-8")
    assert stage.config.benchmarks["aime_2024"].path == "HuggingFaceH4/aime_2024"
    assert stage.config.rewards["accuracy"]["answer"] == "tag_or_box"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["zero_fist"], "no stage is called 'zero_fist' (did you mean 'zero_first'?)"),
        (["scoreboard"], "the stage has not finished; these have made a model: zero, zero_first"),
        (["zero_first", "launch=cpu2"], "launch: is chosen when a run is composed"),
        (["zero_first", "held_uot"], "no benchmark is called 'held_uot' (did you mean 'held_out'"),
        (["zero_first", "scale.evaluation.m=1"], "scale.evaluation.m: nothing in this run refers"),
    ],
)
def test_what_cannot_be_asked_of_a_stage_is_refused(
    run: Path, words: list[str], problem: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        added(run, *words)
    assert problem in raised.value.problems[0]


def test_a_runs_folder_is_no_model_and_one_of_its_stages_is_named(run: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        own(str(run), "unseen")
    (problem,) = raised.value.problems
    assert problem.endswith(
        f"is the folder of a run; give the folder of one of its stages, such "
        f"as {run / 'stages' / 'zero'}"
    )


@pytest.mark.slow
@pytest.mark.long
def test_a_stage_added_to_a_run_is_carried_out_and_can_be_moved(run: Path) -> None:
    (stage,) = added(run, "zero_first", "held_out", *SMALL).stages
    write_stage(stage)
    assert workers().run(stage.folder, stage.launch) == 0
    result, spec = read_result(stage.folder), read_spec(stage.folder)
    assert result is not None and "zero_first/held_out/pass@1" in result.metrics
    assert spec is not None and spec.scores
    text = (stage.folder / "stage.yaml").read_text(encoding="utf-8")
    assert "stage:zero_first: ../zero_first/model" in text
    (again,) = added(run, "zero_first", "held_out", *SMALL).stages
    assert again.finished
    with pytest.raises(ConfigError, match=r"sampling\.n: was 1, would be 2, and the stage is fini"):
        added(run, "zero_first", "held_out", *SMALL, "scale.evaluation.n=2")


@pytest.mark.long
@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_of_the_documents_are_planned(
    command: str, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run.parents[1])
    for there, here in (("runs/mine", "runs/demo"), ("stages/r1", "stages/zero")):
        command = command.replace(there, here)
    model, *words = shlex.split(command)[2:]
    asked = question(model, words, None)
    if asked.stage is not None:
        (stage,) = plan_of_stage(asked, asked.stage).stages
    else:
        (stage,) = make_plan(compose(run_overrides(asked), None)).stages
    assert not stage.finished and stage.spec.scores


def r1trl(*words: str, folder: Path) -> str:
    """Run a command in a folder; return what it printed."""
    command = [sys.executable, "-m", "r1trl.cli", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.long
def test_the_command_adds_to_a_run_and_makes_one(run: Path, tmp_path: Path) -> None:
    config = (run / "config.yaml").read_text(encoding="utf-8")
    command = "r1trl eval runs/demo/stages/zero held_out"
    assert command in COMMANDS
    told = r1trl(*command.split()[1:], folder=run.parents[1])
    assert "| zero  | held_out  |" in told and "has eval_zero-held_out" in told
    assert (run / "config.yaml").read_text(encoding="utf-8") == config
    assert not (run / "run.json").exists()
    assert "eval_zero-held_out" in (run / "report.md").read_text(encoding="utf-8")
    told = r1trl("eval", "tiny", "held_out", "scale=tiny", *SMALL, folder=tmp_path)
    assert "| tiny  | held_out  |" in told
    assert (tmp_path / "runs" / "eval-tiny-held_out" / "report.html").exists()
