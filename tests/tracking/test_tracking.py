"""What trackers and observers are told of a stage; one that is lost stops nothing, and is said."""

import time
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from recorder import PLUGIN, told

from r1trl.config.kinds import load_plugins
from r1trl.errors import StageError
from r1trl.stage.files import StageSpec
from r1trl.tracking import sender
from r1trl.tracking.tracking import Tracking, begin_tracking
from r1trl.types import StageResult

SECRET = "hf_SecretSecret0123456789"


@pytest.fixture
def begun(plugin_file: Any, tmp_path: Path) -> Any:
    """Return a function that begins to track a stage with recorders, by their options."""

    def begin(more: str = "", **options: Any) -> Tracking:
        plugins = load_plugins([plugin_file(PLUGIN + more)])
        named = {
            name: {"path": str(tmp_path / f"{name}.jsonl"), **options.get(name, {})}
            for name in ("recorder", "second")
        }
        folder = tmp_path / "run" / "stages" / "zero"
        folder.mkdir(parents=True, exist_ok=True)
        spec = StageSpec("zero", "grpo", "run", 1, {"seen": 1}, trackers=named, completions=2)
        return begin_tracking(spec, folder, plugins)

    return begin


def test_calls_come_in_their_order_in_a_thread_of_the_trackers(begun: Any, tmp_path: Path) -> None:
    with begun() as tracking:
        for step in (1, 2, 3):
            tracking.metrics({"step": step, "loss": step / 2, "kl": None})
        tracking.samples([{"prompt": "1 + 1", "reward": 1.0}], 3)
        tracking.alert("look", "at this", "warn")
    for name in ("recorder", "second"):
        lines = told(tmp_path / f"{name}.jsonl")
        methods = ["start", *["metrics"] * 3, "completions", "alert", "finish"]
        assert [line["method"] for line in lines] == ["__init__", *methods]
        assert [line["own_thread"] for line in lines] == [False, *[True] * 7]
        assert lines[3]["row"] == {"step": 2, "loss": 1.0, "kl": None}
        assert lines[-1]["metrics"] is None  # the stage has no result


def test_a_stage_that_goes_on_has_its_id_and_one_that_begins_anew_another(
    begun: Any, tmp_path: Path
) -> None:
    for _ in range(2):
        with begun():
            pass
    (tmp_path / "run" / "stages" / "zero" / "tracking.json").unlink()
    with begun():
        pass
    starts = told(tmp_path / "recorder.jsonl", "start")
    assert [start["resumed"] for start in starts] == [False, True, False]
    first, again, anew = (start["run_id"] for start in starts)
    assert first == again != anew
    assert first.startswith("run-zero-") and anew.startswith("run-zero-")


@pytest.mark.parametrize("at", ["__init__", "start", "metrics", "finish"])
def test_a_tracker_that_raises_is_said_once_and_the_other_has_all(
    at: str, begun: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with begun(recorder={"at": at}) as tracking:
        for step in range(1, 6):
            tracking.metrics({"step": step})
            time.sleep(0.01)
    said = capsys.readouterr().err
    assert said.count("trackers.recorder: is lost (") == 1
    assert "ConnectionError: nobody answers" in said
    assert "trackers.second" not in said
    assert len(told(tmp_path / "second.jsonl", "metrics")) == 5
    assert len(told(tmp_path / "second.jsonl", "finish")) == 1


@pytest.mark.parametrize("at", ["start", "metrics", "finish"])
def test_a_tracker_that_hangs_keeps_nobody_longer_than_its_patience(
    at: str, begun: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hanging = {"at": at, "how": "hang", "patience": 0.3}
    begin = time.monotonic()
    with begun(recorder=hanging) as tracking:
        for step in range(1, 6):
            tracking.metrics({"step": step})
        assert time.monotonic() - begin < 60  # and not the 600 seconds that it hangs
    assert time.monotonic() - begin < 60
    said = capsys.readouterr().err
    assert said.count("trackers.recorder: is lost (") == 1
    assert f"{at} has not returned for" in said
    assert len(told(tmp_path / "second.jsonl", "metrics")) == 5


def test_a_tracker_that_falls_behind_does_not_fill_the_memory(
    begun: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "LONGEST", 50)
    with begun(recorder={"at": "metrics", "how": "hang", "patience": 0.1}) as tracking:
        for step in range(40):
            tracking.metrics({"step": step})
        time.sleep(0.5)  # the second one comes after
        for step in range(40, 80):
            tracking.metrics({"step": step})
    said = capsys.readouterr().err
    assert said.count("is lost (") == 1 and "and 50 calls wait for it" in said


def test_a_process_that_is_to_leave_waits_no_longer_than_it_may(
    begun: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender.pulse, "leave", "SIGTERM")
    monkeypatch.setattr(sender.pulse, "leave_by", time.monotonic() + sender.TO_LEAVE + 0.2)
    begin = time.monotonic()
    with begun(recorder={"at": "finish", "how": "hang", "patience": 500.0}):
        pass
    assert time.monotonic() - begin < 100


def test_trackers_get_no_secrets_and_no_halves_of_characters(
    begun: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_TOKEN", SECRET)
    with begun(f"KEY = {SECRET!r}\n") as tracking:
        tracking.samples([{"completion": f"{SECRET} \ud800 ü"}], 1)
        tracking.alert("it failed", f"401 with {SECRET}", "error")
    text = (tmp_path / "recorder.jsonl").read_text()
    assert SECRET not in text and "oc.env:A_TOKEN" in text
    (row,) = told(tmp_path / "recorder.jsonl", "completions")[0]["rows"]
    assert row["completion"] == "${oc.env:A_TOKEN} \ufffd ü"
    (code,) = told(tmp_path / "recorder.jsonl", "start")[0]["stage"]["code"].values()
    assert "KEY = '${oc.env:A_TOKEN}'" in code


def test_some_rows_of_what_a_stage_makes_are_told_at_equal_distances(
    begun: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "run" / "stages" / "zero"
    with begun() as tracking:
        Dataset.from_dict({"row": range(2000)}).to_parquet(folder / "rollouts.parquet")
        made = {"rollouts.parquet": "a digest"}
        rows = folder / "rollouts.parquet"
        tracking.finish(StageResult("zero", "sample", folder, dataset=rows, made=made))
    (line,) = told(tmp_path / "recorder.jsonl", "completions")
    assert line["step"] is None
    assert [row["row"] for row in line["rows"]] == list(range(0, 2000, 4))
    (finish,) = told(tmp_path / "recorder.jsonl", "finish")
    assert finish["files"] == {"dataset": {"path": str(rows), "digest": "a digest"}}


OBSERVER = """
@r1trl.hookimpl
def r1trl_logged(stage, step, metrics):
    with (stage.folder / "seen").open("a") as file:
        print(stage.name, step, metrics["loss"], file=file)
    if metrics["loss"] > 9:
        raise ValueError("a loss of more than nine")
"""


def test_an_observer_sees_each_row_and_fails_the_stage_with_its_name(
    begun: Any, tmp_path: Path
) -> None:
    with begun(OBSERVER) as tracking:
        tracking.metrics({"step": 1, "loss": 0.5})
        with pytest.raises(StageError, match=r"plugin '.*mine.py': r1trl_logged: ValueError: a l"):
            tracking.metrics({"step": 2, "loss": 10.0})
    seen = (tmp_path / "run" / "stages" / "zero" / "seen").read_text()
    assert seen == "zero 1 0.5\nzero 2 10.0\n"


def test_without_trackers_there_is_no_file_and_no_thread(plugin_file: Any, tmp_path: Path) -> None:
    spec = StageSpec("zero", "grpo", "run", 1, {}, completions=3)
    with begin_tracking(spec, tmp_path, load_plugins()) as tracking:
        tracking.metrics({"step": 1})
        assert tracking.senders == [] and tracking.completions == 3
    assert list(tmp_path.iterdir()) == []
