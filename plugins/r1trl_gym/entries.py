"""Lossless JSON for entries of Reasoning Gym.

Some of its scorers compare tuples, and some look up numbers in a mapping. JSON has neither: a tuple
becomes {"__tuple__": [...]} and a mapping with keys that are no strings {"__items__": [[key,
value]]}.
"""

import json
from importlib.util import find_spec
from types import ModuleType
from typing import Any

MISSING = "the package reasoning-gym is not installed: pip install 'r1trl[gym]'"


def missing_requirements(**options: Any) -> str | None:
    """Return the command that installs reasoning-gym if it is missing, else None."""
    return MISSING if find_spec("reasoning_gym") is None else None


def library() -> ModuleType:
    """Import and return reasoning_gym; raise ImportError with the command that installs it."""
    try:
        import reasoning_gym
    except ImportError as error:
        raise ImportError(MISSING) from error
    return reasoning_gym


def dumps(entry: dict[str, Any]) -> str:
    """Return an entry as JSON."""
    return json.dumps(tag(entry), ensure_ascii=False)


def loads(text: str) -> dict[str, Any]:
    """Return the entry of a JSON text by `dumps`, or of any other JSON object."""
    entry: dict[str, Any] = json.loads(text, object_hook=untag)
    return entry


def tag(value: Any) -> Any:
    """Return a value with its tuples and mappings replaced as above."""
    if isinstance(value, tuple):
        return {"__tuple__": [tag(item) for item in value]}
    if isinstance(value, list):
        return [tag(item) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: tag(item) for key, item in value.items()}
    if isinstance(value, dict):
        return {"__items__": [[tag(key), tag(item)] for key, item in value.items()]}
    return value


def untag(value: dict[str, Any]) -> Any:
    """Return one JSON object with the replacement of `tag` undone."""
    if value.keys() == {"__tuple__"}:
        return tuple(value["__tuple__"])
    if value.keys() == {"__items__"}:
        return dict(value["__items__"])
    return value
