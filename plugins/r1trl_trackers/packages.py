"""What a tracker's package needs."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any


def package(name: str) -> Callable[..., str | None]:
    """Return a `missing_requirements` that asks for an optional package, by its extra's name."""

    def missing(**_: Any) -> str | None:
        if find_spec(name) is not None:
            return None
        return f"needs the package {name}, which is not installed: pip install 'r1trl[{name}]'"

    return missing
