"""Evaluation inside training: rows of metrics.jsonl, in a training that does not notice it."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from one_step import OneStep

from r1trl.config.schema import SourceConfig
from r1trl.config.stage_parts import EvaluateConfig, SamplingConfig
from r1trl.evaluation import callback
from r1trl.stage.times import without_times
from r1trl.training import trainer as training
from r1trl.types import EVALUATED, Rows

pytestmark = pytest.mark.slow

ARGS = {
    "max_steps": 5,
    "per_device_train_batch_size": 4,
    "lr_scheduler_type": "linear",
    "save_strategy": "steps",
    "save_steps": 1,
}
TOKENS = 6


@dataclass
class Evaluated(OneStep):
    """Stages whose models answer two benchmarks, scored by a reward that differs among answers."""

    every: int | None = 2
    max_share: float = 1.0
    on: int = 6  # rows of a benchmark

    def stage(self, args: Mapping[str, Any]) -> Any:
        """Return the settings of a stage."""
        stage = super().stage(args)
        questions = self.folder / "held_out.jsonl"
        rows = [{"prompt": f"{i} - 1 = ", "problem": "own"} for i in range(10)]
        questions.write_text("\n".join(map(json.dumps, rows)) + "\n")
        source = SourceConfig(path=Rows(str(questions)))
        sampling = SamplingConfig(n=2, max_tokens=TOKENS)
        settings = EvaluateConfig(
            every=self.every,
            rows=self.on,
            max_share=self.max_share,
            metrics={"correct": "varied"},
            sampling=sampling,
        )
        chosen = {"varied": {}} if self.every else stage.rewards
        named = {"here": source, "there": source}
        return replace(stage, benchmarks=named, rewards=chosen, evaluate=settings)


def evaluated(stage: Any) -> list[dict[str, Any]]:
    """Return the rows of metrics.jsonl that evaluations have written."""
    return [row for row in metrics(stage) if EVALUATED in row]


def metrics(stage: OneStep) -> list[dict[str, Any]]:
    """Return the rows of metrics.jsonl."""
    text = (stage.last / "metrics.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


LONG = [pytest.param(n, marks=pytest.mark.long) for n in ("rloo", "dpo", "distillation")]


@pytest.mark.parametrize("name", ["grpo", "sft", *LONG])
def test_training_does_not_notice_that_it_is_evaluated(
    name: str, tiny_model: Path, tmp_path: Path
) -> None:
    """Weights, losses and rollouts are the same bit by bit, with dropout too."""
    model = with_dropout(tiny_model, tmp_path / "model")
    stage = Evaluated(name, model, tmp_path, every=None)
    stage.train(ARGS)
    weights, plain = stage.weights(), [without_times(row) for row in metrics(stage)]
    stage.every = 2
    last = stage.train(ARGS)
    found = evaluated(stage)
    assert [row["step"] for row in found] == [0, 2, 4, 5]
    for row in found:
        for benchmark in ("here", "there"):
            low, value, high = (
                row[f"eval/{benchmark}/pass@1{end}"] for end in ("_low", "", "_high")
            )
            assert 0 <= low <= value <= high <= 1
        assert 0 < row["eval/share"] <= 1 and row["eval/here/tokens"] <= TOKENS
    assert last["eval/here/pass@1"] == found[-1]["eval/here/pass@1"]
    assert stage.weights() == weights
    others = [without_times(row) for row in metrics(stage) if EVALUATED not in row]
    assert others == plain


def with_dropout(model: Path, folder: Path) -> Path:
    """Return a copy of a model that drops out attention in training."""
    shutil.copytree(model, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "attention_dropout": 0.3}))
    return folder


def test_equal_weights_have_equal_metrics_and_others_have_not(
    tiny_model: Path, tmp_path: Path
) -> None:
    """Rows and samples are drawn by the seeds, whatever has been drawn before."""
    stage = Evaluated("sft", tiny_model, tmp_path, every=1, on=10)
    args = {**ARGS, "max_steps": 2, "save_strategy": "no"}
    stage.train({**args, "learning_rate": 1e-12})
    still = [without_times(row) for row in evaluated(stage)]
    assert len({json.dumps({**row, "step": 0}) for row in still}) == 1
    stage.train({**args, "learning_rate": 0.1})
    moved = [without_times(row) for row in evaluated(stage)]
    assert moved[0] == still[0] and moved[-1] != still[-1]


def test_evaluations_are_left_out_while_they_take_more_than_their_share(
    tiny_model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    stage = Evaluated("sft", tiny_model, tmp_path, every=1, max_share=1e-6)
    stage.train(ARGS)
    assert [row["step"] for row in evaluated(stage)] == [0]
    said = capfd.readouterr().out
    assert "step 5: no evaluation, as they have taken" in said
    assert "of the time (evaluate.max_share=1e-06)" in said


def test_a_stage_that_was_killed_measures_each_step_once(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after an evaluation and before its checkpoint, and once more after a checkpoint."""
    stage = Evaluated("grpo", tiny_model, tmp_path)
    stage.train(ARGS)
    whole, weights = [without_times(row) for row in metrics(stage)], stage.weights()
    stop, asked = [4], list[int]()

    class Killed(Exception):  # noqa: N818 - it stands for a signal that nothing survives
        """The end of a process."""

    class Metrics(training.Metrics):
        """Metrics of a training that is killed once a step is evaluated."""

        def record(self, state: Any, numbers: Mapping[str, Any]) -> None:
            super().record(state, numbers)
            asked.extend([state.global_step] if EVALUATED in numbers else [])
            if state.global_step == stop[0] and EVALUATED in numbers:
                raise Killed

    monkeypatch.setattr(training, "Metrics", Metrics)
    with pytest.raises(Killed):
        stage.train(ARGS)
    stop[0] = -1
    stage.train(ARGS, again=True)
    assert asked == [0, 2, 4, 4, 5]
    assert [without_times(row) for row in metrics(stage)] == whole
    assert stage.weights() == weights


def test_nothing_is_evaluated_while_a_process_is_to_leave(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callback.pulse, "leave", "a signal")
    stage = Evaluated("sft", tiny_model, tmp_path)
    with pytest.raises(Exception, match="a signal"):
        stage.train(ARGS)
    assert evaluated(stage) == []
    monkeypatch.undo()
    stage.train(ARGS, again=True)
    assert [row["step"] for row in evaluated(stage)] == [2, 4, 5]
