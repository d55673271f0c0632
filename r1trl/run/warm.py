"""A process that has imported torch and TRL, and forks a worker for every line of its stdin.

Importing them takes many seconds and a run has a dozen stages. A fork runs the same code as
`python -m r1trl.run.worker FOLDER`, and a crash ends that fork alone. CUDA is not initialised here:
a fork could not use it.
"""

import ctypes
import gc
import importlib
import logging
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

import yaml

from r1trl.stage.devices import Gpus, driver_gpus


class WorkerForkServer:
    """Forks workers, one at a time."""

    def __init__(self) -> None:
        self.child = 0

    def serve(self) -> None:
        """Run a worker for each line, a folder and an environment; print its exit status."""
        end_with_parent()
        signal.signal(signal.SIGTERM, self._pass_on)
        replies = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # what libraries print while they are imported is no reply
        import_everything()
        gpu = may_have_gpu()
        gc.collect()
        gc.freeze()  # forks need not traverse, and so copy, what has been imported
        for line in sys.stdin:
            folder, environment = yaml.safe_load(line)
            self.child = os.fork()
            if self.child == 0:
                worker_main(Path(folder), environment, gpu)
            _, status = os.waitpid(self.child, 0)
            self.child = 0
            print(os.waitstatus_to_exitcode(status), file=replies, flush=True)

    def _pass_on(self, number: int, _: FrameType | None) -> None:
        if self.child:
            os.kill(self.child, number)


def import_everything() -> None:
    """Import what stages need; TRL and transformers load their classes when first named.

    They ask for GPUs, and must be answered by the driver (NVML): CUDA that is initialised before a
    fork cannot be used after it.
    """
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"
    import accelerate.utils
    import transformers
    import trl

    for module in ("run.worker", "training.trainer", "training.trainers", "generation.shards"):
        importlib.import_module(f"r1trl.{module}")
    for package, names in {
        trl: ("GRPOTrainer", "RLOOTrainer", "SFTTrainer", "RewardTrainer"),
        transformers: ("AutoModelForCausalLM", "AutoTokenizer", "Qwen2ForCausalLM"),
    }.items():
        for name in names:
            getattr(package, name)
    if accelerate.utils.is_deepspeed_available():
        logging.disable(logging.WARNING)  # it warns in every run that there is no GPU
        importlib.import_module("deepspeed")  # every trainer imports it
        logging.disable(logging.NOTSET)


def may_have_gpu() -> bool:
    """Return True if PyTorch sees a GPU, asked as libraries ask, or if NVIDIA's driver runs."""
    import torch

    return torch.cuda.is_available() or driver_gpus() != Gpus(0)


def worker_main(folder: Path, environment: Mapping[str, str], gpu: bool) -> None:
    """Become the worker of a stage, with the stage's log as output; do not return.

    It is a new program if a fork would differ from one: if there is an `environment`, which
    libraries read while they are imported, or a `gpu` that cannot be used after the fork.
    """
    import torch

    from r1trl.run.worker import run_stage

    end_with_parent()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ.update(environment)
    log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if environment or (gpu and torch.cuda._is_in_bad_fork()):
        program = [sys.executable, "-m", "r1trl.run.worker", str(folder)]
        os.execv(program[0], program)  # noqa: S606 - there is no shell to start it through
    status = run_stage(folder)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def end_with_parent() -> None:
    """Ask Linux to end this process when its parent dies, however it dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


if __name__ == "__main__":
    WorkerForkServer().serve()
