r"""What of a run's time is the driver's? Planning, watching, the terminal's picture, the report.

Carries out a recipe at scale=tiny on a terminal of 100 columns, and takes the CPU seconds of each
thread of the driver: the report's and the picture's are threads of their own. Prints a table and
writes results/driver.json; see README.md.

    python benchmarks/driver.py
    python benchmarks/driver.py recipe=zero scale.zero.first_steps=4 --out small.json
"""

import argparse
import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from machine import machine

HERE = Path(__file__).parent
PACKAGES = ("r1trl", "trl", "transformers", "torch", "rich", "altair")
NAMES = {
    "MainThread": "planning, preflight, waiting for stages",
    "r1trl-report": "report.html and report.md",
    "r1trl-live": "the picture on the terminal",
    "r1trl-watch": "watching the ranks",
}
OTHERS = "other threads"
TIMED = """
import json, sys, threading, time

spent, run = {}, threading.Thread.run

def timed(self):
    try:
        run(self)
    finally:
        spent[self.name] = spent.get(self.name, 0.0) + time.thread_time()

threading.Thread.run = timed
file = sys.argv.pop(1)
from r1trl.cli import main

status = main()
spent["MainThread"] = time.thread_time()
with open(file, "w") as out:
    json.dump({"threads": spent, "process": time.process_time()}, out)
sys.exit(status)
"""


def drained(terminal: int) -> None:
    """Read what a terminal shows until its other end is closed."""
    with suppress(OSError):
        while os.read(terminal, 1 << 16):
            pass


def measured(folder: Path, overrides: list[str]) -> dict[str, Any]:
    """Carry out a run on a terminal; return its seconds, and the CPU seconds of its driver."""
    spent = folder / "spent.json"
    here, there = pty.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    command = [sys.executable, "-c", TIMED, str(spent), "run", "scale=tiny", "name=driven"]
    begun = time.monotonic()
    driver = subprocess.Popen(
        [*command, *overrides],
        cwd=folder,
        stdin=there,
        stdout=there,
        stderr=subprocess.PIPE,
        env={**os.environ, "TERM": "xterm-256color", "PYTHONUTF8": "1"},
        text=True,
    )
    os.close(there)
    threading.Thread(target=drained, args=(here,), daemon=True).start()
    _, told = driver.communicate()
    seconds = time.monotonic() - begun
    if driver.returncode:
        raise RuntimeError(told)
    return {"seconds": seconds, **json.loads(spent.read_text())}


def main() -> None:
    """Measure one run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("overrides", nargs="*", default=["recipe=zero"])
    parser.add_argument("--out", type=Path, default=HERE / "results" / "driver.json")
    args = parser.parse_args()
    about = machine(PACKAGES)
    with tempfile.TemporaryDirectory() as folder:
        found = measured(Path(folder), args.overrides)
    rows = dict.fromkeys([*NAMES.values(), OTHERS], 0.0)
    for name, value in found["threads"].items():
        rows[NAMES.get(name, OTHERS)] += value
    rows["all of the driver"] = found["process"]
    print(f"{' '.join(args.overrides)}: {found['seconds']:.0f} s\n")
    print("| of the driver | CPU seconds | of the run's time |\n|---|---:|---:|")
    for name, value in sorted(rows.items(), key=lambda row: row[1]):
        print(f"| {name} | {value:.2f} | {100 * value / found['seconds']:.2f} % |")
    content = {"machine": about, "overrides": args.overrides, **found}
    args.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
