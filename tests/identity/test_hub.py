"""What comes from the Hub is known by its commit: of the cache, or found out by the worker."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import constants
from toy_run import ToyRun

from r1trl.errors import ConfigError
from r1trl.identity import inputs
from r1trl.stage.files import read_result, read_spec

NAME = "somebody/rows"
A, B = "a" * 40, "b" * 40


@pytest.fixture
def hub(toy: ToyRun, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file with the cached commit of the rows that the first stage reads."""
    toy.stages["first"]["data"]["rows"] = {"path": NAME}
    cache = toy.root / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    ref = cache / "datasets--somebody--rows" / "refs" / "main"
    ref.parent.mkdir(parents=True)
    return ref


def reachable(monkeypatch: pytest.MonkeyPatch, commit: str) -> None:
    """Let the Hub answer with a commit."""
    inputs._asked.cache_clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    answer: Any = lambda *_, **__: SimpleNamespace(sha=commit)  # noqa: E731
    monkeypatch.setattr(huggingface_hub.HfApi, "repo_info", answer)


def test_another_commit_in_the_cache_is_a_difference(toy: ToyRun, hub: Path) -> None:
    hub.write_text(A)
    assert toy.run(until="first") == 0
    hub.write_text(B)
    with pytest.raises(ConfigError) as caught:
        toy.plan()
    assert caught.value.problems[0] == (
        f"stages.first.data.rows.path: was {NAME} ({A[:12]}), would be {NAME} ({B[:12]}), and the "
        "stage is finished"
    )


def test_a_commit_that_is_not_known_is_recorded_by_the_worker_and_counts_from_then_on(
    toy: ToyRun, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = toy.plan().stages[0].spec
    assert spec.identity["inputs"]["data.rows.path"] == f"{NAME}@unknown commit"
    reachable(monkeypatch, A)
    assert toy.run() == 0
    result = read_result(toy.of("first"))
    assert result is not None and result.inputs[NAME] == A
    hub.write_text(A)
    assert all(stage.finished for stage in toy.plan().stages), "later identities are as before"
    hub.write_text(B)
    with pytest.raises(ConfigError, match=f"was {NAME} .{A[:12]}.*would be {NAME} .{B[:12]}"):
        toy.plan()


def test_a_half_done_stage_does_not_continue_on_another_commit(
    toy: ToyRun, hub: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    reachable(monkeypatch, A)
    toy.half_done()
    spec = read_spec(toy.of("first"))
    assert spec is not None and spec.read[NAME] == A
    reachable(monkeypatch, B)
    assert toy.run() == 1
    assert (
        f"{NAME} was {A[:12]} when the stage was begun, and is {B[:12]}" in capfd.readouterr().err
    )
    reachable(monkeypatch, A)
    assert toy.run() == 0


def test_a_benchmark_of_the_run_that_a_stage_does_not_read_is_none_of_its_inputs(
    toy: ToyRun, hub: Path
) -> None:
    toy.more["benchmarks"] = {"b": {"path": "somebody/benchmark"}}
    assert toy.run() == 0
    result = read_result(toy.of("first"))
    assert result is not None and "somebody/benchmark" not in result.inputs


def test_without_the_hub_and_a_cache_a_stage_is_carried_out_all_the_same(
    toy: ToyRun, hub: Path
) -> None:
    inputs._asked.cache_clear()
    assert toy.run() == 0
    assert toy.run() == 0
    result = read_result(toy.of("first"))
    assert result is not None and result.inputs[NAME] == "unknown commit"
