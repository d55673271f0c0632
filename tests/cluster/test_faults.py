"""A run that meets faults on two hosts ends everywhere, says why, and goes on exactly."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cluster_run import ClusterRun
from faults import END_SECONDS, FAULTS, disturbed

pytestmark = [pytest.mark.slow, pytest.mark.long]

STEPS = 24
# The others are in benchmarks/cluster.py.
SOME = {
    "slurm": ("rank killed", "scancel --batch --signal=USR1", "cable cut", "driver killed"),
    "ray": ("rank stopped", "SIGUSR1", "host killed", "driver killed"),
}
Start = Callable[[str], ClusterRun]


@pytest.fixture
def run_of(request: pytest.FixtureRequest, tmp_path: Path) -> Start:
    """Return a function that makes a run under an engine."""
    engines = {"slurm": "slurm", "ray": "rays"}

    def made(name: str) -> ClusterRun:
        how, _, folder = name.partition(" ")
        return ClusterRun(tmp_path / (folder or how), request.getfixturevalue(engines[how]), STEPS)

    return made


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Any]:
    """Return what runs that nobody has touched have made, by engine: they are equal."""
    return {}


@pytest.mark.parametrize("how", SOME)
def test_a_run_over_two_hosts_survives(how: str, run_of: Start, outcomes: dict[str, Any]) -> None:
    whole = run_of(f"{how} whole")
    whole.start()
    whole.finished()
    outcomes[how] = whole.outcome()
    assert "rank 1 is on the CPU" in (whole.stage / "log.node1.txt").read_text()
    assert all(outcome == outcomes[how] for outcome in outcomes.values()), "engines differ"
    run = run_of(how)
    for outcome in disturbed(run, SOME[how]):
        print(f"{how}: {outcome.name}: {outcome.seconds:.0f} s")
        assert outcome.seconds < END_SECONDS
        assert FAULTS[outcome.name].says in outcome.said
    assert run.outcome() == outcomes[how]
