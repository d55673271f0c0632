import json
from pathlib import Path

import pytest
import r1trl_handover
import torch
from safetensors.torch import load_file, save_file

from r1trl import Progress, StageResult

OFFERS = r1trl_handover.r1trl_transitions()
BestCheckpoint, require, Plateau = (
    OFFERS[name] for name in ("best_checkpoint", "require", "plateau")
)
REWARDS = {10: 0.1, 20: 0.9, 30: 0.5, 40: 0.6}


def log(folder: Path, *rows: dict) -> None:
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def weights(folder: Path) -> float:
    return load_file(folder / "model.safetensors")["w"].item()


@pytest.fixture
def stage(tmp_path: Path) -> StageResult:
    """A finished stage with checkpoints at steps 10 to 40, whose weights are their step."""
    folders = {s: tmp_path / "checkpoints" / f"checkpoint-{s}" for s in REWARDS}
    for step, folder in [*folders.items(), (99, tmp_path / "model")]:
        folder.mkdir(parents=True)
        save_file({"w": torch.tensor([float(step)])}, folder / "model.safetensors")
        (folder / "optimizer.pt").write_bytes(b"")
        (folder / "tokenizer.json").write_text(str(step))
    (tmp_path / "model" / "optimizer.pt").unlink()
    log(tmp_path, *({"step": s, "reward": r, "loss": -r} for s, r in REWARDS.items()))
    return StageResult("zero", "grpo", tmp_path, tmp_path / "model", metrics={"seconds": 3.0})


@pytest.mark.parametrize(
    ("options", "step"),
    [
        ({}, 20),
        ({"metric": "loss", "mode": "min"}, 20),
        ({"mode": "min"}, 10),
        ({"window": 2}, 30),
        ({"window": 3}, 40),
    ],
)
def test_the_best_checkpoints_weights_are_handed_over(stage: StageResult, options, step):
    result = BestCheckpoint(**options)(stage)
    assert result.metrics == {"seconds": 3.0, "best_checkpoint": step}
    assert weights(result.model) == step


def test_only_weights_are_taken_from_a_checkpoint(stage: StageResult):
    BestCheckpoint()(stage)
    assert (stage.model / "tokenizer.json").read_text() == "99"
    assert {file.name for file in stage.model.iterdir()} == {"model.safetensors", "tokenizer.json"}


def test_sharded_weights_leave_no_old_file_behind(stage: StageResult):
    best = stage.folder / "checkpoints" / "checkpoint-20"
    (best / "model.safetensors").rename(best / "model-00001-of-00001.safetensors")
    (best / "model.safetensors.index.json").write_text("{}")
    BestCheckpoint()(stage)
    assert {file.name for file in stage.model.glob("model*")} == {
        "model-00001-of-00001.safetensors",
        "model.safetensors.index.json",
    }


def test_an_adapter_is_not_handed_over_as_a_model(stage: StageResult):
    best = stage.folder / "checkpoints" / "checkpoint-20"
    (best / "model.safetensors").rename(best / "adapter_model.safetensors")
    with pytest.raises(ValueError, match=r"checkpoint-20 holds no model\*.safetensors"):
        BestCheckpoint()(stage)
    assert weights(stage.model) == 99


def test_an_unknown_metric_is_refused_with_the_logged_ones(stage: StageResult):
    with pytest.raises(ValueError, match=r"'rewards' \(did you mean reward\?\).*loss, reward"):
        BestCheckpoint(metric="rewards")(stage)


def test_without_checkpoints_there_is_nothing_to_choose(stage: StageResult):
    (stage.folder / "checkpoints").rename(stage.folder / "gone")
    with pytest.raises(ValueError, match="checkpoints: none; metrics: loss, reward"):
        BestCheckpoint()(stage)


def test_a_value_that_is_not_a_number_is_never_best(stage: StageResult):
    log(stage.folder, {"step": 10, "reward": 0.1}, {"step": 20, "reward": float("nan")})
    assert BestCheckpoint()(stage).metrics["best_checkpoint"] == 10


def test_a_resumed_stages_later_rows_replace_the_earlier(stage: StageResult):
    rows = [{"step": s, "reward": r} for s, r in [(10, 0.1), (20, 0.9), (20, 0.0), (30, 0.5)]]
    log(stage.folder, *rows)
    assert BestCheckpoint()(stage).metrics["best_checkpoint"] == 30


@pytest.mark.parametrize(
    ("options", "stop"),
    [
        ({"metric": "reward", "min_value": 0.6}, None),
        ({"metric": "reward", "min_value": 0.7}, "reward of stage 'zero' is 0.6, less than 0.7"),
        ({"metric": "reward", "max_value": 0.5}, "reward of stage 'zero' is 0.6, more than 0.5"),
        (
            {"metric": "seconds", "min_value": 1, "max_value": 2},
            "seconds of stage 'zero' is 3, more than 2",
        ),
    ],
)
def test_a_run_ends_if_a_metric_is_out_of_bounds(stage: StageResult, options, stop):
    assert require(stage, **options).stop == stop


def test_a_value_that_is_not_a_number_is_out_of_bounds(stage: StageResult):
    log(stage.folder, {"step": 1, "reward": float("nan")})
    assert "is nan, less than 0" in require(stage, metric="reward", min_value=0).stop


def test_require_suggests_metrics_and_asks_for_a_bound(stage: StageResult):
    with pytest.raises(ValueError, match=r"did you mean reward\?\); there are: loss, reward, sec"):
        require(stage, metric="rewrad", min_value=0)
    with pytest.raises(ValueError, match="needs a bound"):
        require(stage, metric="reward")


def progress(*values: float) -> Progress:
    rows = [{"step": step, "reward": value} for step, value in enumerate(values)]
    return Progress(step=len(rows), max_steps=100, seconds=1.0, history=rows)


def test_a_stage_ends_on_its_plateau_and_not_before():
    plateau = Plateau(window=2, min_delta=0.1)
    assert plateau.should_stop(progress()) is None
    assert plateau.should_stop(progress(0.5, 0.5, 0.5)) is None
    assert plateau.should_stop(progress(0.1, 0.2, 0.3, 0.4)) is None
    assert plateau.should_stop(progress(0.0, 0.0, 0.5, 0.5, 0.52, 0.52)).startswith(
        "reward has levelled off at step 6: its mean over the last 2 loggings is 0.52"
    )
    assert plateau.should_stop(progress(0.0, 0.0, float("nan"), 0.5))


def test_rows_without_the_metric_do_not_count_towards_a_window():
    history = [row for value in (0.1, 0.1) for row in ({"reward": value}, {"eval_loss": 9.0})]
    assert Plateau(window=2).should_stop(Progress(4, 100, 1.0, history)) is None
    assert Plateau(window=1).should_stop(Progress(4, 100, 1.0, history))


def test_a_plateau_of_a_metric_never_logged_is_an_error():
    with pytest.raises(ValueError, match="did you mean 'reward'"):
        Plateau(metric="rewards", window=2).should_stop(progress(0.1, 0.2))


def test_plateau_returns_the_result_unchanged(stage: StageResult):
    assert Plateau()(stage) is stage
