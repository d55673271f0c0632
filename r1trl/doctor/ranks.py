"""A rank of the doctor: it makes the process group as a stage does, and exchanges some sums.

    python -m r1trl.doctor.ranks FOLDER

Rank 0 writes how long that took.
"""

import json
import signal
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from r1trl.errors import R1trlError
from r1trl.process.terminal import say
from r1trl.stage.devices import device
from r1trl.stage.ranks import check_world, is_main, join, rank, world_size
from r1trl.storage.writing import write_text
from r1trl.watch.processes import end_with_parent

RESULT = "all_reduce.json"
BYTES, TIMES = 64 << 20, 5
JOIN_SECONDS = 120.0
SECONDS = 200  # it ends itself then


def measure() -> dict[str, Any]:
    """Return the seconds of an all-reduce of BYTES over all ranks, the median of TIMES.

    Raises R1trlError if the sum is not right.
    """
    import torch
    import torch.distributed as dist

    join(JOIN_SECONDS)
    where, took = device(), []
    for _ in range(TIMES + 1):  # the first makes connections
        sums = torch.full((BYTES // 4,), rank() + 1.0, device=where)
        dist.barrier()
        began = time.perf_counter()
        dist.all_reduce(sums)
        last = float(sums[-1])  # a GPU has finished then
        took.append(time.perf_counter() - began)
        if not bool((sums == (right := sum(range(1, world_size() + 1)))).all()):
            raise R1trlError(f"the sum over all ranks is {last}, and not {right}, on rank {rank()}")
    return {"seconds": statistics.median(took[1:]), "backend": dist.get_backend()}


def main() -> int:
    """Run from the command line."""
    end_with_parent()
    signal.alarm(SECONDS)
    try:
        check_world()
        found = measure()
    except Exception as error:  # noqa: BLE001 - torch's and NCCL's errors are many
        say(f"error: {error}", error=True)
        return 1
    if is_main():
        write_text(Path(sys.argv[1]) / RESULT, json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
