"""Addresses of this host, and whether another one's can be reached."""

import socket
from collections.abc import Iterator
from contextlib import suppress

import psutil

TRY_SECONDS = 4.0


def addresses() -> Iterator[str]:
    """Yield this host's addresses by which others may reach it, the likeliest first."""
    found = []
    with suppress(OSError):
        found += [str(info[4][0]) for info in socket.getaddrinfo(socket.gethostname(), None)]
    for each in psutil.net_if_addrs().values():
        found += [one.address for one in each if one.family in (socket.AF_INET, socket.AF_INET6)]
    wide = [a for a in dict.fromkeys(found) if not a.startswith(("127.", "::1", "fe80:"))]
    yield from wide


def reaches(address: str, port: int) -> bool:
    """Return True if somebody listens at an address."""
    with suppress(OSError), socket.create_connection((address, port), timeout=TRY_SECONDS):
        return True
    return False


def free_port() -> int:
    """Return a port that nobody listens at now."""
    with socket.socket() as listener:
        listener.bind(("", 0))
        return int(listener.getsockname()[1])
