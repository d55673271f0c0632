"""What is wrong with the nodes of a launch is one sentence, which the page "Your cluster" has."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from r1trl.config.stage_parts import LaunchConfig
from r1trl.errors import R1trlError
from r1trl.identity.versions import versions
from r1trl.launch.nodes import Nodes, address_of
from r1trl.launch.probe import Node

PAGE = (Path(__file__).parents[2] / "docs" / "CLUSTER.md").read_text(encoding="utf-8")
OWN = versions()
FIRST = Node(0, "n1", [], 0.1, "10.0.0.1", ["10.0.0.1"], 0.0, OWN)
SECOND = replace(FIRST, number=1, host="n2")
WRONG = {
    "no shared disk": replace(SECOND, missing=[0]),
    "no way": replace(SECOND, address=None),
    "other versions": replace(SECOND, versions={**OWN, "trl": "1.15.0"}),
}


def test_nodes_that_fit_meet_where_the_others_reach_the_first() -> None:
    second = replace(SECOND, address="10.9.9.1")
    assert address_of([FIRST, second], Path("x")) == "10.9.9.1"
    assert address_of([FIRST], Path("x")) == "10.0.0.1"


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_said_as_the_page_has_it(what: str) -> None:
    with pytest.raises(R1trlError) as caught:
        address_of([FIRST, WRONG[what]], Path("/local/runs/x"))
    assert str(caught.value).replace(f"r1trl {OWN['trl']}", "r1trl 1.16.0") in PAGE


def test_a_package_that_a_node_lacks_is_named() -> None:
    without = {name: v for name, v in OWN.items() if name != "datasets"}
    with pytest.raises(R1trlError, match="n2 has datasets none, and this r1trl "):
        address_of([FIRST, replace(SECOND, versions=without)], Path("x"))


@pytest.mark.slow
def test_a_node_that_says_nothing_is_told_with_the_last_that_was_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"SLURM_JOB_ID": "7", "SLURM_JOB_NUM_NODES": "2"}.items():
        monkeypatch.setenv(name, value)
    srun = tmp_path / "srun"
    srun.write_text("#!/bin/sh\necho srun: error: n2 is down >&2\nexit 1\n")
    srun.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    launch = asdict(LaunchConfig(how="slurm", nodes=2))
    with pytest.raises(R1trlError) as caught:
        Nodes({}).ask(tmp_path / "run", launch)
    told = "launch.how=slurm launch.nodes=2: not all nodes have answered "
    assert str(caught.value) == f"{told}(none did): srun: error: n2 is down"
    assert f"`{told}(n1 did)`" in PAGE
