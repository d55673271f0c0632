"""What a kind's run returns and leaves is checked before a stage counts as finished."""

import json
from pathlib import Path
from typing import Any

import pytest

from r1trl.run.worker import run_stage
from r1trl.stage import devices
from r1trl.stage.files import StageSpec, write_spec

KIND = """
import r1trl

def run(work):
    '''Do what the test wants.'''
    {body}

@r1trl.hookimpl
def r1trl_kinds():
    kind = r1trl.Kind(run=run, needs=(), scores={scores})
    return {{"odd": kind}}
"""
LEAVE = "(work.folder / 'model').mkdir()"


@pytest.fixture
def carried_out(tmp_path: Path, plugin_file: Any, capfd: Any) -> Any:
    """Return a function that runs a stage of a kind with a body; it returns status and output."""

    def run_(body: str, scores: bool = False, **more: Any) -> tuple[int, str]:
        path = plugin_file(KIND.format(body=body.replace("\n", "\n    "), scores=scores))
        plugins = {"load": [path], "block": []}
        settings = {"kind": "odd", "data": {}, "transitions": {}, **more}
        spec = StageSpec("s", "odd", "x", 1, settings, "model", scores, {}, plugins)
        write_spec(tmp_path / "stage", spec)
        return run_stage(tmp_path / "stage"), "".join(capfd.readouterr())

    return run_


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (f"{LEAVE}\nreturn None", "run of kind 'odd' returned None; it returns a mapping"),
        (f"{LEAVE}\nreturn {{'a': 'x'}}", "returned 'x' as 'a'; a metric is a number"),
        ("return {}", "kind 'odd' makes a model, but left no model; its run must write it"),
        ("work.tokenizer()", "stages.s.model: must be given, as kind 'odd' uses it"),
        ("work.model('m', auto_class='AutoModle')", "transformers has no class 'AutoModle'"),
    ],
)
def test_a_run_that_breaks_the_contract_fails_with_a_sentence(
    body: str, message: str, carried_out: Any, tmp_path: Path
) -> None:
    status, output = carried_out(body)
    assert status == 1 and "error: stages.s" in output and message in output
    assert not (tmp_path / "stage" / "result.json").exists()


def test_metrics_of_a_kind_that_scores_name_model_and_benchmark(carried_out: Any) -> None:
    status, output = carried_out(f"{LEAVE}\nreturn {{'loss': 1.0}}", scores=True)
    assert status == 1 and "'loss'; it scores: <model>/<benchmark>/<metric>" in output


def test_metrics_are_plain_finite_numbers(carried_out: Any, tmp_path: Path) -> None:
    body = f"import numpy\n{LEAVE}\n"
    body += "return {'a': numpy.float32(0.5), 'steps': 3, 'lost': float('nan')}"
    status, output = carried_out(body)
    assert status == 0 and "the metric 'lost' is nan, and is left out" in output
    result = json.loads((tmp_path / "stage" / "result.json").read_text())
    assert result["metrics"] == {"a": 0.5, "steps": 3}


@pytest.mark.parametrize(
    ("settings", "status"), [({}, 1), ({"args": {"use_cpu": True}}, 0), ({"model": None}, 0)]
)
def test_a_stage_does_not_begin_on_the_cpu_if_there_is_a_gpu(
    settings: dict[str, Any], status: int, carried_out: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CUDA_VISIBLE_DEVICES", "ACCELERATE_USE_CPU"):
        monkeypatch.setenv(name, "")  # so that a later value is undone
        monkeypatch.delenv(name)
    monkeypatch.setattr(devices, "driver_gpus", lambda: devices.Gpus(1))
    monkeypatch.setattr(devices, "torch_gpus", lambda: devices.Gpus(0, "it is old"))
    got, output = carried_out(f"print('begun')\n{LEAVE}\nreturn {{}}", **{"model": "m", **settings})
    assert got == status and ("begun" in output) is (status == 0), output
    refused = "error: stages.s.launch: NVIDIA's driver has 1 GPU, and PyTorch can use no GPU (it is"
    assert (refused in output) is (status == 1)
