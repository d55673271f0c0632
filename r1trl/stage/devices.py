"""The GPU of a process: which one it may see, whether PyTorch can use it, and its rank's device.

NVIDIA's driver says how many GPUs there are (NVML), without initialising CUDA.
"""

import ctypes
import os
import re
from collections.abc import Callable, Mapping
from itertools import takewhile
from typing import TYPE_CHECKING, Any, NamedTuple

from r1trl.config.kinds import models_of
from r1trl.config.schema import StageConfig
from r1trl.config.stage_parts import POLICY
from r1trl.errors import StageError
from r1trl.process.terminal import say

if TYPE_CHECKING:
    import torch

VISIBLE, USE_CPU = "CUDA_VISIBLE_DEVICES", "ACCELERATE_USE_CPU"
NO_GPU = {VISIBLE: "", USE_CPU: "true"}  # the environment of a process that is to use the CPU
DRIVER_NOT_LOADED = 9  # NVML's number: there is no GPU that could be used


class Gpus(NamedTuple):
    """How many GPUs somebody has for this process, and the reason if that is none.

    `memory` is the least of a GPU, in bytes, if the driver says so.
    """

    number: int
    reason: str = ""
    memory: int = 0


class _Memory(ctypes.Structure):
    """NVML's nvmlMemory_t, in bytes."""

    _fields_ = [(name, ctypes.c_ulonglong) for name in ("total", "free", "used")]


def driver_gpus(load: Callable[[str], Any] = ctypes.CDLL) -> Gpus:
    """Return the GPUs that NVIDIA's driver has; a reason only if the driver is broken."""
    try:
        nvml = load("libnvidia-ml.so.1")
    except OSError:
        return Gpus(0)
    nvml.nvmlErrorString.restype = ctypes.c_char_p
    if status := nvml.nvmlInit_v2():
        problem = nvml.nvmlErrorString(status).decode()
        return Gpus(0, "" if status == DRIVER_NOT_LOADED else problem)
    count, handle, memory = ctypes.c_uint(), ctypes.c_void_p(), _Memory()
    nvml.nvmlDeviceGetCount_v2(ctypes.byref(count))  # with those that others have been given
    get_handle = nvml.nvmlDeviceGetHandleByIndex_v2
    totals = list[int]()
    for index in range(count.value):
        if get_handle(index, ctypes.byref(handle)) == 0:
            nvml.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory))
            totals.append(memory.total)
    nvml.nvmlShutdown()
    return Gpus(len(totals), memory=min(totals, default=0))


def torch_gpus() -> Gpus:
    """Return the GPUs that PyTorch can use in this process; initialises CUDA."""
    import torch

    if not torch.backends.cuda.is_built():  # type: ignore[no-untyped-call]
        return Gpus(0, f"PyTorch {torch.__version__} is a build without CUDA")
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except (RuntimeError, AssertionError) as error:
        return Gpus(0, str(error).splitlines()[0].rstrip("."))
    return Gpus(torch.cuda.device_count())


def visible_gpus(environment: Mapping[str, str], count: int) -> list[str]:
    """Return the names of the GPUs that CUDA shows to a process, of `count` that there are."""
    if VISIBLE not in environment:
        return [str(number) for number in range(count)]
    names = [name.strip() for name in environment[VISIBLE].split(",")]
    return list(takewhile(lambda name: re.match(r"\d|GPU-|MIG-", name), names))  # as CUDA reads it


def wants_cpu(environment: Mapping[str, str]) -> bool:
    """Return True if somebody chose the CPU: by accelerate's variable, or by hiding all GPUs."""
    chosen = environment.get(USE_CPU, "").lower() in ("1", "true", "t", "yes", "y", "on")
    return chosen or (VISIBLE in environment and not visible_gpus(environment, 0))


def has_gpu(environment: Mapping[str, str], args: Mapping[str, Any]) -> bool:
    """Return True if a stage's processes on this machine have a GPU; `args` are TRL's."""
    return not args.get("use_cpu") and not wants_cpu(environment) and driver_gpus().number > 0


def runs_a_model(stage: StageConfig) -> bool:
    """Return True if a stage has a model that is in its own processes, not behind servers."""
    own = [model.endpoints or stage.endpoints for model in models_of(stage).values()]
    if stage.model is not None:
        own.append(stage.endpoints)
    return None in own and POLICY not in stage.serve


def idle_gpus(environment: Mapping[str, str], count: int) -> str | None:
    """Return what one process leaves unused of `count` GPUs, and what uses it; None if nothing."""
    visible = [] if wants_cpu(environment) else visible_gpus(environment, count)
    if len(visible) < 2:
        return None
    uses_all = f"launch=accelerate launch.processes={len(visible)} uses all"
    return f"one process uses 1 of {len(visible)} GPUs; {uses_all}"


def hide_gpus(args: Mapping[str, Any], processes: int) -> None:
    """Hide the GPUs that are not for this process, before CUDA is initialised; print how many.

    `args` are TRL's, `processes` those of the stage. All are hidden if the CPU is wanted, since
    libraries would use them; all but one from a single process, since transformers would spread a
    model's layers over several, or copy the model to each.
    """
    if args.get("use_cpu"):
        os.environ[USE_CPU] = "true"
    count = driver_gpus().number
    if wants_cpu(os.environ):
        os.environ[VISIBLE] = ""
    elif processes == 1 and (idle := idle_gpus(os.environ, count)):
        os.environ[VISIBLE] = visible_gpus(os.environ, count)[0]
        say(idle)


def missing_gpu(
    environment: Mapping[str, str], driver: Gpus, usable: Gpus, processes: int
) -> str | None:
    """Return why `processes` of one machine cannot have a GPU each, with the key; None if they can.

    On a machine without GPUs they need none. `usable` are those that PyTorch can use.
    """
    if processes > usable.number > 0:
        return (
            f"launch.processes: {processes} processes, but this machine has {usable.number} GPUs "
            f"for them; set launch.processes={usable.number}"
        )
    if usable.number or driver == Gpus(0):
        return None
    has = f"has {driver.number} GPU{'s' * (driver.number > 1)}"
    says = has if driver.number else f"says '{driver.reason}'"
    hidden = f"; {VISIBLE}={environment[VISIBLE]}" if VISIBLE in environment else ""
    return (
        f"launch: NVIDIA's driver {says}, and PyTorch can use no GPU ({usable.reason}{hidden}); "
        f"install a build of PyTorch for this driver (pytorch.org), or set {USE_CPU}=true in the "
        "environment to use the CPU"
    )


def take_device(stage: StageConfig, key: str) -> None:
    """Make this rank's GPU the current one, unless there is none or the CPU is wanted; print which.

    `key` is the stage's key. Initialises CUDA. Raises StageError if there is a GPU and PyTorch
    cannot use it, or more processes than GPUs. A stage without a model of its own takes none.
    """
    if not runs_a_model(stage):
        return
    if not wants_cpu(os.environ):
        usable, processes = torch_gpus(), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        if problem := missing_gpu(os.environ, driver_gpus(), usable, processes):
            raise StageError(f"{key}.{problem}")
        if usable.number:
            import torch

            # As accelerate does; a scheduler may show each rank its own GPU alone.
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % usable.number)
    say(f"rank {os.environ.get('RANK', '0')} is on {described(device())}")


def uses_gpu() -> bool:
    """Return True if models of this process are on a GPU."""
    import torch

    return not wants_cpu(os.environ) and torch.cuda.is_available()


def device() -> "torch.device":
    """Return the device of this process's models: the rank's GPU, or the CPU."""
    import torch

    return torch.device("cuda", torch.cuda.current_device()) if uses_gpu() else torch.device("cpu")


def described(where: "torch.device") -> str:
    """Return a device in words."""
    import torch

    if where.type == "cpu":
        return "the CPU"
    return f"{where} ({torch.cuda.get_device_name(where)})"
