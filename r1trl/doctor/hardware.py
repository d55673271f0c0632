"""A node's GPUs, as NVIDIA's driver and as PyTorch see them, and the room of its disks."""

import ctypes
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import groupby
from pathlib import Path

import psutil

from r1trl.doctor.finding import GIB, Finding
from r1trl.stage.devices import (
    driver_gpus,
    idle_gpus,
    missing_gpu,
    torch_gpus,
    wants_cpu,
)
from r1trl.storage.room import free as room_of

FREE = 0.9  # share of a GPU's memory that is free if nobody else uses it
WHAT = "gpus"
BUILD = "install a build of PyTorch for it (pytorch.org), or hide it by CUDA_VISIBLE_DEVICES"
ROOM = 20 * GIB  # less is soon used: a checkpoint of 7B parameters alone has 112 GB
SHARED_MEMORY, SHARED_ROOM = Path("/dev/shm"), GIB  # noqa: S108 - looked at, not written


def gpu_findings(processes: int, *, one_process: bool) -> Iterator[Finding]:
    """Yield what is there for the processes of a launch on this node; initialises CUDA.

    `one_process`: the launch is local, and uses one GPU.
    """
    driver = driver_gpus()
    if wants_cpu(os.environ):
        text = f"not wanted, by the environment; the driver has {driver.number}; {_cpu()}"
        yield Finding("ok", WHAT, text)
        return
    usable = torch_gpus()
    if problem := missing_gpu(os.environ, driver, usable, processes):
        yield Finding("wrong", WHAT, problem)
    elif not usable.number:
        yield Finding("note", WHAT, f"none: models are on the CPU; {_cpu()}")
    else:
        yield from _each(usable.number, f"{driver.number} by NVIDIA's driver{_driver()}")
        if one_process and (idle := idle_gpus(os.environ, driver.number)):
            yield Finding("note", WHAT, idle)


def _each(number: int, seen: str) -> Iterator[Finding]:
    """Compute on each GPU; yield which they are, those that fail, and those that others use."""
    import torch

    kinds = []
    for gpu in range(number):
        name = torch.cuda.get_device_name(gpu)
        try:
            some = torch.ones(64, 64, device=f"cuda:{gpu}")
            some.mm(some).sum().item()
            free, total = torch.cuda.mem_get_info(gpu)
        except RuntimeError as error:
            yield Finding("wrong", WHAT, f"launch: GPU {gpu} ({name}): {_first(error)}; {BUILD}")
            continue
        if free < FREE * total:
            text = f"GPU {gpu} ({name}): {free / GIB:.1f} of {total / GIB:.1f} GiB are free"
            yield Finding("note", WHAT, f"{text}; another process uses it")
        kinds.append(f"{name}, {total / GIB:.1f} GiB")
    named = "; ".join(f"{len(list(same))} x {kind}" for kind, same in groupby(sorted(kinds)))
    built = f"PyTorch {torch.__version__} (CUDA {torch.version.cuda})"
    yield Finding("ok", WHAT, f"{seen}, {number} by {built}: {named}; {_cpu()}")


def _first(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")


def _driver() -> str:
    """Return the driver's version, and the newest CUDA that it carries, in parentheses."""
    with suppress(OSError, AttributeError):
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
        text, cuda = ctypes.create_string_buffer(80), ctypes.c_int()
        if nvml.nvmlInit_v2() == 0:
            nvml.nvmlSystemGetDriverVersion(text, len(text))
            nvml.nvmlSystemGetCudaDriverVersion_v2(ctypes.byref(cuda))
            nvml.nvmlShutdown()
            newest = f"{cuda.value // 1000}.{cuda.value % 1000 // 10}"
            return f" {text.value.decode()} (up to CUDA {newest})"
    return ""


def _cpu() -> str:
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    return f"{cores} cores, {psutil.virtual_memory().available / GIB:.1f} GiB of memory available"


def disk_findings(runs_dir: Path) -> Iterator[Finding]:
    """Yield the room for runs, in the Hub's cache, and in shared memory."""
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE)
    for place, key in ((runs_dir, "runs_dir"), (cache, "HF_HOME")):
        there = next(folder for folder in (place, *place.parents) if folder.is_dir())
        little = shutil.disk_usage(there).free < ROOM
        text = f"{place}: {room_of(place)}"
        advice = f"; make room, or set {key} to another disk" if little else ""
        yield Finding("note" if little else "ok", "disk", text + advice)
    if SHARED_MEMORY.is_dir():
        little = shutil.disk_usage(SHARED_MEMORY).total < SHARED_ROOM
        advice = "; NCCL and servers need more: docker run --shm-size=16g" if little else ""
        text = f"{SHARED_MEMORY}: {room_of(SHARED_MEMORY)}{advice}"
        yield Finding("note" if little else "ok", "disk", text)
