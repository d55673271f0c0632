r"""Do dynamic sampling and the adaptive curriculum pay on the tiny world? `recipe=dapo scale=tiny`.

The same seed and number of trained groups with TRL's shuffling, with `dynamic`, with `adaptive`
and with both; a checkpoint every ten steps, and all of them are evaluated. Prints a table and
writes results/sampling.json; see README.md.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from machine import machine

RESULTS = Path(__file__).parent / "results" / "sampling.json"
VARIANTS: dict[str, tuple[str, ...]] = {
    "shuffled": ("~stages.dapo.samplers.dynamic",),
    "dynamic": (),
    "adaptive": ("~stages.dapo.samplers.dynamic", "stages.dapo.samplers.adaptive={}"),
    "both": ("stages.dapo.samplers.adaptive={}",),
}
EVERY = 10


def run(runs: Path, variant: str, seed: int, steps: int) -> dict[str, Any]:
    """Run one variant; return the figures of its rollouts and its checkpoints."""
    name = f"{variant}-{seed}"
    stage = runs / name / "stages" / "dapo"
    saved = range(EVERY, steps, EVERY)
    checkpoints = [
        f"stages.scoreboard.models.step_{step}={{path: {stage}/checkpoints/checkpoint-{step}, "
        "template: '${template.zero}'}"
        for step in saved
    ]
    command = ["recipe=dapo", "scale=tiny", f"name={name}", f"seed={seed}", f"runs_dir={runs}"]
    sizes = [
        f"scale.dapo.steps={steps}",
        f"stages.dapo.args.save_steps={EVERY}",
        "stages.dapo.args.save_total_limit=100",
        "stages.dapo.checkpoints=keep",
    ]
    start = [sys.executable, "-m", "r1trl.cli", "run", *command, *sizes, *VARIANTS[variant]]
    # The checkpoints exist once the first command has run; the second one evaluates them.
    subprocess.run([*start, "~stages.scoreboard"], check=True, stdout=sys.stderr)
    subprocess.run([*start, *checkpoints], check=True, stdout=sys.stderr)
    rows = [json.loads(line) for line in (stage / "metrics.jsonl").open(encoding="utf-8")]
    board = json.loads((runs / name / "stages" / "scoreboard" / "result.json").read_text())
    return {
        "variant": variant,
        "seed": seed,
        "signal": signal(rows),
        "refused": mean(row["sampling/groups/refused"] for row in rows if REFUSED in row),
        "rounds": mean(row["sampling/groups/rounds"] for row in rows if REFUSED in row),
        "seconds": max(row["seconds"] for row in rows),
        "accuracy": accuracy(board["metrics"], [*saved], steps),
    }


REFUSED = "sampling/groups/refused"


def signal(rows: Sequence[Mapping[str, float]]) -> float | None:
    """Return the share of the trained groups whose rewards differ.

    If groups are refused, those trained on all have signal, except the missing ones.
    """
    gated = [row for row in rows if REFUSED in row]
    if gated:
        groups = 32
        return mean(1 - row["sampling/groups/missing"] / groups for row in gated)
    return mean(1 - row["frac_reward_zero_std"] for row in rows if "frac_reward_zero_std" in row)


def accuracy(metrics: Mapping[str, float], saved: Sequence[int], steps: int) -> dict[int, float]:
    """Return pass@1 on the benchmark by optimizer step."""
    at = {0: "base", **{step: f"step_{step}" for step in saved}, steps: "dapo"}
    return {step: metrics[f"{model}/held_out/pass@1"] for step, model in at.items()}


def mean(values: Any) -> float | None:
    """Return the mean; None if there are no values."""
    numbers = list(values)
    return statistics.fmean(numbers) if numbers else None


def table(results: Sequence[Mapping[str, Any]]) -> str:
    """Return the runs as Markdown, medians over the seeds."""
    steps = list(results[0]["accuracy"])
    head = ["variant", "groups with signal", "refused", "seconds", *(f"@{step}" for step in steps)]
    lines = [f"| {' | '.join(head)} |", "|---" + "|---:" * (len(head) - 1) + "|"]
    for variant in VARIANTS:
        runs = [run for run in results if run["variant"] == variant]
        if runs:
            refused = mean(run["refused"] for run in runs if run["refused"] is not None)
            cells = [
                variant,
                f"{100 * statistics.median(run['signal'] for run in runs):.0f} %",
                "" if refused is None else f"{100 * refused:.0f} %",
                f"{statistics.median(run['seconds'] for run in runs):.0f}",
                *(
                    f"{100 * statistics.median(run['accuracy'][step] for run in runs):.1f}"
                    for step in steps
                ),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Run the variants in turn for every seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/sampling"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=60)
    args = parser.parse_args()
    runs = args.runs.resolve()
    results = [
        run(runs, variant, seed, args.steps)
        for seed in range(1, args.seeds + 1)
        for variant in VARIANTS
    ]
    print(table(results))
    about = machine(("r1trl", "trl", "torch"))
    content = {"machine": about, "steps": args.steps, "runs": results}
    RESULTS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
