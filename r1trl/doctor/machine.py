"""What a node has: `python -m r1trl.doctor.machine NODES ASKED` looks, and prints marked lines.

`ASKED` is JSON, with references in place of secrets.
"""

import json
import signal
import socket
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from r1trl.doctor.asked import Asked, Chosen
from r1trl.doctor.finding import Finding
from r1trl.doctor.hardware import disk_findings, gpu_findings
from r1trl.doctor.needs import need_findings
from r1trl.doctor.packages import package_findings
from r1trl.doctor.services import hub_findings
from r1trl.launch.probe import MARK
from r1trl.process.environment import masked, resolved
from r1trl.process.terminal import say
from r1trl.stage.ranks import own_node

SECONDS = 120  # it ends itself then, whatever hangs
END = "end"


def findings(asked: Asked, number: int) -> Iterator[Finding]:
    """Yield what this node has for what is asked."""
    yield from package_findings()
    yield from gpu_findings(asked.processes, one_process=asked.local)
    yield from disk_findings(Path(asked.runs_dir))
    yield from need_findings(asked, number)
    yield from hub_findings()


def written(asked: Asked) -> str:
    """Return what is asked as JSON, for `read`."""
    return json.dumps(masked(asdict(asked)))


def read(text: str) -> Asked:
    """Return what is asked, from JSON."""
    values: dict[str, Any] = resolved(json.loads(text))
    chosen = {name: [Chosen(**each) for each in values[name]] for name in ("chosen", "trackers")}
    return Asked(**{**values, **chosen})


def main() -> int:
    """Print what this node has."""
    signal.alarm(SECONDS)
    nodes, asked = int(sys.argv[1]), read(sys.argv[2])
    number, host = own_node(nodes), socket.gethostname()
    for finding in (*findings(asked, number), Finding("ok", END, "")):
        say(f"{MARK}{json.dumps([host, *finding])}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
