"""Rows that one process makes for all, on real processes."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # imports torch in two processes

MAKE = """
import json
import sys
from pathlib import Path

import datasets

from r1trl.files.once import made_once
from r1trl.stage.ranks import barrier, is_main, join

join(30.0)
folder = Path(sys.argv[1])
if sys.argv[2] == "uncached":
    datasets.disable_caching()
if is_main():
    datasets.Dataset.from_dict({"n": list(range(10)), "t": ["x"] * 10}).to_parquet(folder / "rows")
calls = []

def read():
    calls.append("read")
    return datasets.Dataset.from_parquet(str(folder / "rows"), cache_dir=str(folder / ".cache"))

def doubled(rows):
    return {"n": [2 * n for n in rows["n"]]}

def mapped():
    calls.append("mapped")
    return rows.map(doubled, batched=True, remove_columns=["t"], num_proc=2)

rows = made_once("rows", read, folder)
twice = made_once("twice", mapped, folder)
some = made_once("some", lambda: twice.select([7, 1]), folder)
none = made_once("none", lambda: datasets.Dataset.from_dict({"n": [5]}), folder)
again = twice.map(doubled, batched=True)  # as TRL does on the others, when it is cached
barrier()
prints = {(each._fingerprint) for each in (rows, twice, some, none)}
print("said", json.dumps([calls, twice["n"][:], twice.column_names, some["n"][:], none["n"][:]]))
print("said", json.dumps([sorted(prints), again["n"][-1]]))
"""


@pytest.mark.parametrize("cached", ["cached", "uncached"])
def test_one_process_makes_rows_and_the_other_reads_them(cached: str, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    shared |= {"ACCELERATE_USE_CPU": "true", "LOCAL_WORLD_SIZE": "2"}
    shared |= {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MAKE, str(tmp_path), cached],
            env={**os.environ, **shared, "RANK": rank, "LOCAL_RANK": rank},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in "01"
    ]
    outputs = [process.communicate(timeout=300)[0].splitlines() for process in processes]
    first, second = ([json.loads(x[5:]) for x in out if x.startswith("said")] for out in outputs)
    doubles = [2 * n for n in range(10)]
    assert first[0] == [["read", "mapped"], doubles, ["n"], [14, 2], [5]]
    assert second[0] == [[], *first[0][1:]]
    assert first[1] == second[1] and first[1][1] == 36
