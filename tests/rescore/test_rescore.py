"""`r1trl rescore` of a stage's folder: rollouts scored again without a model."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import r1trl_tiny
from awkward_models import awkward_model
from datasets import Dataset
from transformers import AutoTokenizer

from r1trl.config.kinds import load_plugins
from r1trl.errors import ConfigError, R1trlError
from r1trl.rescore.changes import turned_groups
from r1trl.rescore.rescore import rescore
from r1trl.rescore.stage import saved_spec, stage_rollouts
from r1trl.stage.files import StageSpec, write_spec

MODEL = str(Path(r1trl_tiny.__file__).parent / "models" / "base")
COMPLETIONS = [
    "<think>one</think><answer>1</answer>",
    r"<think>one</think><answer>so \boxed{2}</answer>",
    r"<think>so \boxed{2}</think> 2",
    "two",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a stage that has sampled two completions to each of two prompts."""
    return write_stage(tmp_path, MODEL, {})


def write_stage(folder: Path, model: str, inputs: dict[str, str], **changed: Any) -> Path:
    """Write a stage's folder with rollouts of a model; `changed` are other settings."""
    scoring = {"deadline": 10.0, "processes": 1, "on_failure": "mask", "max_failure_rate": 0.5}
    settings = {
        "kind": "sample",
        "model": model,
        "template": None,
        "prefill": "<think>",
        "rewards": {"accuracy": {"answer": "answer_tag"}, "think_format": {"weight": 0.5}},
        "scoring": scoring,
        **changed,
    }
    plugins: dict[str, Any] = {"load": [], "block": []}
    spec = StageSpec(
        "zero_samples", "sample", "run", 1, settings, "dataset", inputs=inputs, plugins=plugins
    )
    write_spec(folder, spec)
    rows = {
        "prompt": ["What is 1 + 1?"] * 4,
        "solution": ["2"] * 4,
        "completion": COMPLETIONS,
        "finished": [True] * 4,
        "completion_tokens": [5] * 4,
        "problem": [0, 0, 1, 1],
        "reward": [0.5, 1.5, 0.0, 0.0],
        "rewards/accuracy": [0.0, 1.0, 0.0, 0.0],
        "rewards/think_format": [1.0, 1.0, 0.0, 0.0],
    }
    Dataset.from_dict(rows).to_parquet(folder / "rollouts.parquet")
    return folder


def rescored(folder: Path) -> dict[str, Any]:
    """Return the columns of rescored.parquet."""
    columns: dict[str, Any] = Dataset.from_parquet(str(folder / "rescored.parquet")).to_dict()
    return columns


def test_the_same_rewards_give_the_same_scores_with_a_prefilled_think_too(folder: Path) -> None:
    summary, _ = rescore(folder, [])
    columns = rescored(folder)
    assert columns["rescored/reward"] == columns["reward"] == [0.5, 1.5, 0.0, 0.0]
    assert "rewards/accuracy      0.2500       0.2500    0 of 4" in summary
    assert summary.endswith("0 of 2 groups have a sample whose advantage changes its sign")


def test_one_option_can_be_changed_and_a_reward_dropped(folder: Path) -> None:
    summary, _ = rescore(
        folder, ["rewards.accuracy.answer=last_number", "rewards.think_format=null"]
    )
    columns = rescored(folder)
    assert columns["rescored/rewards/accuracy"] == [0.0, 1.0, 1.0, 0.0]
    assert columns["rescored/reward"] == [0.0, 1.0, 1.0, 0.0]
    assert "rescored/rewards/think_format" not in columns
    assert "rewards/accuracy  0.2500       0.5000    1 of 4" in summary
    assert summary.endswith("1 of 2 groups have a sample whose advantage changes its sign")


def test_all_rewards_can_be_replaced(folder: Path, plugin_file: Any) -> None:
    brevity = Path(__file__).parents[2] / "examples" / "brevity.py"
    rescore(folder, ["rewards={brevity: {longest: 4}}", f"plugins.load=[{brevity}]"])
    columns = rescored(folder)
    assert "rescored/rewards/accuracy" not in columns
    assert columns["rescored/rewards/brevity"][3] == 0.75
    assert columns["rescored/outcome/brevity"] == ["value"] * 4


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("rewards.acuracy={}", "rewards: no reward is called 'acuracy' (did you mean 'accuracy'?)"),
        ("rewards.accuracy.anser=boxed", "has no option 'anser' (did you mean 'answer'?)"),
        ("reward={}", "no key is called 'reward' (did you mean 'rewards'?)"),
        (
            "scoring.dedline=3",
            "scoring.dedline: there is no such key (did you mean 'deadline'?)",
        ),
        ("rewards={a: ", "'rewards={a: ': "),
        ("rewards={code: {}, code: {}}", "found duplicate key code"),
        ("rewards.soft_overlong={max_tokens: 3, cache: 5}", "cache=5 must be from 1 to"),
        ("rewards", "'rewards': "),
    ],
)
def test_a_wrong_override_is_refused(override: str, message: str, folder: Path) -> None:
    with pytest.raises(R1trlError) as caught:
        rescore(folder, [override])
    assert message in str(caught.value)


def test_the_command_prints_the_table_and_refuses_another_folder(folder: Path) -> None:
    command = [sys.executable, "-m", "r1trl.cli", "rescore"]
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "samples changed" in done.stdout and "rescored.parquet" in done.stdout
    empty = str(folder / "nothing")
    done = subprocess.run([*command, empty], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "there is no such file or folder" in done.stderr


def test_a_group_turns_if_a_sample_moves_to_the_other_side_of_its_mean() -> None:
    before = [0.0, 1.0, 0.0, 1.0, 1.0, 1.0, None, 1.0]
    now = [0.0, 9.0, 1.0, 0.0, 0.0, 1.0, None, 0.5]
    assert turned_groups(before, now, [0, 0, 1, 1, 2, 2, 3, 3]) == (2, 4)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return the folder of a run: a trained model, and a stage that has sampled from it."""
    stages = tmp_path / "run" / "stages"
    shutil.copytree(MODEL, stages / "zero" / "model")
    model = str(stages / "zero" / "model")
    folder = stages / "samples"
    folder.mkdir()
    write_stage(folder, model, {"stage:zero": model})
    return tmp_path / "run"


OVERLONG = "rewards.soft_overlong={max_tokens: 12, cache: 8}"


def test_a_run_that_was_moved_is_scored_as_before_token_ids_and_chat_template_too(
    run: Path, tmp_path: Path
) -> None:
    rescore(run / "stages" / "samples", [OVERLONG])
    before = rescored(run / "stages" / "samples")
    moved = tmp_path / "elsewhere"
    run.rename(moved)
    text, _ = rescore(moved / "stages" / "samples", [OVERLONG])
    assert "note" not in text
    assert rescored(moved / "stages" / "samples") == before
    assert min(before["rescored/rewards/soft_overlong"]) < 0


def test_a_copy_is_scored_by_its_own_model_and_not_by_the_one_that_it_was_copied_from(
    run: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    shutil.rmtree(run / "stages" / "zero" / "model")
    (run / "stages" / "zero" / "model").mkdir()
    text, _ = rescore(copy / "stages" / "samples", [OVERLONG])
    assert "note" not in text


def test_without_its_models_a_stage_is_scored_by_rewards_that_want_no_token_ids(
    run: Path, tmp_path: Path
) -> None:
    alone = tmp_path / "alone"
    (run / "stages" / "samples").rename(alone)
    shutil.rmtree(run)
    text, _ = rescore(alone, [])
    assert rescored(alone)["rescored/reward"] == [0.5, 1.5, 0.0, 0.0]
    assert text.startswith("note: the tokenizer of '")
    assert "prompts are without a chat template" in text.partition("\n")[0]
    with pytest.raises(R1trlError, match="'soft_overlong' failed: NoTokenIds: the tokenizer of"):
        rescore(alone, [OVERLONG])


def test_a_finished_completion_has_the_end_token_that_it_was_drawn_with(tmp_path: Path) -> None:
    model = str(awkward_model("qwen25_base", tmp_path))
    for template, end in ((None, "<|im_end|>"), ("{{ prompt }}", "<|endoftext|>")):
        folder = tmp_path / end
        folder.mkdir()
        write_stage(folder, model, {}, prefill="", template=template)
        rollouts = stage_rollouts(folder, saved_spec(folder), load_plugins())
        ((_, columns),) = rollouts.parts
        tokenizer = AutoTokenizer.from_pretrained(model)
        assert {tokenizer.decode(ids[-1:]) for ids in columns["completion_ids"]} == {end}


def test_a_template_needs_no_tokenizer(tmp_path: Path) -> None:
    folder = write_stage(tmp_path, str(tmp_path / "gone"), {}, template="User: {{ prompt }} A: ")
    text, _ = rescore(folder, [])
    assert rescored(folder)["rescored/reward"] == [0.5, 1.5, 0.0, 0.0]
    assert "chat template" not in text


def test_a_reward_that_loads_an_earlier_stage_finds_it_beside_a_copied_folder(
    run: Path, plugin_file: Any, tmp_path: Path
) -> None:
    file = plugin_file("""
    import pathlib
    import r1trl

    def there(prompts, completions, completion_ids, *, model: str, **columns):
        return [float(pathlib.Path(model).is_dir())] * len(prompts)

    @r1trl.hookimpl
    def r1trl_rewards():
        return {"there": there}
    """)
    model = str(run / "stages" / "zero" / "model")
    inputs = {"stage:zero": model}
    write_stage(run / "stages" / "samples", model, inputs, rewards={"there": {"model": model}})
    run.rename(tmp_path / "elsewhere")
    folder = tmp_path / "elsewhere" / "stages" / "samples"
    rescore(folder, [f"plugins.load=[{file}]"])
    assert rescored(folder)["rescored/reward"] == [1.0] * 4


def test_the_folder_of_a_run_is_answered_with_its_stages_that_have_rollouts(run: Path) -> None:
    with pytest.raises(ConfigError, match=r"rescore one of its stages: .*/stages/samples$"):
        rescore(run, [])


@pytest.mark.parametrize("content", [None, "format: 1", "format: 2\nstage: x"])
def test_rows_whose_stage_cannot_be_read_are_scored_as_a_file(
    content: str | None, folder: Path
) -> None:
    (folder / "stage.yaml").unlink()
    if content:
        (folder / "stage.yaml").write_text(content)
    file = folder / "rollouts.parquet"
    with pytest.raises(ConfigError, match=f"give the file {file}$"):
        rescore(folder, [])
    rescore(file, ["rewards={accuracy: {answer: last_number}}"])
    assert rescored(folder)["rescored/reward"] == [0.0, 1.0, 1.0, 0.0]
