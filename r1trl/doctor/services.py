"""What is outside: the Hub and Weights & Biases, and the keys to them, which are never printed."""

import netrc
import os
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from r1trl.doctor.finding import Finding

HUB_SECONDS = 5.0
WANDB = "https://api.wandb.ai"


def hub_findings() -> Iterator[Finding]:
    """Yield whether the Hub answers, and takes the token if there is one."""
    from huggingface_hub import constants, get_token

    token, place = get_token(), constants.ENDPOINT
    has = "a token is there" if token else "no token: public models and data sets only"
    if constants.HF_HUB_OFFLINE:
        yield Finding("note", "hub", "HF_HUB_OFFLINE is set: only what is in its cache is used")
        return
    began, answer = time.monotonic(), _answer(f"{place}/api/whoami-v2", token)
    if isinstance(answer, str):
        text = f"{place} does not answer ({answer}): what is not in the cache is not to be had"
        yield Finding("note", "hub", f"{text}; {has}")
    elif token and answer in (401, 403):
        text = f"HF_TOKEN: {place} refuses the token ({answer}); hf auth login, or unset it"
        yield Finding("wrong", "hub", text)
    else:
        seconds = time.monotonic() - began
        yield Finding("ok", "hub", f"{place} answers in {seconds:.1f} s; {has}")


def _answer(url: str, token: str | None) -> int | str:
    """Return the status of an answer, or why there is none; a name may resolve for minutes."""
    import httpx

    answers: list[int | str] = []

    def ask() -> None:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        try:
            answers.append(httpx.get(url, headers=headers, timeout=HUB_SECONDS).status_code)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            answers.append(f"{type(error).__name__}: {error}".partition("\n")[0])

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(HUB_SECONDS)
    return answers[0] if answers else f"nothing within {HUB_SECONDS:.0f} s"


def wandb_findings(
    *, needed: bool, environment: Mapping[str, str] = os.environ
) -> Iterator[Finding]:
    """Yield whether Weights & Biases has a key on this node, where rank 0 is."""
    host = urlsplit(environment.get("WANDB_BASE_URL", WANDB)).netloc
    if where := _key(host, environment):
        yield Finding("ok", "wandb", f"a key for {host} is in {where}")
    elif needed:
        text = f"wandb.enabled: no key for {host} is here; wandb login, or set wandb.mode=offline"
        yield Finding("wrong", "wandb", text)
    else:
        text = (
            f"no key for {host}: wandb.enabled=true needs one (wandb login), or wandb.mode=offline"
        )
        yield Finding("note", "wandb", text)


def _key(host: str, environment: Mapping[str, Any]) -> str | None:
    """Return where the key is, in words that do not have it."""
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE"):
        if environment.get(name):
            return name
    given = environment.get("NETRC")
    places = [Path(given)] if given else [Path.home() / name for name in (".netrc", "_netrc")]
    for place in places:
        try:
            if netrc.netrc(place).authenticators(host):
                return str(place)
        except (OSError, netrc.NetrcParseError):
            continue
    return None
