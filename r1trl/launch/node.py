"""A node's part of a stage: `python -m r1trl.launch.node MODULE FOLDER [NODES ADDRESS:PORT]`.

It becomes accelerate's launcher, which starts the node's ranks, the module with the folder. Of
several nodes each has a log of its own, `log.node<k>.txt`, and all are given the address of the
first, where rank 0 is.
"""

import errno
import os
import signal
import socket
import sys
from pathlib import Path

from r1trl.process.terminal import say
from r1trl.stage.logs import log_of
from r1trl.stage.ranks import own_node
from r1trl.watch.processes import end_with_parent

CONFIG = "accelerate.yaml"
WORKER = "r1trl.run.worker"
PORT_TAKEN = "r1trl: the port is taken"  # said at once; torch would say it when all have waited


def main() -> int:
    """Start the ranks of this node, and return the exit status."""
    module, folder, meet = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
    sys.argv = ["accelerate", f"--config_file={folder / CONFIG}"]
    if meet:
        end_with_parent()  # a task that lost its engine would go on for ever
        nodes, (host, _, port) = int(meet[0]), meet[1].rpartition(":")
        node = own_node(nodes)
        if node == 0 and _is_taken(int(port)):
            say(f"{PORT_TAKEN}: {port}")
            return 1
        _log_to(log_of(folder, node, nodes))
        sys.argv += [f"--machine_rank={node}", f"--main_process_ip={host}"]
        sys.argv += [f"--main_process_port={port}"]
    sys.argv += ["--module", module, str(folder)]
    # SIGUSR1 to all processes of a job is for the driver; torch's launcher would die of it, and
    # passes the other signals that mean to leave on.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    from accelerate.commands.launch import main as launch

    launch()
    return 0


def _log_to(path: Path) -> None:
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(log, 1)
    os.dup2(log, 2)


def _is_taken(port: int) -> bool:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("", port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


if __name__ == "__main__":
    sys.exit(main())
