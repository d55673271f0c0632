"""The files of a stage: written whole or not at all, read back as they were, compared by key."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from r1trl.errors import ConfigError
from r1trl.stage.files import (
    FORMAT,
    StageSpec,
    differences,
    outputs,
    read_result,
    read_spec,
    write_result,
    write_spec,
)
from r1trl.types import StageResult

SPEC = StageSpec(
    stage="dev1",
    kind="sft",
    run="demo",
    seed=3,
    settings={"args": {"learning_rate": 5e-5, "text": "考试"}, "filters": {"correct": {}}},
    inputs={"stage:zero": "runs/demo/stages/zero/model"},
    identity={"settings": "abc"},
    plugins={"load": ["./mine.py"], "block": []},
)


def test_a_stage_that_was_never_started_has_no_spec_and_no_result(tmp_path: Path) -> None:
    assert read_spec(tmp_path) is None
    assert read_result(tmp_path) is None


def test_the_spec_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    model = str(tmp_path / "stages" / "zero" / "model")
    spec = replace(SPEC, inputs={"stage:zero": model}, settings={**SPEC.settings, "model": model})
    write_spec(tmp_path / "stages" / "dev1", spec)
    assert read_spec(tmp_path / "stages" / "dev1") == spec
    text = (tmp_path / "stages" / "dev1" / "stage.yaml").read_text(encoding="utf-8")
    assert text.startswith(f"format: {FORMAT}\ndigest: ") and "考试" in text
    assert "\nstage: dev1\nkind: sft\n" in text and "model: stage:zero\n" in text
    assert str(tmp_path) not in text


def test_plugins_see_a_stages_name_kind_folder_and_settings(tmp_path: Path) -> None:
    stage = SPEC.at(tmp_path)
    assert (stage.name, stage.kind, stage.folder) == ("dev1", "sft", tmp_path)
    assert stage.settings == SPEC.settings


@pytest.mark.parametrize("makes", ["model", "dataset"])
def test_the_result_is_read_back_as_it_was_written(makes: str, tmp_path: Path) -> None:
    model, dataset = outputs(tmp_path, makes)
    result = StageResult(
        stage="x",
        kind="sft",
        folder=tmp_path,
        model=model,
        dataset=dataset,
        metrics={"loss": 0.5},
        inputs={"stage:zero": "abc"},
        seconds=1.5,
        stop="enough",
        versions={"trl": "1.16.0"},
    )
    write_result(result)
    assert read_result(tmp_path) == result


@pytest.mark.parametrize(
    ("makes", "model", "dataset"),
    [("model", "model", None), ("dataset", None, "rollouts.parquet")],
)
def test_a_result_names_the_stages_output_so_that_the_run_can_be_moved(
    makes: str, model: str | None, dataset: str | None, tmp_path: Path
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    write_result(StageResult("x", "sft", old, *outputs(old, makes)))
    written = json.loads((old / "result.json").read_text())
    assert (written["model"], written["dataset"]) == (model, dataset)
    assert set(written) == {
        *("format", "digest", "stage", "kind", "model", "dataset", "metrics", "inputs"),
        *("seconds", "stop", "versions", "made", "identity", "kept"),
    }
    old.rename(new)
    moved = read_result(new)
    assert moved is not None and moved.folder == new
    assert moved.model == (new / model if model else None)


DIFFERENT: list[tuple[dict[str, Any], dict[str, Any], list[str]]] = [
    ({"a": 1}, {"a": 1}, []),
    ({"a": 1}, {"a": 2}, ["a: was 1, would be 2"]),
    ({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 2}}}, ["a.b.c: was 1, would be 2"]),
    ({"a": 1}, {}, ["a: was 1, would be nothing"]),
    ({}, {"a": None}, ["a: was nothing, would be None"]),
    ({"a": {"b": 1}}, {"a": 3}, ["a: was {'b': 1}, would be 3"]),
    ({"a": [1, 2]}, {"a": [2, 1]}, ["a: was [1, 2], would be [2, 1]"]),
    (
        {"b": 1, "a": 1},
        {"a": 2, "b": 2, "c": 3},
        ["b: was 1, would be 2", "a: was 1, would be 2", "c: was nothing, would be 3"],
    ),
]


@pytest.mark.parametrize(("old", "new", "lines"), DIFFERENT)
def test_differences_name_every_key_with_both_values(
    old: dict[str, Any], new: dict[str, Any], lines: list[str]
) -> None:
    assert differences(old, new) == lines


@pytest.mark.parametrize("name", ["stage.yaml", "result.json"])
@pytest.mark.parametrize("format_", [None, 1, 99])
def test_a_folder_of_another_format_is_refused_with_the_reason(
    name: str, format_: int | None, tmp_path: Path
) -> None:
    folder = tmp_path / "demo" / "stages" / "dev1"
    write_spec(folder, SPEC)
    write_result(StageResult("dev1", "sft", folder))
    content = yaml.safe_load((folder / name).read_text())
    del content["format"]
    if format_ is not None:
        content["format"] = format_
    (folder / name).write_text(json.dumps(content))
    with pytest.raises(ConfigError) as caught:
        (read_spec if name == "stage.yaml" else read_result)(folder)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{folder / name}: is of format {format_ or 1}, and this r1trl reads")
    assert f"remove {tmp_path / 'demo'}" in problem and "choose another name=" in problem


@pytest.mark.parametrize("text", ["", "- 1", "a: [", "format: 3", "format: 3\nbogus: 1", "\x00"])
@pytest.mark.parametrize("name", ["stage.yaml", "result.json"])
def test_a_file_that_cannot_be_read_is_named_with_what_to_do(
    name: str, text: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError) as caught:
        (read_spec if name == "stage.yaml" else read_result)(tmp_path)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{tmp_path / name}: cannot be read (")
    assert problem.endswith(f"redo={tmp_path.name} carries the stage out again")
