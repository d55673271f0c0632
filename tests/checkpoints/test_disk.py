"""The estimate of the disk that a stage needs."""

from pathlib import Path
from typing import Any

import pytest

from r1trl.checkpoints.disk import training_bytes, weights_of
from r1trl.config.compose import compose
from r1trl.plan.describe import describe, gigabytes
from r1trl.plan.plan import make_plan


def test_weights_are_counted_by_their_files_and_type(tiny_model: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    count = sum(parameter.numel() for parameter in model.parameters())
    assert weights_of(str(tiny_model)) == pytest.approx(count, rel=0.1)
    model.bfloat16().save_pretrained(tmp_path)
    assert weights_of(str(tmp_path)) == pytest.approx(count, rel=0.1)
    assert weights_of("nobody/has-this") is None and weights_of(str(tmp_path / "none")) is None


@pytest.mark.parametrize(
    ("args", "kept", "most", "after"),
    [
        ({"save_total_limit": 2}, "none", 4 + 3 * 20, 4),
        ({"save_total_limit": 2}, "keep", 4 + 3 * 20, 4 + 2 * 20),
        ({"save_total_limit": 2, "sync_ref_model": True}, "last", 4 + 3 * 24, 4 + 24),
        ({"save_steps": 10, "max_steps": 45}, "keep", 4 + 6 * 20, 4 + 5 * 20),
        ({"save_strategy": "no"}, "keep", 4, 4),
    ],
)
def test_a_training_stage_has_room_for_one_checkpoint_more_than_stay(
    args: Any, kept: str, most: int, after: int
) -> None:
    assert training_bytes(1, args, kept) == (most, after)


def test_the_plan_says_how_much_disk_it_needs_and_has(tmp_path: Path) -> None:
    plan = make_plan(compose(["recipe=zero", "scale=tiny", f"runs_dir={tmp_path}"], None))
    (line,) = [line for line in describe(plan).splitlines() if line.startswith("disk: at most ")]
    assert line.endswith(" are free")
    assert gigabytes(2_500_000_000) == "2.5 GB" and gigabytes(3_000_000) == "3 MB"
