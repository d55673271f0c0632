"""Questions about processes that may end while they are asked."""

from collections.abc import Mapping

import psutil


def runs(process: psutil.Process) -> bool:
    """True unless a process has ended."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def command_line(process: psutil.Process) -> str:
    """Return a process's words; empty: it has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def has_variable(process: psutil.Process, name: str) -> bool:
    """True if a process was started with this variable, and has not ended."""
    try:
        return name in process.environ()
    except psutil.NoSuchProcess:
        return False


def has_variables(process: psutil.Process, variables: Mapping[str, str]) -> bool:
    """True if a process was started with these variables, and has not ended."""
    try:
        return variables.items() <= process.environ().items()
    except psutil.NoSuchProcess:
        return False


def kill(process: psutil.Process) -> None:
    """Kill a process with its children, unless it has ended."""
    try:
        children = process.children(recursive=True)
        process.kill()
        for child in children:
            kill(child)
    except psutil.NoSuchProcess:
        return
