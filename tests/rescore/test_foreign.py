"""A folder that somebody else has made: what it lets run and ask is said, or refused."""

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from r1trl.errors import ConfigError
from r1trl.rescore.rescore import rescore
from r1trl.stage.files import StageSpec, write_spec

PLUGIN = """
import sys
import r1trl

print("the plugin's code runs", file=sys.stderr)

def theirs(prompts, completions, completion_ids, **columns):
    return [1.0] * len(completions)

@r1trl.hookimpl
def r1trl_rewards():
    return {"theirs": theirs}
"""


def written(folder: Path, rewards: dict[str, Any]) -> Path:
    """Write a stage's folder with a plugin in it."""
    stage = folder / "stages" / "s"
    stage.mkdir(parents=True)
    (folder / "theirs.py").write_text(PLUGIN)
    plugins = {"load": [str(folder / "theirs.py")], "block": []}
    settings = {"kind": "sample", "model": "m", "template": "{{ prompt }}", "rewards": rewards}
    write_spec(stage, StageSpec("s", "sample", "x", 1, settings, "dataset", plugins=plugins))
    rows = {"prompt": ["a"], "completion": ["b"], "finished": [True]}
    Dataset.from_dict(rows).to_parquet(stage / "rollouts.parquet")
    return stage


def test_a_plugin_is_said_before_its_code_runs(tmp_path: Path, capfd: Any) -> None:
    rescore(written(tmp_path, {"theirs": {}}), [])
    said = capfd.readouterr().err
    note = f"note: stages.s: its stage.yaml loads the plugin {tmp_path / 'theirs.py'} (in the run's"
    assert note in said and said.index(note) < said.index("the plugin's code runs")


def test_a_variable_of_somebody_elses_is_named_if_it_is_not_here(tmp_path: Path) -> None:
    stage = written(tmp_path, {"theirs": {"weight": "${oc.env:NO_SUCH_VARIABLE}"}})
    with pytest.raises(
        ConfigError, match=r"rewards\.theirs\.weight: .* NO_SUCH_VARIABLE is not set"
    ):
        rescore(stage, [])


def test_pickles_in_a_folder_are_not_read(tmp_path: Path) -> None:
    stage = written(tmp_path, {"theirs": {}})
    for name in ("model/training_args.bin", "checkpoints/checkpoint-1/optimizer.pt"):
        (stage / name).parent.mkdir(parents=True)
        (stage / name).write_bytes(b"cos\nsystem\n(S'touch " + bytes(tmp_path) + b"/read'\ntR.")
    rescore(stage, [])
    assert not (tmp_path / "read").exists()
