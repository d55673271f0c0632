r"""Does a long training grow? 500 small steps: memory, descriptors, processes and disk by step.

A GRPO stage on the tiny world with everything that a long one has: scoring processes, a sampler
with state, a reference that is replaced, checkpoints that are rotated. It is looked at from
outside, four times a second. Prints a table, fails if the last quarter needs more than the second,
and writes results/flat.json and the plot results/flat.svg; see README.md.

    python benchmarks/flat.py
    python benchmarks/flat.py --steps 60    # to try it
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import altair
import psutil
from disturbed.processes import processes_of
from disturbed.runs import SmallRun, units
from machine import machine

HERE = Path(__file__).parent
PACKAGES = ("r1trl", "trl", "transformers", "torch")
RECIPE = """# @package _global_
defaults:
  - /stage@stages.rl: grpo
  - _self_
stages:
  rl:
    template: ${template.zero}
    data: {problems: {}}
    rewards: {accuracy: {answer: answer_tag}, think_format: {profile: think_answer}}
    samplers: {adaptive: {}}
    args: {max_steps: 500, max_completion_length: 16}
"""
SIZES = ("scale.rl.save_every=4", "scale.rl.reference_every=4", "scale.rl.learning_rate=1e-5")
PERIOD = 0.25  # seconds
MIB = 1 << 20
# These grow by what each step says; the last is transformers' history of them in a checkpoint.
LINES = (
    *("metrics.jsonl", "completions.jsonl", "pass_rates.jsonl", "log.txt", "trainer_state.json"),
)
# Of what is measured, how much more the last quarter may have than the second.
ALLOWED = {"memory, MiB": 0.03, "descriptors": 0.0, "processes": 0.0, "disk, MiB": 0.01}
# A quarter of fewer steps than this has few points, and a busy machine takes pages back between.
ENOUGH, OF_FEW = 200, {"memory, MiB": 0.1}
Point = tuple[int, dict[str, float]]


def measured(run: SmallRun) -> dict[str, float]:
    """Return what a run needs now, over all of its processes."""
    memory = descriptors = processes = 0
    for pid in processes_of(run):
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            memory += process.memory_full_info().uss  # others do not change it
            descriptors += process.num_fds()
            processes += 1
    walk = os.walk(run.run)  # which passes over a checkpoint that is being removed
    files = [(name, _size(Path(at, name))) for at, _, names in walk for name in names]
    return {
        "memory, MiB": memory / MIB,
        "descriptors": descriptors,
        "processes": processes,
        "disk, MiB": sum(size for name, size in files if name not in LINES) / MIB,
        "lines, MiB": sum(size for name, size in files if name in LINES) / MIB,
    }


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:  # a checkpoint that is being removed
        return 0


def observed(run: SmallRun) -> tuple[int, list[Point]]:
    """Carry a run out; return its exit status, and by step what it needed."""
    begin, points = time.time(), []
    command = run.start()
    while command.poll() is None:
        step = units(run.stage("rl"), begin)
        if step:
            points.append((step, measured(run)))
        time.sleep(PERIOD)
    return command.returncode, points[:-1]  # at the last one the stage may have ended


def quarter(points: Sequence[Point], number: int, steps: int) -> list[dict[str, float]]:
    """Return what was needed in a quarter of the steps, from 0."""
    return [needs for step, needs in points if number * steps <= 4 * step < (number + 1) * steps]


def growth(points: Sequence[Point], steps: int) -> dict[str, dict[str, float]]:
    """Return the second and the last quarter's medians, of disk the least, by what is measured."""
    table = {}
    for name in points[0][1]:
        # While a checkpoint is saved there is one more than are kept.
        middle = min if name == "disk, MiB" else statistics.median
        second, last = (
            float(middle([needs[name] for needs in quarter(points, number, steps)]))
            for number in (1, 3)
        )
        table[name] = {"second quarter": round(second, 2), "last quarter": round(last, 2)}
    return table


def grown(table: Mapping[str, Mapping[str, float]], steps: int) -> list[str]:
    """Return what needs more in the last quarter than is allowed after so many steps."""
    allowed = ALLOWED if steps >= ENOUGH else ALLOWED | OF_FEW
    return [
        f"{name}: {table[name]['last quarter']} after {table[name]['second quarter']}"
        for name, share in allowed.items()
        if table[name]["last quarter"] > (1 + share) * table[name]["second quarter"] + 1e-9
    ]


def plot(points: Sequence[Point], file: Path) -> None:
    """Write a picture with a chart of each thing that is measured."""
    rows = [
        {"what": name, "step": step, "value": needs[name]}
        for step, needs in points
        for name in ALLOWED
    ]
    line = altair.Chart(altair.Data(values=rows)).mark_line().properties(width=300, height=160)
    line = line.encode(x="step:Q", y=altair.Y("value:Q", title=None))
    facet = altair.Facet("what:N", title=None, sort=list(ALLOWED))
    line.facet(facet, columns=2).resolve_scale(y="independent").save(str(file))


def main() -> int:
    """Observe a training."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "flat.json")
    args = parser.parse_args()
    about = machine(PACKAGES)
    chosen = (*SIZES, f"stages.rl.args.max_steps={args.steps}", "preflight=false")
    run = SmallRun(Path(tempfile.mkdtemp(prefix="r1trl-flat-")), RECIPE, chosen)
    status, points = observed(run)
    if status:
        print(run.output)
        return 1
    table = growth(points, args.steps)
    print("| | second quarter | last quarter |\n|---|--:|--:|")
    for name, row in table.items():
        print(f"| {name} | {row['second quarter']:,.1f} | {row['last quarter']:,.1f} |")
    wrong = grown(table, args.steps)
    print("\n".join(wrong) if wrong else "nothing grows but the lines")
    content = {"machine": about, "steps": args.steps, "summary": table, "problems": wrong}
    content |= {"points": [{"step": step, **needs} for step, needs in points]}
    args.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    plot(points, args.out.with_suffix(".svg"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
