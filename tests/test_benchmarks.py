"""The benchmarks run on few samples; their figures are not tested."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from machine import require

from r1trl.plugins.loading import load

pytestmark = pytest.mark.long

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def test_the_benchmark_of_the_rewards_runs_and_explains_every_difference(tmp_path):
    out = tmp_path / "rewards.json"
    script = BENCHMARKS / "rewards.py"
    done = subprocess.run(
        [sys.executable, script, "--quick", "--out", out], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(out.read_text())
    assert results["verdicts"]["unexplained"] == results["verdicts"]["stale"] == 0
    assert {"date", "cores", "python", "versions"} <= set(results["machine"])
    workloads = {row["workload"] for row in results["rows"]}
    assert {"plain numbers", "mixed LaTeX", "long completions"} <= workloads
    assert all(row["per_second"] > 0 for row in results["rows"])
    assert all(row["as_labelled"] > 0.8 for row in results["rows"])


def test_every_answer_in_the_shapes_of_five_data_sets_gets_the_right_verdict():
    script = BENCHMARKS / "confusion.py"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    table = [line for line in done.stdout.splitlines() if line.startswith("| ")][1:]
    readme = (BENCHMARKS / "README.md").read_text(encoding="utf-8")
    assert len(table) == 5 and all(line in readme for line in table)


def test_the_benchmark_of_the_filters_runs_and_its_verdicts_are_those_of_open_r1(tmp_path):
    out = tmp_path / "filters.json"
    script = BENCHMARKS / "filters.py"
    done = subprocess.run(
        [sys.executable, script, "--quick", "--out", out], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(out.read_text())
    measured = {row["filter"].partition(",")[0] for row in results["filters"]}
    assert measured == set(load().offers["filter"]) - {"llm_judge"}, (
        "the speed of a server is not measured"
    )
    assert all(row["per_second"] > 0 and row["runs"] > 0 for row in results["filters"])
    assert {row["filter"] for row in results["peers"]} > {"r1trl", "Open-R1's algorithm"}
    assert all(row["equal"] and 0 < row["kept"] < 1 for row in results["peers"])
    for row in results["near_duplicates"]:
        assert row["planted"] > 0 and 0.97 <= row["recall"] <= 1 and row["precision"] == 1


@pytest.mark.parametrize(
    ("script", "more", "systems"),
    [
        ("grpo", ("--replay", "--model", "1M"), {"trl", "r1trl"}),
        ("generation", (), {"generate", "r1trl"}),
        ("sft", (), {"trl", "trl, by length", "r1trl"}),
    ],
)
def test_the_benchmarks_beside_trl_run(script, more, systems, tmp_path):
    out = tmp_path / "results.json"
    command = [sys.executable, BENCHMARKS / f"{script}.py", "--quick", "--out", out, *more]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    results = json.loads(out.read_text())
    assert {"date", "cores", "python", "versions"} <= set(results["machine"])
    if script == "grpo":
        assert set(results["systems"]) == systems
        assert all(row["step"] > 0 and row["mib"] > 0 for row in results["systems"].values())
        tokens = [run["tokens"] for runs in results["runs"].values() for run in runs]
        assert tokens[0] == tokens[1], "both train on the same completions"
    else:
        assert systems <= set(results["workloads"][0])
        assert all(results["workloads"][0][name]["rate"] > 0 for name in systems)


def test_two_processes_wait_at_most_half_as_long_for_rows_that_are_dealt(tmp_path):
    results = run_quickly("balance", tmp_path / "balance.json", "--quick")
    assert results["weights_apart"] < 1e-4
    assert all(row["waiting"] >= 0 for row in results["systems"].values())
    kept = json.loads((BENCHMARKS / "results" / "balance.json").read_text())["systems"]
    assert kept["dealt"]["waiting"] < kept["own rows sorted"]["waiting"] / 2


def test_the_benchmark_of_gpus_runs_on_a_cpu_and_says_what_it_leaves_out(tmp_path):
    out = tmp_path / "gpu.json"
    command = [sys.executable, BENCHMARKS / "gpu.py", "--quick", "--out", out]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    results = json.loads(out.read_text())
    assert {"date", "cores", "card", "versions"} <= set(results["machine"])
    for work, systems in (("sft", {"trl", "r1trl, padded", "r1trl"}), ("grpo", {"trl", "r1trl"})):
        assert set(results[work]["1M"]) == systems
        assert all(row["rate"] > 0 and row["mib"] > 0 for row in results[work]["1M"].values())
        rate, share = results["published"][work]
        assert f"prime-rl, published | {rate:,} | | {share:.1%}" in done.stdout
    if results["vllm"]["1M"] is None:
        assert "colocated vLLM are not measured" in done.stdout


def run_quickly(script, out, *more):
    """Run a benchmark; return what it wrote."""
    command = [sys.executable, BENCHMARKS / f"{script}.py", "--out", out, *more]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(out.read_text())
    assert {"date", "cores", "python", "versions"} <= set(results["machine"])
    return results


@pytest.mark.slow
def test_a_run_that_is_disturbed_ten_times_ends_as_one_that_nobody_has_touched(tmp_path):
    more = ("--quick", "--folder", tmp_path / "runs")
    results = run_quickly("recovery", tmp_path / "recovery.json", *more)
    assert results["problems"] == []
    assert results["summary"]["disturbances"] >= 8
    assert set(results["summary"]["by kind"]) >= {"grpo", "sample", "sft", "dpo"}
    assert results["compared"]["files of models"] > 20


@pytest.mark.slow
def test_nothing_that_is_damaged_is_used(tmp_path):
    require("mount", os.geteuid() == 0, "small disks in memory need root")
    more = ("--quick", "--folder", tmp_path / "runs")
    results = run_quickly("damages", tmp_path / "damages.json", *more)
    assert results["summary"]["wrong"] == 0
    assert results["summary"]["damages"] >= 10


@pytest.mark.slow
def test_a_training_of_sixty_steps_does_not_grow(tmp_path):
    results = run_quickly("flat", tmp_path / "flat.json", "--steps", "60")
    assert results["problems"] == [] and len(results["points"]) > 10
    assert (tmp_path / "flat.svg").read_text().count('aria-roledescription="line mark"') == 4
