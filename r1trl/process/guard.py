"""Code of others in this process: what it leaves behind is put right, and it ends nothing unseen.

A plugin may change the directory, fork, replace signal handlers or end the process, by mistake
mostly. None of that may become a wrong result, or look like success.
"""

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

from r1trl.process.terminal import say

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
State = dict[str, tuple[Any, Callable[[], Any]]]


@contextmanager
def undisturbed(key: str) -> Iterator[None]:
    """Put right what a block of somebody's code leaves changed in this process; say so once.

    `key` names the code. A child that it has forked and that comes back is ended. In other threads
    than the first one only that is looked at: what they see may be another one's.
    """
    pid, before = os.getpid(), state()
    try:
        yield
    finally:
        if os.getpid() != pid:
            say(f"{key}: a process that it has forked came back, and is ended", error=True)
            os._exit(1)
        put_right(key, before)


def state() -> State:
    """Return what code of others must leave as it is, each thing with how it is set again."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    kept: State = {}
    with suppress(FileNotFoundError):  # it has been removed
        there = os.getcwd()
        kept["the current directory"] = there, lambda: os.chdir(there)
    for number in SIGNALS:
        kept[f"the handler of {number.name}"] = _handler(number)
    kept["sys.stdout or sys.stderr"] = (True, _open_streams)
    return kept | (_of_torch() if "torch" in sys.modules else {})


def put_right(key: str, before: State) -> None:
    """Set again what differs from a state, and say so."""
    after = state() if before else {}
    for what, (value, restore) in before.items():
        now = _streams_are_open() if what.startswith("sys.") else after.get(what, (value,))[0]
        if now != value:
            restore()
            say(f"{key}: has changed {what}; it is put right", error=True)


def _handler(number: signal.Signals) -> tuple[Any, Callable[[], Any]]:
    handler = signal.getsignal(number)
    return handler, lambda: signal.signal(number, handler)


def _streams_are_open() -> bool:
    for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
        try:
            os.fstat(number)
        except OSError:
            return False
        if stream is None or stream.closed:
            return False
    return True


def _open_streams() -> None:
    """Open what has been closed, on what is left."""
    for number, other in ((1, 2), (2, 1)):
        with suppress(OSError):  # both are closed
            os.fstat(other)
            try:
                os.fstat(number)
            except OSError:
                os.dup2(other, number)
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None or getattr(sys, name).closed:
            setattr(sys, name, open(number, "w", encoding="utf-8", closefd=False))  # noqa: SIM115


def _of_torch() -> State:
    """Return PyTorch's settings of this process."""
    import torch

    if not hasattr(torch, "is_grad_enabled"):  # it is being imported
        return {}
    grad, dtype, threads = (
        torch.is_grad_enabled(),
        torch.get_default_dtype(),
        torch.get_num_threads(),
    )
    return {
        "torch's gradients": (grad, lambda: torch.set_grad_enabled(grad)),
        "torch's default dtype": (dtype, lambda: torch.set_default_dtype(dtype)),
        "torch's number of threads": (threads, lambda: torch.set_num_threads(threads)),
    }


def tell_exits() -> None:
    """Let `os._exit` of this process tell who calls it, and fail; r1trl's and programs' calls stay.

    Children that are forked may end so.
    """
    pid, leave = os.getpid(), os._exit
    if getattr(leave, "pid", None) == pid:
        return

    def told(status: int) -> NoReturn:
        names = sys._getframe(1).f_globals
        package = (names.get("__package__") or "").partition(".")[0]
        if os.getpid() != pid or package == "r1trl" or names.get("__name__") == "__main__":
            leave(status)
        stack = "".join(traceback.format_stack(sys._getframe(1))[-3:])
        ended = f"{names.get('__name__')} has ended the process by os._exit({status})"
        say(f"{stack}error: {ended}", error=True)
        leave(status or 1)

    told.pid = pid  # type: ignore[attr-defined]
    os._exit = told
