"""Servers are started for a stage, kept alive, asked, and end with it whatever ends it."""

import os
import signal
from pathlib import Path

import pandas
import pytest
from ranks import at_work_in, wait_for
from serving import commands, of_policy, start, state, wait_in, write_recipe

pytestmark = pytest.mark.slow
SLOW_ANSWERS = "stages.draws.serve.policy.args={seconds: 0.3}"


@pytest.mark.long
def test_a_replica_that_is_killed_is_started_again_and_no_row_is_lost(tmp_path: Path) -> None:
    write_recipe(tmp_path)
    stages = tmp_path / "runs" / "x" / "stages"
    judged = "stages.scores.serve.judge.args={reply: 'Score: 7'}"
    run = start(tmp_path, *commands(judged, SLOW_ANSWERS))
    try:
        wait_in(run, lambda: list(stages.glob("draws/shards/*/*.json")), 90)
        killed = of_policy(stages / "draws")
        assert sorted(killed) == [0, 1]
        os.kill(killed[1], signal.SIGKILL)
        printed = run.communicate(timeout=120)[0]
    finally:
        run.kill()
    assert run.returncode == 0, printed
    now = of_policy(stages / "draws")
    assert now[0] == killed[0] and now[1] != killed[1]
    drawn = pandas.read_parquet(stages / "draws" / "rollouts.parquet")
    assert drawn.groupby("problem").size().to_list() == [2] * 24
    assert drawn["completion"].str.fullmatch(r"\d+ by base").all()
    assert drawn["completion"].nunique() == 48, "each has a seed of its own"
    logs = {path.name for path in (stages / "draws" / "serve").glob("*.txt")}
    assert logs == {"policy.0.txt", "policy.1.txt", "nodes.txt"}
    scored = pandas.read_parquet(stages / "scores" / "rollouts.parquet")
    by = scored.groupby("model")["completion"].agg(lambda texts: set(texts.str.partition(" ")[2]))
    assert by.to_dict() == {"base": {"by base"}, "other": {"by student"}}, "they come in turn"
    assert (scored["rewards/taste"] == 0.7).all()
    assert "--dtype=float32" in (stages / "draws" / "serve" / "policy.0.txt").read_text()
    assert at_work_in(tmp_path) == []


@pytest.mark.parametrize(
    "killed",
    [
        "driver",
        pytest.param("node", marks=pytest.mark.long),
        pytest.param("stage", marks=pytest.mark.long),
    ],
)
def test_no_server_survives_its_stage(killed: str, tmp_path: Path) -> None:
    write_recipe(tmp_path)
    stage = tmp_path / "runs" / "x" / "stages" / "draws"
    run = start(tmp_path, *commands("until=draws", "stages.draws.serve.policy.args={seconds: 1}"))
    try:
        wait_in(run, lambda: list(stage.glob("shards/*/*.json")), 90)
        if killed == "stage":
            run.send_signal(signal.SIGTERM)
            assert run.wait(60) == 3
        elif killed == "driver":
            run.kill()
        else:
            for pid in at_work_in(tmp_path):
                if b"r1trl.serve.node" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGKILL)
                    break
            printed = run.communicate(timeout=60)[0]
            assert run.returncode == 1
            assert "a node has ended with its servers" in printed
        wait_for(lambda: at_work_in(tmp_path) == [], 60)
    finally:
        run.kill()


@pytest.mark.long
def test_a_server_that_cannot_start_fails_its_stage_with_what_it_said(tmp_path: Path) -> None:
    write_recipe(tmp_path)
    fails = "stages.draws.serve.policy.args={fails: 'max_model_len is too large'}"
    run = start(tmp_path, *commands("until=draws", fails))
    printed = run.communicate(timeout=90)[0]
    assert run.returncode == 1
    told = "stages.draws.serve.policy: has ended with status 3: ValueError: max_model_len is too"
    assert told in printed and "policy.0.txt" in printed
    assert state(tmp_path / "runs" / "x" / "stages" / "draws")["failed"]
    assert at_work_in(tmp_path) == []


@pytest.mark.long
def test_a_server_that_is_not_ready_in_time_fails_its_stage(tmp_path: Path) -> None:
    write_recipe(tmp_path)
    slow = ("stages.draws.serve.policy.args={starting: 60}", "stages.draws.serve.policy.ready=1")
    run = start(tmp_path, *commands("until=draws", *slow))
    printed = run.communicate(timeout=90)[0]
    assert run.returncode == 1
    assert "stages.draws.serve.policy.ready: not ready within 1 s" in printed
    assert at_work_in(tmp_path) == []
