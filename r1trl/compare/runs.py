"""The runs that are compared: config, stages, and in what their commands differ.

A run is called by that difference, such as `learning_rate=0.0001`, or by its folder.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from r1trl.compare.names import told_apart
from r1trl.errors import ConfigError
from r1trl.report.files import words_of
from r1trl.report.state import (
    Record,
    StageState,
    read_record,
    read_stages,
    run_problem,
    worst,
)
from r1trl.stage.files import Loader

LONGEST = 40  # characters of a name that says in what a run differs
DEFAULT = "default"  # in place of the value of a key that a command does not give
# Keys that say where a run is and how far a command carries it out, not what it is.
NOT_COMPARED = ("name", "runs_dir", "until", "redo", "keep")


@dataclass(frozen=True)
class ComparedRun:
    """A run with its name among those that are compared.

    `given` has the values of the keys in which the commands differ, by short names of the keys.
    """

    name: str
    folder: Path
    given: Mapping[str, str]
    words: Sequence[str]
    config: Mapping[str, Any]
    record: Record
    stages: Sequence[StageState]

    @property
    def state(self) -> str:
        """Return the worst state of its stages."""
        return worst([stage.state for stage in self.stages])

    def stage(self, name: str) -> StageState | None:
        """Return a stage; None if the run has none of that name."""
        return next((stage for stage in self.stages if stage.name == name), None)


def read_runs(folders: Sequence[Path]) -> list[ComparedRun]:
    """Return the runs of some folders, in their order.

    Raises ConfigError if one is no run or is named twice, if there is one alone, or if a file of
    theirs cannot be read.
    """
    _check(folders)
    words = [words_of(folder) for folder in folders]
    given = _given(words)
    names = _names(given, folders)
    runs = []
    for name, folder, own, each in zip(names, folders, given, words, strict=True):
        record = read_record(folder)
        stages = read_stages(folder, record)
        runs.append(ComparedRun(name, folder, own, each, _config(folder), record, stages))
    return runs


def stage_names(runs: Sequence[ComparedRun]) -> list[str]:
    """Return the names of all stages, those of the first run first."""
    return list(dict.fromkeys(stage.name for run in runs for stage in run.stages))


def _check(folders: Sequence[Path]) -> None:
    problems, seen = list[str](), set[Path]()
    for folder in folders:
        if problem := run_problem(folder):
            problems.append(problem)
        elif folder.resolve() in seen:
            problems.append(f"{folder} is named twice; compare takes different runs")
        seen.add(folder.resolve())
    if not problems and len(folders) < 2:
        problems.append("compare: one run alone is named; give the folders of two or more")
    if problems:
        raise ConfigError(problems)


def _given(words: Sequence[Sequence[str]]) -> list[dict[str, str]]:
    """Return what each command gives of the keys in which the commands differ, by short names."""
    values = [dict(map(_key_and_value, each)) for each in words]
    keys = dict.fromkeys(key for each in values for key in each if key not in NOT_COMPARED)
    differ = [key for key in keys if len({each.get(key, DEFAULT) for each in values}) > 1]
    short = dict(zip(differ, told_apart(differ, "."), strict=True))
    return [{name: each.get(key, DEFAULT) for key, name in short.items()} for each in values]


def _key_and_value(word: str) -> tuple[str, str]:
    key, equals, value = word.lstrip("+").partition("=")
    return key.lstrip("~"), value if equals else "left out"


def _names(given: Sequence[Mapping[str, str]], folders: Sequence[Path]) -> list[str]:
    """Return a name for each run: in what its command differs, if that is short, or its folder."""
    names = [",".join(f"{key}={value}" for key, value in each.items()) for each in given]
    if len(set(names)) == len(names) and all(0 < len(name) <= LONGEST for name in names):
        return names
    return told_apart([folder.resolve().as_posix() for folder in folders], "/")


def _config(folder: Path) -> Mapping[str, Any]:
    """Return config.yaml as nested values, with its references; nothing if there is none."""
    path = folder / "config.yaml"
    if not path.exists():
        return {}
    try:
        config = yaml.load(path.read_text(encoding="utf-8"), Loader)  # noqa: S506 - a safe one
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError([f"{path}: cannot be read ({reason})"]) from error
    return config if isinstance(config, dict) else {}
