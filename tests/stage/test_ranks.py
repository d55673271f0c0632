"""The processes of a stage: which they are, and the group in which they meet."""

import os
import socket
import subprocess
import sys

import pytest

from r1trl.errors import R1trlError
from r1trl.stage.ranks import EXPECTED, LAUNCHED, check_world

MEET = """
import os
import time

import torch
import torch.distributed as dist
from accelerate import Accelerator

from r1trl.stage.ranks import barrier, from_all, from_main, in_turn, is_main, join, rank

def late(error=None):
    time.sleep(2)  # as if it filtered rows
    if error:
        raise error
    return "met"

class Unsendable(Exception):
    def __init__(self, one, two):
        super().__init__(one)

join(1.5)
if is_main():
    late()
barrier()
with Accelerator().main_process_first():  # as TRL tokenises
    if is_main():
        late()
print(from_main(late), from_all(rank()), flush=True)
taken = from_all(list(in_turn("work", 5)))
print(sorted(taken[0] + taken[1]), list(in_turn("work", 5)), flush=True)
try:
    from_main(lambda: late(Unsendable("no", "way")))
except Exception as error:
    print(type(error).__name__, error, flush=True)
began = time.monotonic()
if is_main():
    time.sleep(6)
    os._exit(0)
try:
    dist.all_reduce(torch.ones(1))
except RuntimeError:
    print("timed out", 1 < time.monotonic() - began < 5, flush=True)
os._exit(0)
"""


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Leave out what a launcher says."""
    for name in (*LAUNCHED, EXPECTED, "RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize("name", LAUNCHED)
def test_a_process_of_several_without_a_rank_is_refused(
    name: str, alone: pytest.MonkeyPatch
) -> None:
    check_world()
    alone.setenv(name, "1")
    check_world()
    alone.setenv(name, "2")
    with pytest.raises(R1trlError, match=f"^{name}=2: the launcher starts 2 processes, but this"):
        check_world()
    alone.setenv("RANK", "1")
    alone.setenv("WORLD_SIZE", "2")
    check_world()


def test_one_process_of_a_driver_in_an_allocation_is_no_mistake(
    alone: pytest.MonkeyPatch,
) -> None:
    alone.setenv("SLURM_NTASKS", "8")
    alone.setenv(EXPECTED, "1")
    check_world()


@pytest.mark.slow
@pytest.mark.long
def test_a_collective_has_a_time_out_and_waiting_for_a_process_that_works_has_none() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    shared |= {"ACCELERATE_USE_CPU": "true", "LOCAL_WORLD_SIZE": "2"}
    paths = os.pathsep.join(path for path in sys.path if path)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MEET],
            env={**os.environ, **shared, "RANK": rank, "LOCAL_RANK": rank, "PYTHONPATH": paths},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in "01"
    ]
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    both = "met [0, 1]\n[0, 1, 2, 3, 4] []\n"
    assert outputs == [
        f"{both}Unsendable no\n",
        f"{both}R1trlError Unsendable: no\ntimed out True\n",
    ]
