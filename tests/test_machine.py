"""Tests that lack something of the machine are skipped, and fail where it is required."""

import re
from pathlib import Path

import pytest
from machine import require

TESTS = Path(__file__).parent
NAMED, ALL = "chromium,slurm", "all"


@pytest.mark.parametrize(
    ("required", "capability", "found", "outcome"),
    [
        ("", "slurm", True, None),
        (NAMED, "slurm", True, None),
        ("", "slurm", False, pytest.skip.Exception),
        (NAMED, "bubblewrap", None, pytest.skip.Exception),
        (NAMED, "slurm", False, pytest.fail.Exception),
        (ALL, "bubblewrap", None, pytest.fail.Exception),
        (ALL, "gpu", False, pytest.skip.Exception),
        ("all,gpu", "gpu", False, pytest.fail.Exception),
    ],
)
def test_what_is_missing_skips_a_test_or_fails_it_where_it_is_required(
    required: str, capability: str, found: object, outcome: type[BaseException] | None, monkeypatch
) -> None:
    monkeypatch.setenv("R1TRL_REQUIRE", required)
    if outcome is None:
        require(capability, found)
    else:
        with pytest.raises(outcome, match=f"^{capability}: no such program"):
            require(capability, found, "no such program")


def test_no_test_is_skipped_in_another_way() -> None:
    skips = re.compile(r"pytest\.(skip|importorskip)\(|mark\.skip")
    files = {path.name for path in TESTS.rglob("*.py") if skips.search(path.read_text())}
    assert files - {Path(__file__).name} == {"machine.py"}
