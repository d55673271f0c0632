r"""How does the cost of a GRPO step grow? Bare TRL and r1trl, one size at a time, in turn.

Models have random weights: at every step the end token is as probable as any other. Prints a table
and writes results/growth.json; see README.md.

    python benchmarks/growth.py           # models of up to 135M parameters
    python benchmarks/growth.py --quick   # the smallest of each
    python benchmarks/growth.py --models Qwen2.5-0.5B Qwen2.5-1.5B --dtype bfloat16   # on a GPU
"""

import argparse
import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from children import child, in_turn
from grpo import PACKAGES, SYSTEMS, WARM, Job
from machine import machine
from shapes import SHAPES

HERE = Path(__file__).parent
COUNTED = 4  # steps; 1 if a step takes minutes
SLOW = ("SmolLM2-135M",)
BASE: dict[str, Any] = {"tokens": 64, "group": 8, "batch": 64}
AXES: dict[str, tuple[Any, ...]] = {
    "tokens": (32, 64, 128, 256),
    "group": (2, 4, 8, 16),
    "batch": (16, 64, 256),
}
MODELS = ("1M", "5M", "20M", "SmolLM2-135M")


def points(models: Sequence[str], quick: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the axis and the sizes of each point; the axes but `model` have the second model."""
    base = BASE | {"model": models[min(1, len(models) - 1)]}
    for axis, sizes in (AXES | {"model": models}).items():
        for size in sizes[:1] if quick else sizes:
            yield axis, base | {axis: size}


def job(system: str, sizes: dict[str, Any], dtype: str) -> Job:
    """Return what one process measures."""
    most = min(sizes["batch"], 16)
    more = (
        *(f"scale.rl.outputs={sizes['batch']}", f"scale.rl.group={sizes['group']}"),
        *(f"scale.rl.micro_batch={most}", f"scale.zero.first_tokens={sizes['tokens']}"),
    )
    steps = WARM + (1 if sizes["model"] in SLOW else COUNTED)
    return Job(system, "tiny", 1, steps, model=sizes["model"], dtype=dtype, more=more)


def main() -> None:
    """Measure the systems in turn, point by point."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=MODELS, choices=SHAPES, metavar="SHAPE")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--quick", action="store_true", help="the smallest size of each axis")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "growth.json")
    args = parser.parse_args()
    about, table = machine(PACKAGES), []
    print("| growing | tokens | group | batch | model | TRL, s | r1trl, s | ratio | MiB | MiB |")
    print("|---|---:|---:|---:|---|---:|---:|---:|---:|---:|")
    for axis, sizes in points(args.models, args.quick):
        runs = in_turn(
            SYSTEMS,
            1,
            lambda system, _, sizes=sizes: child(
                str(HERE / "grpo.py"), json.dumps(asdict(job(system, sizes, args.dtype)))
            ),
        )
        steps = {name: statistics.fmean(of[0]["steps"][WARM:]) for name, of in runs.items()}
        mib = {name: of[0]["mib"] for name, of in runs.items()}
        shown = " | ".join(str(size) for size in sizes.values())
        print(
            f"| {axis} | {shown} | {steps['trl']:.2f} | {steps['r1trl']:.2f} | "
            f"{steps['r1trl'] / steps['trl']:.2f} | {mib['trl']:,.0f} | {mib['r1trl']:,.0f} |",
            flush=True,
        )
        table.append({"axis": axis, **sizes, "steps": steps, "mib": mib, "runs": runs})
    content = {"machine": about, "points": table}
    args.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
