"""The files of a stage: written whole or not at all, read back as they were, compared by key."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from r1trl.errors import ConfigError, R1trlError
from r1trl.stage.files import (
    FORMAT,
    SAMPLED_BYTES,
    StageSpec,
    differences,
    digest,
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
    plugins={"load": ["./mine.py"], "block": []},
)


def test_a_stage_that_was_never_started_has_no_spec_and_no_result(tmp_path: Path) -> None:
    assert read_spec(tmp_path) is None
    assert read_result(tmp_path) is None


def test_the_spec_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    write_spec(tmp_path / "stages" / "dev1", SPEC)
    assert read_spec(tmp_path / "stages" / "dev1") == SPEC
    text = (tmp_path / "stages" / "dev1" / "stage.yaml").read_text(encoding="utf-8")
    assert text.startswith(f"format: {FORMAT}\nstage: dev1\nkind: sft\n") and "考试" in text


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
        *("format", "stage", "kind", "model", "dataset", "metrics", "inputs", "seconds", "stop"),
        "versions",
    }
    old.rename(new)
    moved = read_result(new)
    assert moved is not None and moved.folder == new
    assert moved.model == (new / model if model else None)


def write_tree(folder: Path) -> Path:
    """Write a folder of files, one of them larger than what is read of it."""
    (folder / "sub").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "sub" / "weights").write_bytes(bytes(3 * SAMPLED_BYTES))
    return folder


def change(folder: Path, what: str) -> None:
    """Change a tree in one respect."""
    weights = folder / "sub" / "weights"
    with weights.open("r+b") as stream:
        match what:
            case "first byte":
                stream.write(b"x")
            case "last byte":
                stream.seek(-1, os.SEEK_END)
                stream.write(b"x")
            case "size":
                stream.seek(0, os.SEEK_END)
                stream.write(b"\0")
            case "name":
                weights.rename(folder / "sub" / "other")
            case "new file":
                (folder / "new").write_text("")
            case "small file":
                (folder / "config.json").write_text("[]")


def test_the_digest_of_equal_trees_is_equal(tmp_path: Path) -> None:
    trees = [write_tree(tmp_path / place / "model") for place in ("a", "b")]
    assert digest(trees[0]) == digest(trees[1])
    files = [tree / "config.json" for tree in trees]
    assert digest(files[0]) == digest(files[1]) != digest(trees[0])


@pytest.mark.parametrize(
    "what", ["first byte", "last byte", "size", "name", "new file", "small file"]
)
def test_the_digest_changes_with_the_tree(what: str, tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "model")
    before = digest(tree)
    change(tree, what)
    assert digest(tree) != before


def test_what_does_not_exist_has_no_digest(tmp_path: Path) -> None:
    with pytest.raises(R1trlError, match="nowhere does not exist"):
        digest(tmp_path / "nowhere")


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


@pytest.mark.parametrize("text", ["", "- 1", "a: [", "format: 2", "format: 2\nbogus: 1", "\x00"])
@pytest.mark.parametrize("name", ["stage.yaml", "result.json"])
def test_a_file_that_cannot_be_read_is_named_with_what_to_do(
    name: str, text: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError) as caught:
        (read_spec if name == "stage.yaml" else read_result)(tmp_path)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{tmp_path / name}: cannot be read (")
    assert problem.endswith(f"remove {tmp_path} to run the stage again")
