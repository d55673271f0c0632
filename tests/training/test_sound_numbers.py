"""A loss or a weight that is not finite, or runs away, ends a stage of any kind at its step."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from one_step import SETTINGS, OneStep

from r1trl.checkpoints.sound import SoundNumbers
from r1trl.errors import StageError

pytestmark = pytest.mark.slow
# Saved at every step, logged at none: what is seen is seen without a log.
EACH_STEP = {"max_steps": 4, "save_strategy": "steps", "save_steps": 1, "logging_steps": 50}


@pytest.fixture
def of_kind(tiny_model: Path, tmp_path: Path) -> Callable[[str], OneStep]:
    """Return a function that returns stages of a kind by its name in SETTINGS."""
    return lambda name: OneStep(name, tiny_model, tmp_path)


def whole_checkpoints(stage: OneStep) -> list[str]:
    """Return the names of the whole checkpoints of the last stage, in order."""
    return sorted(p.parent.name for p in stage.last.glob("checkpoints/*/complete.json"))


@pytest.mark.parametrize("rate", [1e6, 1e3])
def test_weights_that_run_away_end_the_stage_though_all_is_finite(
    rate: float, of_kind: Callable[[str], OneStep]
) -> None:
    """Norms of such weights overflow: the rewards are 0, the loss is log 2, the gradient is 0."""
    stage = of_kind("pairwise")
    said = r"^stages\.x: weights, such as model\..*, have grown to 1e\+0\d after step 1, whose loss"
    with pytest.raises(StageError, match=said):
        stage.train({**EACH_STEP, "learning_rate": rate})
    assert whole_checkpoints(stage) == []


@pytest.mark.parametrize("name", SETTINGS)
def test_a_learning_rate_that_breaks_the_weights_ends_each_kind_before_they_are_saved(
    name: str, of_kind: Callable[[str], OneStep]
) -> None:
    stage = of_kind(name)
    with pytest.raises(StageError, match=r"^stages\.x: (weights, |the loss is (nan|inf) )") as said:
        stage.train({**EACH_STEP, "learning_rate": 1e30, "max_grad_norm": 0.0})
    text = str(said.value)
    assert "args.learning_rate=1e+30 or set args.max_grad_norm=1.0" in text
    broken = int(text.partition("step ")[2].split()[0].strip(",:"))
    names = whole_checkpoints(stage)
    assert names == [f"checkpoint-{step}" for step in range(1, broken)]
    assert not (stage.last / "model").exists()


def test_a_loss_that_is_not_a_number_ends_the_stage_before_the_weights_have_it(
    of_kind: Callable[[str], OneStep], monkeypatch: pytest.MonkeyPatch
) -> None:
    from trl import RewardTrainer

    def nan_at_the_third(self: Any, *args: Any, **kwargs: Any) -> Any:
        loss = original(self, *args, **kwargs)
        self._metrics["train"]["margin"].append(float("nan"))
        return loss * float("nan") if self.state.global_step == 2 else loss

    original = RewardTrainer.compute_loss
    monkeypatch.setattr(RewardTrainer, "compute_loss", nan_at_the_third)
    stage = of_kind("pairwise")
    with pytest.raises(StageError, match=r"^stages\.x: the loss is nan at step 3, margin too: "):
        stage.train(EACH_STEP)
    assert whole_checkpoints(stage) == ["checkpoint-1", "checkpoint-2"]
    monkeypatch.undo()
    metrics = stage.train(EACH_STEP, again=True)
    assert metrics["step"] == 4, "what was whole is continued"


def test_a_later_lower_learning_rate_is_that_of_the_continued_stage(
    of_kind: Callable[[str], OneStep],
) -> None:
    stage = of_kind("sft")
    args = {**EACH_STEP, "logging_steps": 1, "lr_scheduler_type": "linear"}
    stage.train({**args, "learning_rate": 0.01, "max_steps": 2})
    stage.train({**args, "learning_rate": 0.001}, again=True)
    lines = (stage.last / "metrics.jsonl").read_text().splitlines()
    rates = {row["step"]: row.get("learning_rate") for row in map(json.loads, lines)}
    assert rates[1] == pytest.approx(0.01)
    assert rates[3] == pytest.approx(0.0005)


def test_weights_that_training_starts_from_are_looked_at(
    of_kind: Callable[[str], OneStep], tiny_model: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    broken = Path(shutil.copytree(tiny_model, tmp_path / "broken"))
    weights = load_file(broken / "model.safetensors")
    weights["model.norm.weight"][3] = float("inf")
    save_file(weights, broken / "model.safetensors", {"format": "pt"})
    stage = OneStep("sft", broken, tmp_path)
    with pytest.raises(
        StageError, match=r"such as model\.norm\.weight, are not finite in the model"
    ):
        stage.train(EACH_STEP)


def test_of_a_sharded_weight_the_part_of_this_process_is_looked_at() -> None:
    """ZeRO-3 leaves empty weights in the model, with the part of this process beside each."""
    import torch

    model: Any = torch.nn.Linear(3, 2)
    for weight in model.parameters():
        weight.ds_tensor = weight.detach().clone()
        weight.data = torch.empty(0)
    device = torch.device("cpu")
    accelerator = SimpleNamespace(device=device, gather=lambda tensor: tensor)
    args = SimpleNamespace(learning_rate=1.0, max_grad_norm=1.0, fp16=False, output_dir="here")
    trainer = SimpleNamespace(model=model, args=args, accelerator=accelerator, training_step=None)
    sound = SoundNumbers(trainer, "stages.x")
    largest = max(float(weight.ds_tensor.abs().max()) for weight in model.parameters())
    assert sound.check_weights("now", "mend it") == largest
    model.bias.ds_tensor[1] = float("nan")
    with pytest.raises(StageError, match=r"^stages\.x: weights, such as bias, are not finite now"):
        sound.check_weights("now", "mend it")
