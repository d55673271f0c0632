"""The machine that a benchmark ran on: cores, versions, the time, and its load before."""

import datetime
import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from r1trl.rewards.pool import cores


def machine(packages: Sequence[str]) -> dict[str, Any]:
    """Describe the machine and the versions of some packages."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cores": cores(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
        "versions": {name: version(name) for name in packages},
    }
