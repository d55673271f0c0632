"""The versions of the packages that a result depends on; recorded and told, no part of identity."""

import platform
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol

PACKAGES = ("r1trl", "trl", "transformers", "torch", "accelerate", "datasets")
FURTHER = ("vllm",)  # told by `r1trl --version` if they are there


class HasVersions(Protocol):
    """What records versions: a stage, or its result."""

    @property
    def versions(self) -> Mapping[str, str]:
        """Return versions by package."""
        ...


def versions() -> dict[str, str]:
    """Return the versions of this machine, which may lack some packages if it only plans."""
    return {"python": platform.python_version(), **_of_packages(PACKAGES)}


def installed_versions() -> dict[str, str]:
    """Return the versions for a person, r1trl's first, Python's last."""
    return {**_of_packages((*PACKAGES, *FURTHER)), "python": platform.python_version()}


def _of_packages(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of those packages that are installed; nothing is imported."""
    found = {}
    for name in names:
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
