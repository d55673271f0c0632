r"""Does a run over two hosts survive what goes wrong on a cluster, under Slurm and under Ray?

A GRPO stage with a rank on each of two hosts (network namespaces of this machine: root, and for
Slurm Debian's packages, are needed) meets faults, one after another; after each the same command
continues it. Prints until when all had ended and what was said, fails if in the end anything
differs from a run that nobody has touched, and writes results/cluster.json; see README.md.

    python benchmarks/cluster.py
    python benchmarks/cluster.py --engine ray --fault "cable cut"
"""

import argparse
import json
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "tests" / name) for name in ("cluster", "watch")]

from cluster_run import ClusterRun  # noqa: E402 - of tests
from faults import END_SECONDS, FAULTS, disturbed  # noqa: E402
from hosts import Hosts  # noqa: E402
from machine import machine  # noqa: E402
from rays import Rays  # noqa: E402
from slurm import Slurm  # noqa: E402

ENGINES = {"slurm": Slurm, "ray": Rays}
PACKAGES = ("r1trl", "trl", "torch", "accelerate", "ray")
STEPS = 4  # for each fault


def survived(engine: str, names: list[str], folder: Path) -> tuple[list[dict[str, object]], bool]:
    """Return what became of the faults, and whether the run ends as one without them."""
    rows = []
    steps = max(16, STEPS * (len(names) + 2))
    with ExitStack() as stack:
        hosts = stack.enter_context(Hosts())
        (folder / "engine").mkdir(parents=True)
        started = stack.enter_context(ENGINES[engine](hosts, folder / "engine"))
        whole = ClusterRun(folder / "whole", started, steps)
        whole.start()
        whole.finished()
        run = ClusterRun(folder / "disturbed", started, steps)
        for outcome in disturbed(run, names):
            lines = outcome.said.splitlines() or [""]
            told = [line for line in lines if FAULTS[outcome.name].says in line] or lines
            cells = [engine, outcome.name, outcome.step, f"{outcome.seconds:.1f}", told[-1][:200]]
            print(f"| {' | '.join(map(str, cells))} |", flush=True)
            rows.append({"engine": engine, **asdict(outcome)})
        return rows, run.outcome() == whole.outcome()


def main() -> int:
    """Try the faults."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engine", choices=ENGINES, action="append")
    parser.add_argument("--fault", choices=FAULTS, action="append")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "cluster.json")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="r1trl-cluster-"))
    print("| engine | fault | at step | seconds until all had ended | said |")
    print("|---|---|--:|--:|---|", flush=True)
    rows, wrong = [], []
    for engine in args.engine or ENGINES:
        names = [n for n in args.fault or FAULTS if engine in FAULTS[n].engines]
        own, equal = survived(engine, names, folder / engine)
        rows += own
        wrong += [] if equal else [f"{engine}: the runs differ"]
        wrong += [
            f"{engine}: {row['name']}: {row['seconds']} s"
            for row in own
            if float(str(row["seconds"])) > END_SECONDS
        ]
    print("\n".join(wrong) if wrong else "the runs do not differ")
    content = {"machine": machine(PACKAGES), "outcomes": rows, "problems": wrong}
    args.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
