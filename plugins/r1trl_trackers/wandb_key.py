"""Where the key of Weights & Biases is, which is never printed."""

import netrc
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

HOST = "https://api.wandb.ai"
VARIABLES = ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")


def missing_key(*, mode: str = "online", **_: Any) -> str | None:
    """Return what to do if a run that is logged online would have no key here; else None."""
    host = urlsplit(os.environ.get("WANDB_BASE_URL", HOST)).netloc
    if mode != "online" or any(os.environ.get(name) for name in VARIABLES) or _in_netrc(host):
        return None
    return (
        f"no key for {host} is here: wandb login, set WANDB_API_KEY, or choose mode=offline, which "
        "needs none"
    )


def _in_netrc(host: str) -> bool:
    given = os.environ.get("NETRC")
    for place in [Path(given)] if given else [Path.home() / n for n in (".netrc", "_netrc")]:
        try:
            if netrc.netrc(place).authenticators(host):
                return True
        except (OSError, netrc.NetrcParseError):
            continue
    return False
