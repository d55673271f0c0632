"""A stage's `args` checked against a TRL config: names, types, values."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from r1trl.arguments.source import fields
from r1trl.arguments.training import SET_BY_R1TRL, TRAINING_FIELDS
from r1trl.config.values import convert
from r1trl.errors import suggest
from r1trl.fields import Field


def check_args(
    config: str, args: Mapping[str, Any], key: str, own: Mapping[str, Field] | None = None
) -> list[str]:
    """Check arguments against a TRL config class, given by its name; return the problems.

    `key` is the config key that the arguments stand under; `own` is the table of the stage's kind,
    which goes before that of all kinds.
    """
    known, problems = fields(config), []
    table = {**TRAINING_FIELDS, **(own or {})}
    for name, value in args.items():
        if name in SET_BY_R1TRL:
            problems.append(f"{key}: r1trl sets '{name}' itself")
        elif name not in known:
            problems.append(f"{key}: {config} has no '{name}'{suggest(name, known)}")
        else:
            problem = _problem(value, known[name], table.get(name, Field()))
            problems += [f"{key}.{name}: {problem}"] if problem else []
    return problems


def _problem(value: Any, type_: Any, field: Field) -> str | None:
    """Return why a value is not possible: refused, of another type, or out of range."""
    if field.verdict == "refused":
        return field.reason
    try:
        return field.problem(convert(value, type_))
    except ValueError as error:
        return str(error)


def missing_packages(args: Mapping[str, Any]) -> list[str]:
    """Return what a stage's arguments need and this machine does not have, each with its key."""
    if args.get("use_vllm") and find_spec("vllm") is None:
        return ["args.use_vllm: vLLM is not installed here; pip install vllm"]
    return []


def args_of(config: str, args: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments converted to the types of the TRL config ('1e-6' to 1e-06)."""
    known = fields(config)
    return {name: convert(value, known[name]) for name, value in args.items()}
