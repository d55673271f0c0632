"""Measurements in processes of their own, so that neither memory nor threads are shared."""

import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any


def child(script: str, *arguments: Any) -> Any:
    """Run a script with `--one …`; return the JSON that it writes to `--out`."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "one.json"
        command = [sys.executable, script, "--out", str(out), "--one", *map(str, arguments)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return json.loads(out.read_text())


def in_turn(
    systems: Iterable[str], rounds: int, measure: Callable[[str, int], Any]
) -> dict[str, list[Any]]:
    """Measure systems one after the other, round by round, each second round backwards."""
    names = list(systems)
    results: dict[str, list[Any]] = {name: [] for name in names}
    for number in range(1, rounds + 1):
        for name in names if number % 2 else names[::-1]:
            results[name].append(measure(name, number))
    return results


def peak() -> float:
    """Return the peak memory of this process in MiB, on the GPU if there is one."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
