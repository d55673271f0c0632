"""`r1trl rescore`: saved rollouts scored again without a model."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import r1trl_tiny
from datasets import Dataset

from r1trl.errors import ConfigError
from r1trl.stage.files import StageSpec, write_spec
from r1trl.trust.rescore import rescore, turned_groups

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
    scoring = {"deadline": 10.0, "processes": 1, "on_failure": "mask", "max_failure_rate": 0.5}
    settings = {
        "kind": "sample",
        "model": MODEL,
        "template": None,
        "prefill": "<think>",
        "rewards": {"accuracy": {"answer": "answer_tag"}, "think_format": {"weight": 0.5}},
        "scoring": scoring,
    }
    plugins: dict[str, Any] = {"load": [], "block": []}
    spec = StageSpec("zero_samples", "sample", "run", 1, settings, "dataset", plugins=plugins)
    write_spec(tmp_path, spec)
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
    Dataset.from_dict(rows).to_parquet(tmp_path / "rollouts.parquet")
    return tmp_path


def rescored(folder: Path) -> dict[str, Any]:
    """Return the columns of rescored.parquet."""
    columns: dict[str, Any] = Dataset.from_parquet(str(folder / "rescored.parquet")).to_dict()
    return columns


def test_the_same_rewards_give_the_same_scores_with_a_prefilled_think_too(folder: Path) -> None:
    summary = rescore(folder, [])
    columns = rescored(folder)
    assert columns["rescored/reward"] == columns["reward"] == [0.5, 1.5, 0.0, 0.0]
    assert "rewards/accuracy      0.2500       0.2500    0 of 4" in summary
    assert summary.endswith("0 of 2 groups have a sample whose advantage changes its sign")


def test_one_option_can_be_changed_and_a_reward_dropped(folder: Path) -> None:
    summary = rescore(folder, ["rewards.accuracy.answer=last_number", "rewards.think_format=null"])
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
        ("rewards", "'rewards': "),
    ],
)
def test_a_wrong_override_is_refused(override: str, message: str, folder: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        rescore(folder, [override])
    assert message in "\n".join(caught.value.problems)


def test_the_command_prints_the_table_and_refuses_another_folder(folder: Path) -> None:
    command = [sys.executable, "-m", "r1trl.cli", "rescore"]
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "samples changed" in done.stdout and "rescored.parquet" in done.stdout
    empty = str(folder / "nothing")
    done = subprocess.run([*command, empty], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "has no rollouts.parquet" in done.stderr


def test_a_group_turns_if_a_sample_moves_to_the_other_side_of_its_mean() -> None:
    rows = {
        "problem": [0, 0, 1, 1, 2, 2, 3, 3],
        "reward": [0.0, 1.0, 0.0, 1.0, 1.0, 1.0, None, 1.0],
        "rescored/reward": [0.0, 9.0, 1.0, 0.0, 0.0, 1.0, None, 0.5],
    }
    assert turned_groups(Dataset.from_dict(rows)) == (2, 4)
