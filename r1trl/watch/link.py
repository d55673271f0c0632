"""Whether a rank still reaches the host of rank 0, where all ranks meet.

A collective over a cable that somebody has pulled fails after its time-out only, and what ranks
write to a disk may still arrive.
"""

import os
import socket
import time
from contextlib import suppress

ADDRESS, PORT = "MASTER_ADDR", "MASTER_PORT"  # of torch's store, which answers while a stage runs
TRY_SECONDS = 2.0


class Link:
    """Tries the way to rank 0's host, unless this is it; `seconds` without an answer break it."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.answered: float | None = None
        ranks = (os.environ.get(name, "1") for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
        far = len(set(ranks)) > 1 and os.environ.get("GROUP_RANK", "0") != "0"
        self.where = (os.environ[ADDRESS], int(os.environ[PORT])) if far else None

    def problem(self) -> str | None:
        """Try once, if there is a way; return what is wrong if it is broken for too long."""
        if self.where is None:
            return None
        now = time.monotonic()
        with suppress(OSError):
            socket.create_connection(self.where, timeout=TRY_SECONDS).close()
            self.answered = now
        if self.answered is None or now - self.answered <= self.seconds:
            return None
        host, port = self.where
        silent = now - self.answered
        return (
            f"{socket.gethostname()} has not reached {host} at port {port}, where all ranks meet, "
            f"for {silent:.0f} s: the network between them, or that host, is down"
        )
