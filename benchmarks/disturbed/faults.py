"""Damages: files removed, emptied, cut, flipped; a plugin that lets the nth write of a run fail."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

FAULTS = '''"""Lets an operation on a file fail, or ends the process there, as R1TRL_FAULT says."""

import errno
import json
import os
import shutil
import signal
from fnmatch import fnmatch
from pathlib import Path

import r1trl
from r1trl.storage.writing import hook

FAULT = json.loads(os.environ.get("R1TRL_FAULT", "null"))
RECORD = os.environ.get("R1TRL_RECORD")
seen = 0


def before(operation, path):
    """Called before each operation on a path."""
    global seen
    if RECORD:
        with open(RECORD, "a") as file:
            file.write(f"{operation} {os.path.relpath(path)}\\n")
        return
    if fnmatch(operation, FAULT["operation"]) and fnmatch(os.path.relpath(path), FAULT["path"]):
        seen += 1
        if seen == FAULT["nth"]:
            act(FAULT["action"], Path(path))


def act(action, path):
    """Do what is asked for."""
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "fill":
        disk = os.statvfs(path.parent)
        free = disk.f_bavail * disk.f_frsize - 2048
        with open(os.environ["R1TRL_BALLAST"], "wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(free, 1))
    elif action == "remove":
        shutil.rmtree(path.parent)
    else:
        number = getattr(errno, action)
        raise OSError(number, os.strerror(number))


if FAULT or RECORD:
    hook.before = before


@r1trl.hookimpl
def r1trl_stage_started(stage):
    """A plugin has a hook."""
'''
# A short chain of stages with all that a run has: checkpoints with a reference and with samplers,
# shards, rollouts, a file that a transition writes, rows that are filtered and tokenised.
CHAIN = """# @package _global_
defaults:
  - /stage@stages.rl: grpo
  - /stage@stages.samples: sample
  - /stage@stages.tuned: sft
  - _self_
stages:
  rl:
    template: ${template.zero}
    data: {problems: {}}
    rewards: {accuracy: {answer: answer_tag}, think_format: {profile: think_answer}}
    samplers: {adaptive: {}}
    args: {max_steps: 8, max_completion_length: 24}
  samples:
    model: stage:rl
    template: ${template.zero}
    data: {problems: {sample_rows: 32}}
    sampling: {n: 2, max_tokens: 24, shard_size: 8}
    rewards: {accuracy: {answer: answer_tag}}
    transitions: {hardest_problems: {max_rate: 1.0}}
  tuned:
    data:
      drawn: {path: stage:samples}
      hardest:
        path: stage:samples/hardest.parquet
        columns: {prompt: prompt, completion: solution}
    args: {save_strategy: steps, save_steps: 4}
"""


def fault(operation: str, path: str, nth: int, action: str) -> dict[str, object]:
    """Return what the plugin does at the nth operation on paths like this one."""
    return {"operation": operation, "path": path, "nth": nth, "action": action}


STATES: Mapping[str, Mapping[str, object]] = {  # where the run is killed
    "rl at step 5": fault("write", "*/rl/metrics.jsonl", 6, "kill"),
    "samples half drawn": fault("*", "*/samples/shards/*", 5, "kill"),
    "rl and samples finished": fault("write", "*/tuned/data/*", 1, "kill"),
}


def asked_for(fault: Mapping[str, object]) -> dict[str, str]:
    """Return the environment that tells the plugin of a fault."""
    return {"R1TRL_FAULT": json.dumps(dict(fault))}


def removed(path: Path) -> None:
    """Remove a file."""
    path.unlink()


def emptied(path: Path) -> None:
    """Leave nothing in a file."""
    path.write_bytes(b"")


def cut(path: Path) -> None:
    """Leave the first half of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def flipped(path: Path) -> None:
    """Flip a bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    if content:
        content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES: Mapping[str, Callable[[Path], None]] = {
    each.__name__: each for each in (removed, emptied, cut, flipped)
}


def copied(folder: Path, target: Path) -> None:
    """Copy a folder with its times."""
    shutil.copytree(folder, target, symlinks=True, dirs_exist_ok=True)
