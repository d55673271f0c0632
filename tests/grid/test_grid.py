"""Every field of TRL's configs is equal, refused or changed on purpose, and is what it is said."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from grid import Grid, table_of, verdict_of
from one_step import kind_of
from trials import ELSEWHERE, KINDS, OF_KIND, TRIALS, trial_of

from r1trl.arguments.source import fields

ALL = (*KINDS, "pointwise")


@pytest.mark.parametrize("kind", ALL)
def test_every_field_is_classified(kind: str) -> None:
    unclassified = set(fields(str(kind_of(kind).trl_config))) - set(table_of(kind))
    assert not unclassified, "give it a Field in a table, and a trial in tests/grid/trials.py"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
def test_a_field_that_another_version_of_trl_adds_is_not(kind: str) -> None:
    import trl

    @dataclasses.dataclass
    class Config(getattr(trl, str(kind_of(kind).trl_config))):  # type: ignore[misc]
        of_tomorrow: float = 0.0

    names = {each.name for each in dataclasses.fields(Config) if each.init}
    assert names - set(table_of(kind)) == {"of_tomorrow"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_that_is_equal_has_a_trial(kind: str) -> None:
    equal = {name for name, each in table_of(kind).items() if verdict_of(each) == "equal"}
    assert {name for name in equal if not trial_of(kind, name)} <= set(ELSEWHERE)


def test_every_trial_is_of_a_field() -> None:
    known = {kind: set(table_of(kind)) for kind in KINDS}
    assert {*TRIALS, *ELSEWHERE} <= set.union(*known.values())
    assert all(name in known[kind] for kind, name in OF_KIND)
    assert not TRIALS.keys() & ELSEWHERE.keys()


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_what_its_table_says(
    kind: str, grid_models: dict[str, Path], tmp_path: Path, record_property: Any
) -> None:
    grid = Grid(kind, grid_models, tmp_path)
    wrong = grid.wrong()
    counts = ", ".join(f"{grid.count[v]} {v}" for v in ("equal", "refused", "changed"))
    config = kind_of(kind).trl_config
    unseen = f"{grid.count['reaches']} of the equal ones only seen to reach TRL"
    record_property("grid", f"{config}: {counts} ({unseen}), in {grid.seconds:.0f} s")
    assert not wrong, "\n".join(f"{name} {text}" for name, text in wrong.items())
