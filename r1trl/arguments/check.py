"""A stage's `args` checked against a TRL config: names, types, values, and what goes together."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from r1trl.arguments.set_by_r1trl import SET_BY_R1TRL
from r1trl.arguments.shared import SHARED_FIELDS
from r1trl.arguments.source import fields
from r1trl.arguments.together import problems_together
from r1trl.arguments.training import TRAINING_FIELDS
from r1trl.errors import suggest
from r1trl.fields import Field
from r1trl.plugins.values import convert

FIELDS: Mapping[str, Field] = {**TRAINING_FIELDS, **SHARED_FIELDS, **SET_BY_R1TRL}
GET_VLLM = "pip install 'r1trl[vllm]' -c constraints-vllm.txt"
Table = Mapping[str, Field]


def check_args(
    config: str, args: Mapping[str, Any], key: str, own: Table | None = None
) -> list[str]:
    """Check arguments against a TRL config class, given by its name; return the problems.

    `key` is the config key that the arguments stand under; `own` is the table of the stage's kind,
    which goes before that of all kinds.
    """
    known, problems = fields(config), []
    table = {**FIELDS, **(own or {})}
    for name, value in args.items():
        if name not in known:
            problems.append(f"{key}: {config} has no '{name}'{suggest(name, known)}")
        else:
            problem = _problem(value, known[name], table.get(name, Field()))
            problems += [f"{key}.{name}: {problem}"] if problem else []
    together = problems_together(possible_args(config, args, own))
    return problems + [f"{key}.{name}: {problem}" for name, problem in together]


def possible_args(config: str, args: Mapping[str, Any], own: Table | None = None) -> dict[str, Any]:
    """Return the arguments that are possible, each by itself, converted as `args_of` does."""
    known, table = fields(config), {**FIELDS, **(own or {})}
    possible = {
        name: value
        for name, value in args.items()
        if name in known and not _problem(value, known[name], table.get(name, Field()))
    }
    return args_of(config, possible, own)


def args_of(config: str, args: Mapping[str, Any], own: Table | None = None) -> dict[str, Any]:
    """Return the arguments converted to the types of the TRL config ('1e-6' to 1e-06).

    `own` is the table of the stage's kind. Raises ValueError if one cannot be converted.
    """
    known, table = fields(config), {**FIELDS, **(own or {})}
    return {n: _converted(v, known[n], table.get(n, Field())) for n, v in args.items()}


def _problem(value: Any, type_: Any, field: Field) -> str | None:
    """Return why a value is not possible: refused, no choice, of another type, or out of range."""
    if field.verdict == "refused" or field.choices:
        problem = field.problem(value)
        if problem:
            return problem
    try:
        return field.problem(_converted(value, type_, field))
    except ValueError as error:
        return str(error)


def _converted(value: Any, type_: Any, field: Field) -> Any:
    """Return a value as the type; one that means something as it is is left so."""
    return value if field.takes_as_it_is(value) else convert(value, type_)


def missing_packages(args: Mapping[str, Any]) -> list[str]:
    """Return what a stage's arguments need and this machine does not have, each with its key."""
    if args.get("use_vllm") and find_spec("vllm") is None:
        return [
            f"args.use_vllm: vLLM is not installed here; {GET_VLLM}, or set generation.vllm=false"
        ]
    return []
