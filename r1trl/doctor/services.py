"""What is outside: the Hub, and the token for it, which is never printed."""

import threading
import time
from collections.abc import Iterator

from r1trl.doctor.finding import Finding

HUB_SECONDS = 5.0


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
