r"""Does a run that is killed again and again end as one that nobody has touched?

The recipe `full` with further stages of the other kinds, small, once undisturbed and once disturbed
at random moments of every kind of stage: kill -9 of everything, of the driver, of the warm process
or the launcher, of one rank, of a scoring process; SIGTERM, SIGHUP, Ctrl-C twice. After each the
same command continues. Prints a table of them, fails on any difference in the end, and writes
results/recovery-LAUNCH.json; see README.md.

    python benchmarks/recovery.py
    python benchmarks/recovery.py --launch cpu2 --times 20
    python benchmarks/recovery.py --quick    # a short recipe, 10 times
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from disturbed.disturber import Disturber, Hit
from disturbed.equality import compared, differences
from disturbed.processes import DISTURBANCES
from disturbed.recipes import LARGER, PAPER, SHORT
from disturbed.runs import SmallRun
from machine import machine

HERE = Path(__file__).parent
PACKAGES = ("r1trl", "trl", "transformers", "torch", "accelerate")
ENOUGH = 0.8  # the share of the disturbances that must not come too late for the run
MANY = 30  # disturbances, of which some must be in every kind of stage
LAUNCHES = ("local", "cpu2", "cpu2-zero3", "cpu2-fsdp2")


def problems_of(whole: SmallRun, disturber: Disturber, status: int, times: int) -> Iterator[str]:
    """Yield what is wrong with a disturbed run."""
    if status:
        yield f"the last command ended with {status}"
        yield disturber.run.output[-3000:]
        return
    hits = disturber.hits
    yield from (f"{hit.disturbance} in {hit.stage}: {p}" for hit in hits for p in hit.problems)
    missed = [f"{disturbance} in {kind}" for kind, disturbance in disturber.pairs]
    if len(hits) < ENOUGH * times:
        yield f"{len(hits)} disturbances, not {times}: missed {', '.join(missed)}"
    never = sorted(set(disturber.kinds.values()) - {hit.kind for hit in hits})
    if never and times >= MANY:
        yield f"no stage of kind {', '.join(never)} was disturbed"
    yield from differences(whole.run, disturber.run.run)


def summary(hits: list[Hit], seconds: Mapping[str, float]) -> dict[str, Any]:
    """Return how many disturbances there were, and the seconds lost."""
    lost = sorted(hit.lost for hit in hits if hit.lost is not None and hit.status is not None)
    own = {d: [h.lost for h in hits if h.disturbance == d and h.lost] for d in DISTURBANCES}
    return {
        "disturbances": len(hits),
        "by disturbance": dict(Counter(hit.disturbance for hit in hits)),
        "by kind": dict(Counter(hit.kind for hit in hits)),
        "seconds": dict(seconds),
        "seconds lost, median": statistics.median(lost) if lost else None,
        "seconds lost, most": lost[-1] if lost else None,
        "seconds lost by disturbance": {
            d: round(statistics.median(v), 1) for d, v in own.items() if v
        },
    }


def main() -> int:
    """Carry a run out twice, and compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--launch", choices=LAUNCHES, default="local")
    parser.add_argument("--times", type=int, help="60, or 10 with --quick")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a short recipe")
    parser.add_argument("--folder", type=Path, help="where the runs are kept")
    parser.add_argument("--out", type=Path, help="results/recovery-LAUNCH.json")
    args = parser.parse_args()
    times, about = args.times or (10 if args.quick else 60), machine(PACKAGES)
    recipe, sizes = (SHORT, ()) if args.quick else (PAPER, LARGER)
    kept = args.folder or Path(tempfile.mkdtemp(prefix="r1trl-recovery-"))
    chosen = (f"launch={args.launch}", "preflight=false", *sizes)
    whole, run = (SmallRun(kept / name, recipe, chosen) for name in ("whole", "disturbed"))
    begun_at = time.monotonic()
    status, totals = whole.carry_out_observed()
    if status:
        print(whole.output)
        return 1
    middle = time.monotonic()
    disturber = Disturber(whole, totals, run, times, args.seed)
    print("| | disturbed by | stage | steps or shards | then |\n|--:|---|---|---|---|", flush=True)
    status = disturber.carry_out()
    seconds = {"undisturbed": middle - begun_at, "disturbed": time.monotonic() - middle}
    wrong = list(problems_of(whole, disturber, status, times))
    figures = summary(disturber.hits, {name: round(s, 1) for name, s in seconds.items()})
    print(f"\n{json.dumps(figures, indent=1)}\n{json.dumps(compared(whole.run))}")
    print("\n".join(wrong) if wrong else "the two runs do not differ")
    content = {"machine": about, "launch": args.launch, "quick": args.quick, "seed": args.seed}
    content |= {"summary": figures, "compared": compared(whole.run), "problems": wrong}
    content |= {"hits": [asdict(hit) for hit in disturber.hits]}
    out = args.out or HERE / "results" / f"recovery-{args.launch}.json"
    out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
