"""All ranks of a launch make a process group, and sum some numbers: whether, and how fast."""

import json
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from r1trl.doctor.finding import Finding
from r1trl.doctor.ranks import BYTES, JOIN_SECONDS, RESULT
from r1trl.errors import R1trlError
from r1trl.launch.step import Steps
from r1trl.process.terminal import newest_lines
from r1trl.stage.logs import logs

WHAT, MODULE = "all-reduce", "r1trl.doctor.ranks"
SECONDS = 230.0  # the ranks end themselves before
SLOW = 1.0  # GB/s; gradients of 7B parameters in bfloat16 then take 14 s
SAID, GLOO = "error: ", "gloo"
ADVICE = "NCCL_DEBUG=INFO in launch.environment says which network it takes"


def exchange_findings(launch: Mapping[str, Any], folder: Path) -> Iterator[Finding]:
    """Yield the time of an all-reduce over all ranks, or why there is none."""
    world = launch["nodes"] * launch["processes"]
    if world == 1:
        yield Finding("ok", WHAT, "one process, which exchanges nothing")
        return
    steps = Steps({}, MODULE)
    end = threading.Timer(SECONDS, steps.end)
    end.start()
    try:
        status = steps.run(folder, launch, 0.0)
    except R1trlError as error:
        yield Finding("wrong", WHAT, str(error))
        return
    except BaseException:
        steps.end()
        raise
    finally:
        end.cancel()
    if status or not (folder / RESULT).exists():
        yield Finding("wrong", WHAT, _why(folder, world))
    else:
        yield _speed(json.loads((folder / RESULT).read_text(encoding="utf-8")), world)


def _speed(found: Mapping[str, Any], world: int) -> Finding:
    speed = BYTES / found["seconds"] / 1e9
    text = f"{BYTES >> 20} MiB over {world} ranks by {found['backend']} in {found['seconds']:.3f} s"
    text = f"{text}: {speed:.3g} GB/s"
    if found["backend"] != GLOO and speed < SLOW:
        return Finding("note", WHAT, f"{text}; {ADVICE}")
    return Finding("ok", WHAT, text)


def _why(folder: Path, world: int) -> str:
    """Return the sentence on ranks that have failed: the first error in their logs."""
    lines = [line for log in logs(folder) for line in newest_lines(log, 200)]
    errors = [line.removeprefix(SAID) for line in lines if line.startswith(SAID)]
    ended = f"they were killed, or not ready within {JOIN_SECONDS:.0f} s"
    reason = errors[0] if errors else f"{ended}: {lines[-1] if lines else 'nothing was said'}"
    return f"launch.processes: {world} ranks cannot exchange sums: {reason}"
