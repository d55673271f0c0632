"""A run takes from earlier ones of its sweep what it would make equally, and nothing else.

The toy's stages write noise now, which shows whether one was carried out or taken over.
"""

import dataclasses
import json
import shutil
from collections.abc import Callable
from typing import Any

import pytest
from toy_run import ToyRun

from r1trl.errors import ConfigError
from r1trl.identity.taken import taken_from
from r1trl.plan.plan import Plan, make_plan
from r1trl.report.data import page_data
from r1trl.stage.files import read_result, write_result
from r1trl.sweep.shared import with_shared
from r1trl.watch.lock import locked

ALL = ["first", "second", "third"]


def shared(toy: ToyRun, earlier: Plan, **asked: Any) -> list[str]:
    """Return the stages that a run takes over."""
    composed = toy.composed(**asked)
    plan = with_shared(make_plan(composed), composed, [earlier])
    taken = [name for name in ALL if taken_from(toy.of(name))]
    assert set(taken) <= {stage.spec.stage for stage in plan.stages if stage.finished}
    return taken


def test_equal_stages_are_taken_over_and_said(
    toy: ToyRun, earlier: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    toy.stages["third"]["text"] = "b"
    assert shared(toy, earlier) == ["first", "second"]
    assert toy.run() == 0
    assert ["noise" in toy.weights(name).split("|") for name in ALL] == [False, False, True]
    said = capsys.readouterr().out
    for name in ("first", "second"):
        assert f"{name}: taken from {earlier.folder} (same inputs)" in said
        assert f"{name} is already finished" in said
    described = {stage["name"]: stage for stage in page_data(toy.folder).overview["stages"]}
    assert [described[name]["taken"] for name in ALL] == [earlier.folder.name] * 2 + [""]
    assert described["first"]["state"] == "finished"


def test_what_was_taken_over_stays_when_the_earlier_run_is_removed_or_moved(
    toy: ToyRun, earlier: Plan
) -> None:
    assert shared(toy, earlier) == ALL
    before = {name: toy.weights(name) for name in ALL}
    shutil.rmtree(earlier.folder)
    assert all(stage.finished for stage in toy.plan().stages)
    assert toy.run() == 0
    toy.folder.rename(toy.root / "moved")
    toy.name = "moved"
    assert all(stage.finished for stage in toy.plan().stages)
    assert {name: toy.weights(name) for name in ALL} == before
    files = {path.name for path in toy.of("first").iterdir()}
    assert {"stage.yaml", "result.json", "hardest.jsonl", "model", "taken.json"} <= files
    assert not {"control", "ranks"} & files


def test_a_third_run_takes_from_the_second_and_names_the_first(toy: ToyRun, earlier: Plan) -> None:
    assert shared(toy, earlier) == ALL
    second = toy.plan()
    toy.name = f"{toy.name}-last"
    assert shared(toy, second) == ALL
    assert taken_from(toy.of("third")) == earlier.folder.name


def other_seed(toy: ToyRun) -> None:
    toy.more["seed"] = 2


def other_text(toy: ToyRun) -> None:
    toy.stages["first"]["text"] = "b"


def other_rows(toy: ToyRun) -> None:
    toy.rows.write_text('{"prompt": "2 + 2"}\n')


def other_base(toy: ToyRun) -> None:
    (toy.base / "model.safetensors").write_text("WEIGHTS")


def other_plugin(toy: ToyRun) -> None:
    toy.plugin.write_text(toy.plugin.read_text() + "\n# changed\n")


def other_block(toy: ToyRun) -> None:
    toy.more["plugins"] = {"load": [str(toy.plugin)], "block": ["gym"]}


def other_tracking(toy: ToyRun) -> None:
    toy.more["trackers"] = {"tensorboard": {}}


def other_launch(toy: ToyRun) -> None:
    toy.more["launch"] = {"grace": 7.0}


def other_processes(toy: ToyRun) -> None:
    toy.stages["first"] |= {"rewards": {"score": {}}, "scoring": {"processes": 3}}


CHANGES = [
    *(other_seed, other_text, other_rows, other_base, other_plugin, other_block),
    *(other_tracking, other_launch, other_processes),
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_whatever_differs_a_stage_and_those_that_read_it_are_carried_out(
    toy: ToyRun, earlier: Plan, change: Callable[[ToyRun], None]
) -> None:
    change(toy)
    assert shared(toy, earlier) == []


def other_version(result: Any) -> Any:
    return dataclasses.replace(result, versions={**result.versions, "trl": "0.1"})


def kept(result: Any) -> Any:
    return dataclasses.replace(result, kept={"differences": ["stages.second.text: …"]})


def ended(result: Any) -> Any:
    return dataclasses.replace(result, stop="it is good enough")


@pytest.mark.parametrize("change", [other_version, kept, ended], ids=lambda c: c.__name__)
def test_a_result_of_other_versions_kept_or_final_is_not_taken(
    toy: ToyRun, earlier: Plan, change: Callable[[Any], Any]
) -> None:
    result = read_result(earlier.folder / "stages" / "second")
    assert result
    write_result(change(result))
    assert shared(toy, earlier) == ["first"]


def test_a_damaged_model_is_not_taken(toy: ToyRun, earlier: Plan) -> None:
    (earlier.folder / "stages" / "second" / "model" / "weights.txt").write_text("damaged")
    assert shared(toy, earlier) == ["first"]


def test_a_commit_that_is_not_known_is_not_taken_for_the_same(toy: ToyRun, earlier: Plan) -> None:
    for plan in (earlier, toy.plan()):
        assert all(" " not in v for s in plan.stages for v in s.spec.identity["inputs"].values())
    toy.stages["first"]["model"] = "someone/model"
    first = toy.plan().stages[0].spec
    assert first.identity["inputs"]["model"] == "someone/model@unknown commit"
    result = read_result(earlier.folder / "stages" / "first")
    assert result
    write_result(dataclasses.replace(result, identity=first.identity))
    composed = toy.composed()
    plan = with_shared(make_plan(composed), composed, [earlier])
    assert not any(stage.finished for stage in plan.stages)


def test_a_stage_that_would_read_something_else_here_is_not_taken(
    toy: ToyRun, earlier: Plan
) -> None:
    assert toy.run(until="first") == 0
    assert "noise" in toy.weights("first"), "the same identity, and other weights"
    composed = toy.composed()
    plan = with_shared(make_plan(composed), composed, [earlier])
    assert [stage.spec.stage for stage in plan.stages if stage.finished] == ["first"]
    assert not toy.of("second").exists()


def test_a_stage_that_is_half_done_continues(toy: ToyRun, earlier: Plan) -> None:
    toy.half_done()
    assert shared(toy, earlier) == []
    assert (toy.of("first") / "checkpoints" / "checkpoint-1").is_dir()


def test_a_stage_that_has_failed_before_anything_was_made_is_taken(
    toy: ToyRun, earlier: Plan
) -> None:
    toy.half_done()
    shutil.rmtree(toy.of("first") / "checkpoints")
    assert shared(toy, earlier) == ALL


def test_a_stage_of_redo_is_carried_out(toy: ToyRun, earlier: Plan) -> None:
    assert shared(toy, earlier, redo=["second"]) == ["first"]


def test_nothing_after_until_is_taken(toy: ToyRun, earlier: Plan) -> None:
    composed = toy.composed(until="first")
    plan = with_shared(make_plan(composed), composed, [earlier])
    assert [stage.finished for stage in plan.stages] == [True, False, False]
    assert not toy.of("second").exists()


def test_an_interrupted_copy_leaves_nothing_that_counts(
    toy: ToyRun, earlier: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("r1trl.sweep.shared.write_taken", killed)
        composed = toy.composed()
        with pytest.raises(KeyboardInterrupt):
            with_shared(make_plan(composed), composed, [earlier])
    assert not toy.of("first").exists()
    assert shared(toy, earlier) == ALL


def test_a_run_that_somebody_works_at_gets_nothing(toy: ToyRun, earlier: Plan) -> None:
    composed = toy.composed()
    toy.folder.mkdir()
    with locked(toy.folder), pytest.raises(ConfigError, match="another r1trl is at work"):
        with_shared(make_plan(composed), composed, [earlier])
    assert json.loads((earlier.folder / "stages" / "first" / "result.json").read_text())
