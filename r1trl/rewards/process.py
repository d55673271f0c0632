"""The program of a scoring process: it imports verifiers, forks copies of itself, and scores."""

import importlib
import importlib.util
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.reduction import recv_handle
from typing import Any

from r1trl.rewards.fork_server import END_SECONDS, connection_of
from r1trl.rewards.limits import MEMORY_BYTES, adopt_orphans, children, kill_tree, process_table

ORPHAN_SECONDS = 1.0
KEPT_BYTES = 512 << 20  # a process that has taken more is replaced


def import_verifier(path: Any) -> Any:
    """Return the verifier at an ImportPath, importing its module if necessary."""
    module = sys.modules.get(path.module)
    if module is None:
        try:
            module = importlib.import_module(path.module)
        except ModuleNotFoundError:
            spec = importlib.util.spec_from_file_location(path.module, path.file)
            module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
            sys.modules[path.module] = module
            spec.loader.exec_module(module)  # type: ignore[union-attr]
    target: Any = module
    for part in path.name.split("."):
        target = getattr(target, part)
    return target


def handle(kind: str, content: Any) -> tuple[str, Any]:
    """Load a verifier or score a sample; return ("value", value) or ("error", message)."""
    try:
        if kind == "load":
            setup = import_verifier(content).setup
            if setup:
                setup()
            return "value", None
        verifier = import_verifier(content.verifier)
        return "value", verifier.function(*content.arguments, **content.options)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the plugin's own error is the reply
        return "error", f"{type(error).__name__}: {error}"


def serve(connection: Any) -> None:
    """Reply to messages until the connection closes.

    Also until a sample has taken much memory or left a thread, which the next one would pay for.
    """
    own, memory, threads = set[int](), peak_memory(), threading.active_count()
    while True:
        try:
            kind, content, seconds = connection.recv()
        except (EOFError, ConnectionError):
            end_children(set())
            return
        if kind == "fork":
            connection.send(fork(connection))
            continue
        pid = os.getpid()
        with killed_after(seconds + ORPHAN_SECONDS):
            reply = handle(kind, content)
        if os.getpid() != pid:  # a child that the verifier forked, and that came back from it
            os._exit(1)
        if kind == "load":
            own, threads = children(os.getpid(), process_table()), threading.active_count()
        else:
            end_children(own)
        connection.send(reply)
        if reply[0] == "error" and reply[1].startswith("MemoryError"):
            return
        is_larger = peak_memory() - memory > KEPT_BYTES
        if kind == "score" and (is_larger or threading.active_count() > threads):
            return


def end_children(own: set[int]) -> None:
    """Kill all children but `own`, those of a verifier's `setup`, with what they have started."""
    ends = time.monotonic() + END_SECONDS
    while has_children() and time.monotonic() < ends:
        left = children(os.getpid(), process_table()) - own
        if not left:
            return
        for pid in left:
            kill_tree(pid)


def has_children() -> bool:
    """Reap the children that have ended; return True if there are others."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
        return True
    return False


def peak_memory() -> int:
    """Return the most bytes that this process has held."""
    unit = 1024 if sys.platform == "linux" else 1
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def fork(connection: Any) -> int:
    """Fork a process that serves the connection received over this one; return its pid."""
    received = recv_handle(connection)
    pid = os.fork()
    if pid == 0:
        connection.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()  # a group of its own, which is killed as one
        adopt_orphans()
        try:
            serve(connection_of(received))
        finally:
            os._exit(0)
    os.close(received)
    return pid


@contextmanager
def killed_after(seconds: float) -> Iterator[None]:
    """Let the kernel kill this process if the block takes longer, even if Python is stuck.

    The parent kills at the deadline; this covers a parent that has died.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def main() -> None:
    """Serve the connection whose file descriptor is the first argument."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # forked processes leave no zombies
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    adopt_orphans()
    os.dup2(2, 1)  # verifiers may print; stdout belongs to the run
    serve(connection_of(int(sys.argv[1])))


if __name__ == "__main__":
    main()
