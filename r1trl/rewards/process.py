"""The scoring process: forks copies of itself that have imported the verifiers; they score."""

import importlib
import importlib.util
import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.reduction import recv_handle
from typing import Any

from r1trl.rewards.fork_server import connection_of

MEMORY_BYTES = 4 << 30
ORPHAN_SECONDS = 1.0


def find(reference: Any) -> Any:
    """Import the verifier that a reference names."""
    module = sys.modules.get(reference.module)
    if module is None:
        try:
            module = importlib.import_module(reference.module)
        except ModuleNotFoundError:
            spec = importlib.util.spec_from_file_location(reference.module, reference.file)
            module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
            sys.modules[reference.module] = module
            spec.loader.exec_module(module)  # type: ignore[union-attr]
    found: Any = module
    for part in reference.name.split("."):
        found = getattr(found, part)
    return found


def answer(kind: str, content: Any) -> tuple[str, Any]:
    """Carry out one message: import a verifier, or score a sample; what it raises is told."""
    try:
        if kind == "prepare":
            prepare = find(content).prepare
            if prepare:
                prepare()
            return "value", None
        return "value", find(content.verifier).function(*content.arguments, **content.options)
    except Exception as error:  # noqa: BLE001 - the plugin's own error is the answer
        return "error", f"{type(error).__name__}: {error}"


def serve(connection: Any) -> None:
    """Answer messages until the other side has gone, or one has taken all the memory there is."""
    while True:
        try:
            kind, content, seconds = connection.recv()
        except (EOFError, ConnectionError):
            return
        if kind == "fork":
            connection.send(fork(connection))
            continue
        with dying_after(seconds + ORPHAN_SECONDS):
            found = answer(kind, content)
        connection.send(found)
        if found[0] == "error" and found[1].startswith("MemoryError"):
            return


def fork(connection: Any) -> int:
    """Fork a process that serves the connection that follows on this one; return its pid."""
    handle = recv_handle(connection)
    pid = os.fork()
    if pid == 0:
        connection.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        try:
            serve(connection_of(handle))
        finally:
            os._exit(0)
    os.close(handle)
    return pid


@contextmanager
def dying_after(seconds: float) -> Iterator[None]:
    """Have the kernel kill this process after so long, which it does where Python is stuck too.

    The parent kills at the deadline; this is for when the parent has gone.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def main() -> None:
    """Serve the connection whose file descriptor is the argument."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # what was forked leaves nothing behind
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    os.dup2(2, 1)  # what verifiers print is no output of ours
    serve(connection_of(int(sys.argv[1])))


if __name__ == "__main__":
    main()
