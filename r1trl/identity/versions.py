"""The versions of the packages that a result depends on; recorded and told, no part of identity."""

import platform
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol

PACKAGES = ("r1trl", "trl", "transformers", "torch", "accelerate", "datasets")


class HasVersions(Protocol):
    """What records versions: a stage, or its result."""

    @property
    def versions(self) -> Mapping[str, str]:
        """Return versions by package."""
        ...


def versions() -> dict[str, str]:
    """Return the versions of this machine, which may lack some packages if it only plans."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def changed_versions(then: HasVersions, now: Mapping[str, str]) -> str:
    """Return which versions differ from those recorded, in words; empty if none does."""
    recorded = then.versions
    return ", ".join(
        f"{name} {now[name]} after {recorded[name]}"
        for name in now
        if recorded.get(name, now[name]) != now[name]
    )
