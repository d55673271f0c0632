"""Runs that are compared: what they are called, and which folders are refused."""

from pathlib import Path

import pytest
from report_runs import write_report_run

from r1trl.compare.names import told_apart
from r1trl.compare.runs import read_runs
from r1trl.errors import ConfigError


def write_run(folder: Path, *words: str, config: str = "{}") -> Path:
    """Write a run that has been composed from some words, and has just begun."""
    (folder / "stages").mkdir(parents=True)
    head = ["# composed from these overrides:", *(f"# {word}" for word in words)]
    (folder / "config.yaml").write_text("\n".join([*head, config, ""]))
    return folder


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.b.rate", "a.b.beta"], ["rate", "beta"]),
        (
            ["zero.args.rate", "dev1.args.rate", "seed"],
            ["zero.args.rate", "dev1.args.rate", "seed"],
        ),
        (["a.zero.rate", "b.scale.rate"], ["zero.rate", "scale.rate"]),
        (["rate", "rl.rate", "a.rl.rate"], ["rate", "rl.rate", "a.rl.rate"]),
        (["alone"], ["alone"]),
        ([], []),
    ],
)
def test_names_are_cut_to_what_tells_them_apart(names: list[str], expected: list[str]) -> None:
    assert told_apart(names, ".") == expected


def test_a_run_is_called_by_that_in_which_its_command_differs(tmp_path: Path) -> None:
    shared = ("recipe=zero", "scale=tiny", "runs_dir=here")
    one = write_run(tmp_path / "one", *shared, "stages.zero.args.beta=0.5", "+seed=1", "name=x")
    two = write_run(tmp_path / "two", *shared, "stages.zero.args.beta=0.5", "seed=2", "until=zero")
    three = write_run(tmp_path / "three", *shared, "stages.zero.args.beta=0.5")
    runs = read_runs([one, two, three])
    assert [run.name for run in runs] == ["seed=1", "seed=2", "seed=default"]
    assert [dict(run.given) for run in runs] == [{"seed": "1"}, {"seed": "2"}, {"seed": "default"}]


def test_of_two_keys_with_the_same_last_part_more_is_said(tmp_path: Path) -> None:
    one = write_run(tmp_path / "one", "stages.zero.args.beta=1", "stages.dev.args.beta=2")
    two = write_run(tmp_path / "two", "stages.zero.args.beta=3", "stages.dev.args.beta=4")
    assert read_runs([one, two])[0].name == "zero.args.beta=1,dev.args.beta=2"


@pytest.mark.parametrize("words", [(), ("long=" + "x" * 50,)])
def test_runs_that_their_commands_do_not_name_are_called_by_their_folders(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    folders = [write_run(tmp_path / place / "demo", *words) for place in ("a", "b")]
    write_run(tmp_path / "c" / "other", "long=1")
    runs = read_runs([*folders, tmp_path / "c" / "other"])
    assert [run.name for run in runs] == ["a/demo", "b/demo", "other"]


def test_what_is_no_run_is_told_in_a_sentence_each(tmp_path: Path) -> None:
    run = write_run(tmp_path / "zero-tiny")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError) as caught:
        read_runs([tmp_path / "zero-tyni", tmp_path / "empty", run, tmp_path / "." / "zero-tiny"])
    problems = [problem.replace(f"{tmp_path}/", "") for problem in caught.value.problems]
    assert problems == [
        "zero-tyni is not the folder of a run: it is not there (did you mean 'zero-tiny'?)",
        "empty is not the folder of a run: it has no stages/",
        "zero-tiny is named twice; compare takes different runs",
    ]


def test_one_run_alone_is_not_compared(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="one run alone is named; give the folders of two"):
        read_runs([write_run(tmp_path / "one")])


def test_a_config_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / "one"), write_run(tmp_path / "two", config="a: [")]
    with pytest.raises(ConfigError, match=r"two/config.yaml: cannot be read \(while parsing"):
        read_runs(runs)


def test_a_run_is_as_well_as_its_worst_stage(tmp_path: Path) -> None:
    write_report_run(tmp_path / "failed")
    new = write_run(tmp_path / "new")
    assert [run.state for run in read_runs([tmp_path / "failed", new])] == ["failed", "waiting"]
