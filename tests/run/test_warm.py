"""The warm process: its imports leave CUDA alone, and its workers are what a new process is."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from r1trl.stage.files import StageSpec, write_spec

# Imports all that the warm process does where PyTorch has CUDA, the driver has a GPU, and every
# call that initialises CUDA is recorded.
TRACE = """
import ctypes
import os
import traceback

calls = []


class Nvml:
    def nvmlInit(self):
        return 0

    nvmlInit_v2 = nvmlShutdown = nvmlInit

    def nvmlDeviceGetCount_v2(self, count):
        ctypes.cast(count, ctypes.POINTER(ctypes.c_uint))[0] = 1
        return 0


class Library(ctypes.CDLL):
    def __new__(cls, name=None, *more, **named):
        if "libcuda." in str(name):
            calls.append("loaded libcuda" + "".join(traceback.format_stack(limit=8)))
        return Nvml() if "libnvidia-ml" in str(name) else super().__new__(cls)


ctypes.CDLL = Library
import torch


def recorded(name, answer):
    def call(*_, **__):
        calls.append(name + "".join(traceback.format_stack(limit=8)))
        return answer

    return call


torch._C._cuda_getDeviceCount = recorded("getDeviceCount", 1)  # CUDA is compiled if it is there
torch._C._cuda_getCurrentRawStream = recorded("getCurrentRawStream", 0)
torch._C._cuda_init = recorded("init", None)
torch.cuda._lazy_init = recorded("lazy_init", None)

from r1trl.run import warm

warm.import_everything()
assert warm.may_have_gpu()
print("\\n".join(calls) or "no call")

from deepspeed.accelerator import get_accelerator

print("DeepSpeed is on", get_accelerator().device_name())
os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"
torch.cuda.is_available()
print("then", len(calls))
"""
WORKERS = """
import json
import os
import sys
from pathlib import Path

import torch

from r1trl.run.warm import fork_main

for folder, gpu, bad_fork, environment in json.loads(sys.argv[1]):
    if os.fork() == 0:
        torch.cuda._is_in_bad_fork = lambda: bad_fork
        fork_main("r1trl.run.worker:run_stage", Path(folder), environment, gpu)
    os.wait()
"""
KIND = """
import os
import sys

import r1trl


def run(work):
    '''Write which program this is.'''
    program = "fork" if sys.argv[1][0] == "[" else "new"
    print("program:", program, os.environ.get("MINE"), sys.stdin.read())
    (work.folder / "model").mkdir()
    return {}


@r1trl.hookimpl
def r1trl_kinds():
    return {"shown": r1trl.Kind(run=run, needs=())}
"""


def run_script(script: str, *arguments: str, **environment: str) -> str:
    """Run a Python script in a process of its own; return what it prints."""
    paths = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env={**os.environ, "PYTHONPATH": paths, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_the_imports_of_the_warm_process_do_not_initialise_cuda() -> None:
    # DeepSpeed 0.18 does not ask for NVML's answer by itself, and later ones respect this 0.
    out = run_script(TRACE, PYTORCH_NVML_BASED_CUDA_CHECK="0")
    assert out.splitlines()[-3:-2] == ["no call"], out
    assert "DeepSpeed is on cuda" in out, "the imports saw no GPU"
    assert out.endswith("then 1\n"), "the trace records nothing"


@pytest.mark.long
@pytest.mark.slow
def test_a_worker_is_a_fork_unless_a_new_process_would_differ(
    tmp_path: Path, plugin_file: Any
) -> None:
    cases: list[tuple[bool, bool, dict[str, str], str]] = [
        (False, False, {}, "fork None"),
        (False, True, {}, "fork None"),  # PyTorch has CUDA, the machine has no GPU
        (True, False, {}, "fork None"),
        (True, True, {}, "new None"),
        (False, False, {"MINE": "1"}, "new 1"),
    ]
    plugins = {"load": [plugin_file(KIND)], "block": []}
    settings = {"kind": "shown", "data": {}, "transitions": {}}
    spec = StageSpec("s", "shown", "x", 1, settings, "model", False, plugins=plugins)
    folders = [tmp_path / str(number) for number in range(len(cases))]
    for folder in folders:
        write_spec(folder, spec)
    pairs = zip(folders, cases, strict=True)
    run_script(WORKERS, json.dumps([(str(folder), *case[:3]) for folder, case in pairs]))
    logs = [(folder / "log.txt").read_text() for folder in folders]
    assert [log.split("\n")[-2] for log in logs] == [f"program: {case[-1]} " for case in cases]
