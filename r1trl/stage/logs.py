"""The logs of a stage: `log.txt`, of several nodes `log.node<k>.txt` too, and those of before."""

import re
from pathlib import Path

from r1trl.process.terminal import newest_lines
from r1trl.storage.writing import rename

LOG = "log.txt"  # what the processes of one node print, or what the launcher of several does
OWN = re.compile(r"log(\.node\d+)?\.txt")
# Of the engine's lines, without srun's own on how a task has ended.
FAILED = re.compile(r"(?:srun: )?error: (?!\S+: tasks? )(.+)")


def log_of(folder: Path, node: int, nodes: int) -> Path:
    """Return the log of a node's processes."""
    return folder / (LOG if nodes == 1 else f"log.node{node}.txt")


def logs(folder: Path) -> list[Path]:
    """Return the logs of the last attempt of a stage; nodes first, the launcher's last."""
    found = [path for path in folder.glob("log*.txt") if OWN.fullmatch(path.name)]
    return sorted(found, key=lambda path: (path.name == LOG, len(path.name), path.name))


def where(folder: Path) -> str:
    """Return the name of what to look into."""
    return str(folder / (LOG if len(logs(folder)) <= 1 else "log.node*.txt"))


def rotate_logs(folder: Path) -> None:
    """Keep the logs of an earlier attempt as log.1.txt, log.2.txt and so on."""
    for log in logs(folder):
        number = 1
        while log.with_suffix(f".{number}.txt").exists():
            number += 1
        rename(log, log.with_suffix(f".{number}.txt"))


def last_lines(folder: Path, count: int = 25) -> str:
    """Return the last lines of a stage's logs."""
    return "\n".join(line for log in logs(folder) for line in newest_lines(log, count))


def engine_error(folder: Path) -> str | None:
    """Return what the engine of several nodes said first of what went wrong; None if nothing."""
    if len(logs(folder)) <= 1:
        return None
    said = map(FAILED.match, newest_lines(folder / LOG, 100))
    return next((found[1] for found in said if found), None)
