"""Checking values against types before anything starts: a plugin's options, TRL's arguments.

TRL's configs check nothing themselves (a wrong type is accepted), cannot be constructed on a login
node, and take eight seconds to import: their fields are read from the source instead.
"""

import ast
import functools
import importlib.util
import inspect
import re
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from r1trl.config.values import convert
from r1trl.errors import ConfigError, suggest
from r1trl.plugins.offer import Offer, resolve_type
from r1trl.types import Benchmarks

TYPING = {"Any": Any, "Literal": typing.Literal}  # what annotations may name
SET_BY_R1TRL = (
    "output_dir",
    "logging_dir",
    "report_to",
    "run_name",
    "resume_from_checkpoint",
    "reward_weights",
    "generation_batch_size",
    "steps_per_generation",
    "gradient_accumulation_steps",
    "shuffle_dataset",
    "model_init_kwargs",
    "seed",
    "data_seed",
    "remove_unused_columns",
)


def check_options(offer: Offer, options: Mapping[str, Any], key: str) -> list[str]:
    """Check options against the offer's keyword-only parameters; return the problems.

    `key` is the config key that the options stand under.
    """
    known, problems = offer.option_types(), []
    label = f"{offer.role} '{offer.name}'"
    for name, value in options.items():
        if name not in known:
            there = ", ".join(known) or "none"
            hint = suggest(name, known)
            problems.append(f"{key}: {label} has no option '{name}'{hint}; its options: {there}")
            continue
        try:
            # Of benchmarks a config has the names.
            convert(
                value,
                list[str] | None if name in offer.options_of_type(Benchmarks) else known[name],
            )
        except ValueError as error:
            problems.append(f"{key}.{name}: {error}")
    for name, parameter in offer.options.items():
        if parameter.default is inspect.Parameter.empty and name not in options:
            problems.append(f"{key}: {label} needs the option '{name}'")
    return problems


def check_args(config: str, args: Mapping[str, Any], key: str) -> list[str]:
    """Check arguments against a TRL config class, given by its name; return the problems.

    `key` is the config key that the arguments stand under.
    """
    known, problems = fields(config), []
    for name, value in args.items():
        if name in SET_BY_R1TRL:
            problems.append(f"{key}: r1trl sets '{name}' itself")
        elif name not in known:
            problems.append(f"{key}: {config} has no '{name}'{suggest(name, known)}")
        else:
            try:
                convert(value, known[name])
            except ValueError as error:
                problems.append(f"{key}.{name}: {error}")
    return problems


def args_of(config: str, args: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments converted to the types of the TRL config ('1e-6' to 1e-06)."""
    known = fields(config)
    return {name: convert(value, known[name]) for name, value in args.items()}


@functools.cache
def fields(config: str) -> dict[str, Any]:
    """Return the fields of a TRL config class and their types, read from source, bases first.

    Nothing is imported. A type that cannot be resolved from the source is Any. Raises ConfigError
    if neither TRL nor its experimental part has the class.
    """
    for file in _candidates(config):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and node.name == config:
                bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
                inherited = {n: t for b in bases for n, t in fields(b).items()}
                return inherited | _own_fields(node)
    raise ConfigError([f"TRL has no config class '{config}'; a kind's trl_config names one"])


def _candidates(config: str) -> Iterator[Path]:
    """Yield the files that may define a config class: transformers', TRL's, experimental ones."""
    module = re.sub(r"(?<!^)(?=[A-Z][a-z])", "_", config.lstrip("_")).lower()
    for package, pattern in (
        ("transformers", "training_args.py"),
        ("trl", f"trainer/{module}.py"),
        ("trl", f"experimental/*/{module}.py"),
    ):
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations if spec else None) or ():
            yield from sorted(Path(folder).glob(pattern))


def _own_fields(node: ast.ClassDef) -> dict[str, Any]:
    """Return the annotated names of a class and their types."""
    return {
        item.target.id: resolve_type(_annotation(item.annotation), TYPING)
        for item in node.body
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
    }


def _annotation(annotation: ast.expr) -> str:
    """Return an annotation as source text, without quotes around the whole of it."""
    return str(
        annotation.value if isinstance(annotation, ast.Constant) else ast.unparse(annotation)
    )
