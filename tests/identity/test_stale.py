"""What no longer fits the results that are there stops the run with the difference and two ways on.

Every case is carried out by the driver, the plan and the worker; only the stages are toys.
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toy_run import ToyRun

from r1trl.errors import ConfigError
from r1trl.report.data import as_json
from r1trl.run import loop
from r1trl.run.worker import run_stage
from r1trl.stage.files import read_result, read_spec
from r1trl.storage.digests import Digests


def problems(toy: ToyRun, **asked: Any) -> list[str]:
    """Return why a run does not go on."""
    with pytest.raises(ConfigError) as caught:
        toy.run(**asked)
    return caught.value.problems


def other_text(toy: ToyRun) -> None:
    toy.stages["first"]["text"] = "b"


def other_seed(toy: ToyRun) -> None:
    toy.more["seed"] = 2


def other_rows(toy: ToyRun) -> None:
    toy.rows.write_text('{"prompt": "2 + 2"}\n')


def other_rows_of_that_size_and_time(toy: ToyRun) -> None:
    times = toy.rows.stat()
    toy.rows.write_text('{"prompt": "1 + 2"}\n')
    os.utime(toy.rows, ns=(times.st_atime_ns, times.st_mtime_ns))


def other_file_of_rows(toy: ToyRun) -> None:
    other = toy.root / "more.jsonl"
    other.write_text('{"prompt": "3 + 3"}\n')
    toy.stages["first"]["data"]["rows"]["path"] = str(other)


def other_base(toy: ToyRun) -> None:
    (toy.base / "model.safetensors").write_text("WEIGHTS")


def other_file_in_the_base(toy: ToyRun) -> None:
    (toy.base / "generation_config.json").write_text("{}")


def other_plugin(toy: ToyRun) -> None:
    toy.plugin.write_text(toy.plugin.read_text() + "# changed\n")


def other_kind_of_transition(toy: ToyRun) -> None:
    toy.stages["first"]["transitions"] = {}


CHANGES: dict[str, tuple[Callable[[ToyRun], None], str]] = {
    "a setting": (other_text, "stages.first.text: was a, would be b"),
    "the seed": (other_seed, "seed: was 1, would be 2"),
    "the rows": (other_rows, "stages.first.data.rows.path: was rows.jsonl ({}), would be rows."),
    "the rows, size and time": (
        other_rows_of_that_size_and_time,
        "stages.first.data.rows.path: was rows.jsonl ({}), would be rows.jsonl (",
    ),
    "another file": (
        other_file_of_rows,
        "stages.first.data.rows.path: was rows.jsonl ({}), would be more.jsonl (",
    ),
    "the weights": (other_base, "stages.first.model: was base ({}), would be base ("),
    "a file beside them": (other_file_in_the_base, "stages.first.model: was base ({}), would be"),
    "a plugin's code": (other_plugin, "stages.first: plugin toy.py: was {}, would be "),
    "a transition": (
        other_kind_of_transition,
        "stages.first.transitions.write_rows: was {{}}, would be nothing",
    ),
}


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("state", ["finished", "half done"])
def test_what_no_longer_fits_is_told_with_both_values_and_the_ways_on(
    what: str, state: str, toy: ToyRun
) -> None:
    change, sentence = CHANGES[what]
    if state == "finished":
        assert toy.run(until="first") == 0
    else:
        toy.half_done()
    spec = read_spec(toy.of("first"))
    assert spec is not None
    key = sentence.partition(":")[0].removeprefix("stages.first.")
    value = spec.identity["inputs"].get(key) or next(iter(spec.identity["plugins"].values()))
    change(toy)
    told, advice = problems(toy)
    assert told.startswith(sentence.format(value.rpartition("@")[2][:12]))
    assert told.endswith(f", and the stage is {state}")
    use = "uses it as it is" if state == "finished" else "continues it all the same"
    assert advice == (
        "stages.first: undo the change, or: redo=first carries it out again, and second, third "
        f"after it; keep=first {use}"
    )
    assert toy.run(redo="first") == 0, "redo is a way on"


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("state", ["finished", "half done"])
def test_a_kept_stage_is_used_recorded_and_marked_and_needs_no_second_word(
    what: str, state: str, toy: ToyRun, capsys: Any
) -> None:
    if state == "finished":
        assert toy.run() == 0
    else:
        toy.half_done()
    made = toy.weights("first") if state == "finished" else ""
    CHANGES[what][0](toy)
    both = {
        "keep": [
            "first",
            *(
                ["second", "third"]
                if what in ("the seed", "a plugin's code") and state == "finished"
                else []
            ),
        ]
    }
    assert toy.run(**both) == 0
    assert toy.run() == 0, "the word was recorded"
    if made:
        assert toy.weights("first") == made
    result = read_result(toy.of("first"))
    assert result is not None
    (line,) = result.kept["differences"]
    assert "was" in line and "would be" in line
    assert f"first is already finished (kept: {line})" in capsys.readouterr().out
    report = (toy.folder / "report.md").read_text()
    assert "first (kept)" in report and "on the user's word" in report
    assert as_json(line)[1:-1] in (toy.folder / "report.html").read_text()


def test_a_change_that_concerns_several_stages_names_them_all_at_the_end(toy: ToyRun) -> None:
    assert toy.run() == 0
    other_plugin(toy)
    assert problems(toy)[-1] == "keep=[first,second,third] uses all of them as they are"
    assert toy.run(keep=["first", "second", "third"]) == 0
    assert toy.run() == 0


def test_keeping_what_is_not_there_is_noted(toy: ToyRun) -> None:
    assert toy.plan(keep="second").notes == ["stages.second: keep: nothing is there to be used"]


def test_what_is_kept_of_one_change_is_asked_again_at_another(toy: ToyRun) -> None:
    assert toy.run() == 0
    other_text(toy)
    assert toy.run(keep="first") == 0
    toy.stages["first"]["text"] = "c"
    told, _ = problems(toy)
    assert told == "stages.first.text: was a, would be c, and the stage is finished"
    toy.stages["first"]["text"] = "a"
    assert toy.run() == 0


def test_the_rows_and_models_may_lie_elsewhere(toy: ToyRun) -> None:
    assert toy.run() == 0
    elsewhere = toy.root / "elsewhere"
    elsewhere.mkdir()
    toy.rows.rename(elsewhere / "rows.jsonl")
    toy.base.rename(elsewhere / "base")
    first = toy.stages["first"]
    first["data"]["rows"]["path"] = str(elsewhere / "rows.jsonl")
    first["model"] = str(elsewhere / "base")
    assert all(stage.finished for stage in toy.plan().stages)


NO_CHANGES: dict[str, dict[str, Any]] = {
    "launch": {"launch": {"how": "accelerate", "processes": 2}},
    "trackers": {"wandb": {"project": "other"}},
    "until": {"until": "third"},
}


@pytest.mark.parametrize("what", NO_CHANGES)
def test_how_it_is_computed_and_shown_changes_no_identity(what: str, toy: ToyRun) -> None:
    assert toy.run() == 0
    assert all(stage.finished for stage in toy.plan(**NO_CHANGES[what]).stages)


def test_scoring_processes_change_no_identity_and_a_deadline_does(toy: ToyRun) -> None:
    toy.stages["first"]["rewards"] = {"score": {}}
    assert toy.run() == 0
    toy.stages["first"]["scoring"] = {"processes": 1}
    assert toy.run() == 0
    toy.stages["first"]["scoring"] = {"deadline": 3.0}
    assert problems(toy)[0].startswith("stages.first.scoring.deadline: was 10.0, would be 3.0")


def test_a_link_to_weights_that_are_gone_is_named_with_the_stage(toy: ToyRun) -> None:
    (toy.base / "shard.bin").symlink_to("/gone")
    (problem,) = problems(toy)
    assert problem.startswith("stages.first: ") and "a link to /gone, which does not" in problem


def test_the_content_of_a_file_that_a_setting_names_is_part_of_it(toy: ToyRun) -> None:
    table = toy.root / "table.txt"
    table.write_text("one")
    toy.stages["second"]["table"] = str(table)
    assert toy.run() == 0
    table.write_text("two")
    assert problems(toy)[0].startswith("stages.second.table: was table.txt (")


def test_a_stage_that_was_removed_and_made_again_alike_leaves_later_ones_alone(
    toy: ToyRun, capsys: Any
) -> None:
    assert toy.run() == 0
    shutil.rmtree(toy.of("first"))
    plan = toy.plan()
    assert [stage.finished for stage in plan.stages] == [False, True, True]
    assert plan.notes == [
        "stages.second: has read stage:first, stage:first/hardest.jsonl, made again now; it is "
        "used if that is equal to the bit"
    ]
    assert toy.run() == 0
    assert "first finished in" in (out := capsys.readouterr().out.partition("complete")[2])
    assert "second is already finished" in out


def test_a_stage_that_was_made_again_otherwise_stops_the_run_before_later_ones(
    toy: ToyRun, capsys: Any
) -> None:
    assert toy.run() == 0
    shutil.rmtree(toy.of("first"))
    (toy.root / "noise").write_text("noise")
    told, advice = problems(toy)
    assert told.startswith("stages.second: stage:first was ")
    assert told.endswith(", and the stage is finished")
    assert "redo=second" in advice and "keep=second uses it as it is" in advice
    assert "second is already finished" not in capsys.readouterr().out.partition("complete")[2]
    assert problems(toy)[0] == told, "the plan says so too"
    assert toy.run(keep="second") == 0
    assert toy.run() == 0
    assert "noise" not in toy.weights("second")
    assert toy.run(redo="second") == 0
    assert "noise" in toy.weights("second") and "noise" in toy.weights("third")


def test_a_half_done_stage_does_not_continue_on_another_model(toy: ToyRun) -> None:
    toy.half_done("second")
    shutil.rmtree(toy.of("first"))
    (toy.root / "noise").write_text("noise")
    told, advice = problems(toy)
    assert told.startswith("stages.second: stage:first was ")
    assert told.endswith(", and the stage is half done")
    assert "keep=second continues it all the same" in advice
    assert toy.run(keep="second") == 0


def test_a_kept_stage_is_kept_while_an_earlier_one_is_carried_out_again(toy: ToyRun) -> None:
    assert toy.run() == 0
    other_text(toy)
    assert toy.run(redo="first", keep="second") == 0
    assert toy.weights("first").startswith("b|") and "|b|" not in toy.weights("second")
    assert toy.run() == 0
    kept = read_result(toy.of("second"))
    assert kept is not None and len(kept.kept["differences"]) >= 2


DAMAGES: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "gone": ("model/weights.txt", Path.unlink, "model/weights.txt is gone"),
    "cut": (
        "model/weights.txt",
        lambda path: os.truncate(path, 3),
        "model/weights.txt is not what the stage has made",
    ),
    "a transition's file": (
        "hardest.jsonl",
        lambda path: path.write_text(path.read_text().replace("x", "y")),
        "hardest.jsonl is not what the stage has made",
    ),
}


@pytest.mark.parametrize("what", DAMAGES)
@pytest.mark.parametrize("keep", [False, True])
def test_a_damaged_finished_stage_is_never_used(what: str, keep: bool, toy: ToyRun) -> None:
    assert toy.run() == 0
    name, damage, sentence = DAMAGES[what]
    damage(toy.of("first") / name)
    assert problems(toy, **({"keep": "first"} if keep else {})) == [
        f"stages.first: is finished, but {sentence}",
        "stages.first: redo=first carries it out again, and second, third after it",
    ]
    assert toy.run(redo="first") == 0


@pytest.mark.parametrize("name", ["result.json", "stage.yaml"])
@pytest.mark.parametrize("damage", ["emptied", "cut", "changed", "gone"])
def test_a_stage_whose_own_file_is_damaged_is_not_used(name: str, damage: str, toy: ToyRun) -> None:
    assert toy.run() == 0
    path = toy.of("second") / name
    text = path.read_text()
    if damage == "gone":
        path.unlink()
    else:
        cut = {"emptied": "", "cut": text[: len(text) // 2]}
        path.write_text(cut.get(damage, text.replace("stage:first", "stage:fairst", 1)))
    if (name, damage) == ("result.json", "gone"):
        assert toy.run() == 0, "it was never finished"
        return
    (problem,) = problems(toy)
    assert problem.startswith("stages.second: ") and "redo=second carries the stage" in problem
    assert toy.run(redo="second") == 0


def test_redo_sets_the_stage_and_those_that_read_it_aside(toy: ToyRun, capsys: Any) -> None:
    assert toy.run() == 0
    assert toy.run(redo="second") == 0
    out = capsys.readouterr().out
    assert "first is already finished" in out and "leave out redo" in out
    old = toy.folder / "stages" / ".old"
    assert sorted(path.name for path in old.iterdir()) == ["second.1", "third.1"]
    assert (old / "second.1" / "result.json").exists()
    assert toy.run(redo=["third"]) == 0
    assert sorted(path.name for path in old.iterdir()) == ["second.1", "third.1", "third.2"]


def test_redo_sets_nothing_aside_if_the_run_does_not_begin(toy: ToyRun) -> None:
    assert toy.run() == 0

    def refuse(*_: Any) -> None:
        raise ConfigError(["the preflight found something"])

    with pytest.raises(ConfigError, match="the preflight found something"):
        loop.run(toy.plan(redo="second"), "", refuse)
    assert toy.run() == 0
    assert not (toy.folder / "stages" / ".old").exists()


def test_until_ends_the_run_after_a_stage_and_says_what_is_left(toy: ToyRun, capsys: Any) -> None:
    assert toy.run(until="first") == 0
    out = capsys.readouterr().out
    assert "run is done until first; left: second, third (" in out
    assert not toy.of("second").exists()
    assert toy.run() == 0
    assert "is complete" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"redo": "frist"}, "redo: no stage is called 'frist' (did you mean 'first'?); there are:"),
        ({"keep": ["thrid"]}, "keep: no stage is called 'thrid' (did you mean 'third'?)"),
        ({"until": "secnd"}, "until: no stage is called 'secnd' (did you mean 'second'?)"),
        ({"redo": "first", "keep": "first"}, "keep: stage 'first' is in redo too; it is carried"),
        (
            {"until": "first", "redo": "third"},
            "until: the run ends after 'first', before 'third' of redo or keep",
        ),
    ],
)
def test_what_is_asked_of_no_stage_is_refused(
    asked: dict[str, Any], sentence: str, toy: ToyRun
) -> None:
    (problem,) = problems(toy, **asked)
    assert problem.startswith(sentence)


def test_another_number_of_processes_continues_and_is_told(toy: ToyRun) -> None:
    toy.half_done()
    plan = toy.plan(launch={"how": "accelerate", "processes": 2})
    assert not plan.stages[0].finished
    assert plan.notes == [
        "stages.first: continues with launch.how=accelerate and 2 processes after "
        "launch.how=local and 1 process: not to the bit"
    ]


def test_other_versions_are_told_once_for_all_stages(
    toy: ToyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert toy.run() == 0
    monkeypatch.setattr("r1trl.identity.versions.version", lambda name: "9")
    (note,) = toy.plan().notes
    assert note.startswith("stages.first, stages.second, stages.third: made with other versions")
    assert "torch 9 after " in note
    assert all(stage.finished for stage in toy.plan().stages)


def test_the_worker_refuses_what_was_changed_after_the_plan(toy: ToyRun, capfd: Any) -> None:
    loop.write_stage(toy.plan().stages[0])
    other_rows(toy)
    assert run_stage(toy.of("first")) == 1
    assert f"error: stages.first: {toy.rows} was " in capfd.readouterr().err
    assert not (toy.of("first") / "checkpoints").exists()


def test_a_result_has_the_digests_of_what_was_read_and_made(toy: ToyRun) -> None:
    assert toy.run() == 0
    content = json.loads((toy.of("second") / "result.json").read_text())
    first = toy.of("first")
    assert content["inputs"] == {
        "stage:first": Digests().of(first / "model"),
        "stage:first/hardest.jsonl": Digests().of(first / "hardest.jsonl"),
    }
    assert content["made"] == {
        "model/weights.txt": Digests().of(toy.of("second") / "model" / "weights.txt")
    }
    assert set(content["identity"]) == {"settings", "inputs", "plugins"}
