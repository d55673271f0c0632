"""What a kind's run returns and leaves is checked before a stage counts as finished."""

import json
import textwrap
from pathlib import Path
from typing import Any

import pytest

from r1trl.checkpoints.marks import Mark, marked_steps
from r1trl.run.made import write_made
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

    def run_(body: str, scores: bool = False, source: str = "", **more: Any) -> tuple[int, str]:
        kind = KIND.format(body=body.replace("\n", "\n    "), scores=scores)
        path = plugin_file(f"{kind}\n{textwrap.dedent(source)}")
        plugins = {"load": [path], "block": []}
        settings = {"kind": "odd", "data": {}, "transitions": {}, **more}
        spec = StageSpec("s", "odd", "x", 1, settings, "model", scores, plugins=plugins)
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


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "@r1trl.hookimpl\ndef r1trl_stage_started(stage): raise RuntimeError('no licence')",
            "error: stages.s: plugin '{path}': r1trl_stage_started: RuntimeError: no licence",
        ),
        (
            "@r1trl.hookimpl\ndef r1trl_stage_finished(result): return result.metrics['x']",
            "error: stages.s: plugin '{path}': r1trl_stage_finished: KeyError: 'x'",
        ),
    ],
)
def test_a_hook_that_fails_is_named_with_its_plugin(
    source: str, said: str, carried_out: Any, tmp_path: Path
) -> None:
    status, output = carried_out(f"{LEAVE}\nreturn {{}}", source=source)
    assert status == 1 and "Traceback" not in output
    assert said.format(path=tmp_path / "mine.py") in output
    assert not (tmp_path / "stage" / "result.json").exists()


TRANSITION = """
import dataclasses

def mine(result):
    {body}

@r1trl.hookimpl
def r1trl_transitions():
    return {{"mine": mine}}
"""


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return None", "returned None; a transition returns a StageResult"),
        ("return result.metrics", "returned {}; a transition returns a StageResult"),
        ("return result.gone", "AttributeError: 'StageResult' object has no attribute 'gone'"),
        (
            "return dataclasses.replace(result, metrics={'a': float('nan')})",
            "returned a StageResult whose metric 'a' is nan; a metric is a finite number",
        ),
        (
            "return dataclasses.replace(result, metrics={'a': 'good'})",
            "returned a StageResult whose metric 'a' is 'good'; ",
        ),
        (
            "return dataclasses.replace(result, metrics=[1.0])",
            "returned a StageResult whose metrics are [1.0]; they are numbers by name",
        ),
        (
            "return dataclasses.replace(result, model=None)",
            "returned a StageResult whose model is None; it is the path of one that exists",
        ),
        (
            "return dataclasses.replace(result, model=result.folder / 'gone')",
            "/gone'); it is the path of one that exists",
        ),
        (
            "return dataclasses.replace(result, stage='other')",
            "returned a StageResult whose stage is 'other', not 's'",
        ),
        (
            "return dataclasses.replace(result, stop=True)",
            "returned a StageResult whose stop is True; it is the reason to end the run, or None",
        ),
    ],
)
def test_what_a_transition_may_not_return_is_named(
    body: str, said: str, carried_out: Any, tmp_path: Path
) -> None:
    source = TRANSITION.format(body=body)
    done = carried_out(f"{LEAVE}\nreturn {{}}", source=source, transitions={"mine": {}})
    assert done[0] == 1 and "error: stages.s.transitions.mine: " in done[1]
    assert said in done[1] and "Traceback" not in done[1]
    assert not (tmp_path / "stage" / "result.json").exists()


COUNTED = """
(work.folder / 'model').mkdir(exist_ok=True)
(work.folder / 'model' / 'weights').write_text('whole')
(work.folder / 'ran').open('a').write('x')
return {'score': 0.5}
""".strip()
CHANGES = """
def fails(result):
    (result.model / "weights").write_text("{written}")
    if (result.folder.parent / "mended").exists():
        return result
    raise ValueError("not yet")

@r1trl.hookimpl
def r1trl_transitions():
    return {{"fails": fails}}
"""


@pytest.mark.parametrize(("written", "runs"), [("whole", "x"), ("other", "xx")])
def test_after_a_failed_transition_a_kind_runs_again_only_if_its_output_has_been_changed(
    written: str, runs: str, carried_out: Any, tmp_path: Path
) -> None:
    given = {"source": CHANGES.format(written=written), "transitions": {"fails": {}}}
    status, output = carried_out(COUNTED, **given)
    assert status == 1 and "stages.s.transitions.fails: ValueError: not yet" in output
    (tmp_path / "mended").touch()
    assert carried_out(COUNTED, **given)[0] == 0
    folder = tmp_path / "stage"
    assert (folder / "ran").read_text() == runs
    assert json.loads((folder / "result.json").read_text())["metrics"] == {"score": 0.5}
    assert not (folder / "made.json").exists(), "nobody reads it any more"


@pytest.mark.parametrize("damage", ["removed", "emptied", "flipped", "of another identity"])
def test_what_proves_that_a_kind_has_run_is_not_believed_if_it_is_damaged(
    damage: str, carried_out: Any, tmp_path: Path
) -> None:
    given = {"source": CHANGES.format(written="whole"), "transitions": {"fails": {}}}
    assert carried_out(COUNTED, **given)[0] == 1
    folder = tmp_path / "stage"
    made = folder / "made.json"
    if damage == "removed":
        made.unlink()
    elif damage == "of another identity":
        write_made(folder / "model", {"score": 0.5}, {"settings": "other"})
    else:
        text = made.read_text()
        made.write_text("" if damage == "emptied" else text.replace("0.5", "0.7"))
    (tmp_path / "mended").touch()
    assert carried_out(COUNTED, **given)[0] == 0
    assert (folder / "ran").read_text() == "xx"
    assert json.loads((folder / "result.json").read_text())["metrics"] == {"score": 0.5}


@pytest.mark.parametrize(
    ("kept", "steps", "shards"), [("keep", [2, 4], True), ("last", [4], False), ("none", [], False)]
)
def test_what_nobody_will_read_is_removed_with_the_result(
    kept: str, steps: list[int], shards: bool, carried_out: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "stage"
    for step in (2, 4):
        path = folder / "checkpoints" / f"checkpoint-{step}"
        path.mkdir(parents=True)
        Mark(step).write(path)
    (folder / "checkpoints" / "checkpoint-best").mkdir()
    (folder / "shards").mkdir()
    assert carried_out(COUNTED, checkpoints=kept)[0] == 0
    assert marked_steps(folder / "checkpoints") == steps
    assert (folder / "shards").exists() == (folder / "made.json").exists() == shards
    assert (folder / "checkpoints" / "checkpoint-best").exists(), "it is somebody else's"
    assert (folder / "model" / "weights").read_text() == "whole"
