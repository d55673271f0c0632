"""A run can be moved, copied and renamed: its stages stay finished, and continue."""

import shutil
from typing import Any

import yaml
from toy_run import ToyRun

from r1trl.run.worker import run_stage


def test_no_file_of_a_stage_names_the_folder_of_its_run(toy: ToyRun) -> None:
    assert toy.run() == 0
    for name in ("stage.yaml", "result.json"):
        for stage in ("second", "third"):
            assert str(toy.folder) not in (toy.of(stage) / name).read_text()
    spec = yaml.safe_load((toy.of("second") / "stage.yaml").read_text())
    assert spec["settings"]["model"] == "stage:first"
    assert spec["inputs"]["stage:first"] == "../first/model"


def test_a_run_under_another_name_is_finished_as_before(toy: ToyRun, capsys: Any) -> None:
    assert toy.run() == 0
    old = toy.folder
    toy.name = "other"
    old.rename(toy.folder)
    assert toy.run() == 0
    assert capsys.readouterr().out.count("is already finished") == 3


def test_a_copy_reads_what_lies_beside_it(toy: ToyRun) -> None:
    toy.half_done("third")
    old = toy.folder
    toy.name = "copy"
    shutil.copytree(old, toy.folder)
    shutil.rmtree(old)
    assert toy.run() == 0
    assert toy.weights("third").startswith("a|")


def test_a_stage_of_a_moved_run_is_carried_out_by_hand(toy: ToyRun) -> None:
    toy.half_done("third")
    old = toy.folder
    toy.name = "moved"
    old.rename(toy.folder)
    assert run_stage(toy.of("third")) == 0
    assert toy.weights("third").startswith("a|")
