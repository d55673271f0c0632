r"""Speed of the reward `accuracy`, in completions per second, beside TRL's and math-verify's own.

Every repeat draws new samples, so no cache of whole samples is measured, and all systems score the
same ones, in turn. Prints a table and writes results/rewards.json; see README.md.
"""

import argparse
import json
import multiprocessing
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import verdicts
from cases import WORKLOADS, Sample, samples
from machine import machine
from r1trl_math import accuracy

from r1trl.rewards.pool import Pool, cores

RESULTS = Path(__file__).parent / "results" / "rewards.json"
PACKAGES = ("r1trl", "trl", "math-verify", "latex2sympy2_extended", "sympy")
SIZES = {"plain numbers": 1000, "mixed LaTeX": 400, "long completions": 64}
GROUPS = {"mixed LaTeX, groups of 16": 400}
REPEATS = 5
Score = Callable[[Sequence[Sample]], list[float | None]]


def math_verify(sample: Sample) -> float:
    """Score a sample with math-verify, as its README does."""
    from math_verify import parse, verify

    return float(verify(parse(sample.gold), parse(sample.completion)))


def trl(batch: Sequence[Sample]) -> list[float | None]:
    """Score samples with TRL's reward, as its trainer does for conversations."""
    from trl.rewards import accuracy_reward

    completions = [[{"role": "assistant", "content": sample.completion}] for sample in batch]
    scores: list[float | None] = accuracy_reward(completions, [s.gold for s in batch])
    return scores


def systems(processes: int, direct: Any, pool: Pool) -> dict[str, Score]:
    """Return the systems to compare, by name: functions of samples."""

    def ours(batch: Sequence[Sample]) -> list[Any]:
        rows = {"completion": [s.completion for s in batch], "solution": [s.gold for s in batch]}
        return accuracy.score(rows, {"answer": "boxed"}, pool)

    return {
        "r1trl": ours,
        "TRL": trl,
        "math-verify, 1 process": lambda batch: [math_verify(sample) for sample in batch],
        f"math-verify, {processes} processes": lambda batch: direct.map(
            math_verify, batch, chunksize=max(1, len(batch) // (8 * processes))
        ),
    }


def measure(
    name: str, count: int, repeats: int, compared: dict[str, Score]
) -> list[dict[str, Any]]:
    """Return each system's completions per second and its share of verdicts as labelled."""
    rates: dict[str, list[float]] = {system: [] for system in compared}
    labelled = dict.fromkeys(compared, 0)
    for repeat in range(repeats + 1):  # the first one is a warm-up
        batch = samples(name, count, seed=repeat)
        order = list(compared) if repeat % 2 else list(compared)[::-1]
        for system in order:
            start = time.perf_counter()
            scores = compared[system](batch)
            seconds = time.perf_counter() - start
            if repeat:
                rates[system].append(len(batch) / seconds)
                labelled[system] += sum(
                    score == float(sample.right)
                    for score, sample in zip(scores, batch, strict=True)
                )
    return [
        {
            "workload": name,
            "system": system,
            "per_second": statistics.median(rates[system]),
            "rates": rates[system],
            "as_labelled": labelled[system] / (repeats * len(batch)),
        }
        for system in compared
    ]


def show(rows: Sequence[dict[str, Any]]) -> None:
    """Print the table; the last column is r1trl's rate over the system's."""
    ours = {row["workload"]: row["per_second"] for row in rows if row["system"] == "r1trl"}
    print("| workload | system | completions/s | spread | as labelled | r1trl is faster by |")
    print("|---|---|---:|---:|---:|---:|")
    for row in rows:
        faster = ours[row["workload"]] / row["per_second"]
        print(
            f"| {row['workload']} | {row['system']} | {row['per_second']:,.1f} "
            f"| {min(row['rates']):,.1f} to {max(row['rates']):,.1f} "
            f"| {row['as_labelled']:.1%} | {faster:,.1f} x |"
        )


def main() -> None:
    """Measure every workload, compare the verdicts and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few samples, one repeat")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the JSON goes")
    args = parser.parse_args()
    about, processes = machine(PACKAGES), cores()
    pool = Pool(processes, deadline=30.0)
    with multiprocessing.get_context("spawn").Pool(processes) as direct:
        compared = systems(processes, direct, pool)
        rows = []
        for name, count in (SIZES | GROUPS).items():
            size = max(16, count // 16) if args.quick else count
            rows += measure(name, size, 1 if args.quick else REPEATS, compared)
    pool.close()
    show(rows)
    counts = verdicts.report(1 if args.quick else verdicts.INSTANCES)
    payload = {"machine": about, "quick": args.quick, "rows": rows, "verdicts": counts}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(payload, indent=1) + "\n")


if __name__ == "__main__":
    assert set(WORKLOADS) == set(SIZES | GROUPS)
    main()
