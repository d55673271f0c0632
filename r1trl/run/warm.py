"""A process that has imported torch and TRL, and forks for every line of its stdin.

Importing them takes many seconds and a run has a dozen stages. A fork calls a function with a
folder, such as the one that `python -m r1trl.run.worker FOLDER` calls, and a crash ends that fork
alone. CUDA is not initialised here: a fork could not use it.
"""

import gc
import importlib
import logging
import os
import signal
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

import yaml

from r1trl.stage.devices import Gpus, driver_gpus
from r1trl.watch.leaving import SIGNALS
from r1trl.watch.processes import end_with_parent

# Ends as a fork does: no thread that hangs, such as a reward's, keeps the process.
CALL = """
import importlib, os, pathlib, sys
module, name, folder = sys.argv[1:]
status = getattr(importlib.import_module(module), name)(pathlib.Path(folder))
sys.stdout.flush(), sys.stderr.flush()
os._exit(status)
"""


class WorkerForkServer:
    """Forks workers, one at a time."""

    def __init__(self) -> None:
        self.child = 0

    def serve(self) -> None:
        """Call in a fork what each line says, and print the exit status.

        A line has the function, as "module:name", its folder, and what to add to the environment.
        """
        for number in SIGNALS:
            signal.signal(number, self._pass_on)
        replies = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # what libraries print while they are imported is no reply
        import_everything()
        # From Python 3.12 a fork beside threads warns; those here, of libraries, allow for forks.
        warnings.filterwarnings("ignore", message=".*fork", category=DeprecationWarning)
        gpu = may_have_gpu()
        gc.collect()
        gc.freeze()  # forks need not traverse, and so copy, what has been imported
        for line in sys.stdin:
            function, folder, environment = yaml.safe_load(line)
            self.child = os.fork()
            if self.child == 0:
                fork_main(function, Path(folder), environment, gpu)
            _, status = os.waitpid(self.child, 0)
            self.child = 0
            try:
                print(os.waitstatus_to_exitcode(status), file=replies, flush=True)
            except BrokenPipeError:  # the driver is gone, and the child has left
                os._exit(1)

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


def fork_main(function: str, folder: Path, environment: Mapping[str, str], gpu: bool) -> None:
    """Call a function with a folder, whose log.txt gets the output; do not return.

    Its return value is the exit status. It is called in a new program if a fork would differ from
    one: if there is an `environment`, which libraries read while they are imported, or a `gpu` that
    cannot be used after the fork.
    """
    import torch

    module, _, name = function.partition(":")
    end_with_parent()
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    os.environ.update(environment)
    log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if environment or (gpu and torch.cuda._is_in_bad_fork()):
        program = [sys.executable, "-c", CALL, module, name, str(folder)]
        os.execv(program[0], program)  # noqa: S606 - there is no shell to start it through
    status = getattr(importlib.import_module(module), name)(folder)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    WorkerForkServer().serve()
