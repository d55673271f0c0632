r"""What becomes of a run whose files are damaged, or whose disk is full or read-only?

A short chain of stages, once undisturbed and once killed in each of three places. Then each kind of
file of a run and of a checkpoint is removed, emptied, cut, and a bit of it flipped; each kind of
write meets a full disk (an error, and a small disk in memory that is really full); disks are
read-only for a while, folders vanish. The same command continues, as it says. Nothing damaged may
be used: in the end all is as in the run without damage. Needs root for the disks. Prints a table,
fails on a difference, and writes results/damages.json; see README.md.

    python benchmarks/damages.py
    python benchmarks/damages.py --quick            # some of each kind
    python benchmarks/damages.py --only checkpoint  # cases with this text
"""

import argparse
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from disturbed.cases import MOUNTED, Case, Damages, Outcome
from machine import machine

HERE = Path(__file__).parent
PACKAGES = ("r1trl", "trl", "transformers", "torch")
QUICK = 20  # one case of so many, and one


def chosen(damages: Damages, quick: bool, only: str) -> list[Case]:
    """Return the cases to try; without root those that need a disk of their own are left out."""
    parts: Sequence[list[Case]] = [
        list(damages.file_cases()),
        list(damages.write_cases()),
        list(damages.disk_cases()),
    ]
    cases = [case for part in parts for case in (part[:: QUICK + 1] if quick else part)]
    allowed = [case for case in cases if os.geteuid() == 0 or case.how not in MOUNTED]
    return [case for case in allowed if only in f"{case.state} {case.file} {case.how}"]


def row(number: int, outcome: Outcome) -> str:
    """Return an outcome as a row of the table."""
    case = outcome.case
    what = f"{case.how}{f' at its {case.operation}' if case.operation else ''}"
    status = ", ".join(map(str, outcome.statuses))
    said = outcome.said.replace("|", "/")[:160] or "nothing: it is not read again"
    wrong = f" **{'; '.join(outcome.wrong)[:600]}**" if outcome.wrong else ""
    cells = [number, case.state, case.file or "its disk", what, said, outcome.then]
    return f"| {' | '.join(map(str, cells))} | {status}{wrong} |"


def main() -> int:
    """Try every damage."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="some of each kind")
    parser.add_argument("--only", default="", help="cases with this text")
    parser.add_argument("--jobs", type=int, default=2, help="cases at a time")
    parser.add_argument("--folder", type=Path, help="where the runs are kept")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "damages.json")
    args = parser.parse_args()
    about = machine(PACKAGES)
    damages = Damages(args.folder or Path(tempfile.mkdtemp(prefix="r1trl-damages-")))
    damages.prepare()
    cases = chosen(damages, args.quick, args.only)
    print(
        "| | state | file | damage | said | then | exit statuses |\n|--:|---|---|---|---|---|---|"
    )
    outcomes = []
    with ThreadPoolExecutor(args.jobs) as threads:
        for outcome in threads.map(damages.outcome, range(1, len(cases) + 1), cases):
            outcomes.append(outcome)
            print(row(len(outcomes), outcome), flush=True)
    wrong = [outcome for outcome in outcomes if outcome.wrong]
    figures = {
        "damages": len(outcomes),
        "by damage": dict(Counter(outcome.case.how for outcome in outcomes)),
        "wrong": len(wrong),
        "stopped with a sentence": sum(bool(o.statuses[0]) for o in outcomes),
        "told and went on": sum(not o.statuses[0] and bool(o.said) for o in outcomes),
    }
    print(json.dumps(figures, indent=1))
    content = {"machine": about, "quick": args.quick, "summary": figures}
    content |= {"outcomes": [asdict(outcome) for outcome in outcomes]}
    args.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
