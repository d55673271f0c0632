"""The versions of the packages that a result depends on; recorded and told, no part of identity."""

import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Protocol

PACKAGES = ("r1trl", "trl", "transformers", "torch", "accelerate", "datasets")


class HasVersions(Protocol):
    """What records versions: a stage, or its result."""

    @property
    def versions(self) -> Mapping[str, str]:
        """Return versions by package."""
        ...


def versions() -> dict[str, str]:
    """Return the versions that this process has."""
    return {name: version(name) for name in PACKAGES} | {"python": platform.python_version()}


def changed_versions(then: HasVersions, now: Mapping[str, str]) -> str:
    """Return which versions differ from those recorded, in words; empty if none does."""
    recorded = then.versions
    return ", ".join(
        f"{name} {now[name]} after {recorded[name]}"
        for name in now
        if recorded.get(name, now[name]) != now[name]
    )
