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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from r1trl.config.values import convert
from r1trl.errors import suggest
from r1trl.plugins.offer import Offer
from r1trl.types import Benchmarks

CONFIG_OF = {
    "sft": "SFTConfig",
    "grpo": "GRPOConfig",
    "rloo": "RLOOConfig",
    "reward_model": "RewardConfig",
}
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


def check_options(offer: Offer, options: Mapping[str, Any], where: str) -> list[str]:
    """Check options against the offer's keyword-only parameters; return the problems."""
    known, problems = offer.option_types(), []
    label = f"{offer.kind} '{offer.name}'"
    for name, value in options.items():
        if name not in known:
            there = ", ".join(known) or "none"
            hint = suggest(name, known)
            problems.append(f"{where}: {label} has no option '{name}'{hint}; its options: {there}")
            continue
        try:
            # Of benchmarks a config has the names.
            convert(
                value, list[str] | None if name in offer.options_of(Benchmarks) else known[name]
            )
        except ValueError as error:
            problems.append(f"{where}.{name}: {error}")
    for name, parameter in offer.options.items():
        if parameter.default is inspect.Parameter.empty and name not in options:
            problems.append(f"{where}: {label} needs the option '{name}'")
    return problems


def check_args(config: str, args: Mapping[str, Any], where: str) -> list[str]:
    """Check arguments against a TRL config class, given by its name; return the problems."""
    known, problems = fields(config), []
    for name, value in args.items():
        if name in SET_BY_R1TRL:
            problems.append(f"{where}: r1trl sets '{name}' itself")
        elif name not in known:
            problems.append(f"{where}: {config} has no '{name}'{suggest(name, known)}")
        else:
            try:
                convert(value, known[name])
            except ValueError as error:
                problems.append(f"{where}.{name}: {error}")
    return problems


def args_of(config: str, args: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments converted to the types of the TRL config ('1e-6' to 1e-06)."""
    known = fields(config)
    return {name: convert(value, known[name]) for name, value in args.items()}


@functools.cache
def fields(config: str) -> dict[str, Any]:
    """Read the fields of a TRL config class and their types from its source, importing nothing.

    A type that this module cannot read is Any.
    """
    module = re.sub(r"(?<!^)(?=[A-Z][a-z])", "_", config).lower()
    found: dict[str, Any] = {}
    for package, file, name in (
        ("transformers", "training_args.py", "TrainingArguments"),
        ("trl", "trainer/base_config.py", "_BaseConfig"),
        ("trl", f"trainer/{module}.py", config),
    ):
        folder = importlib.util.find_spec(package).submodule_search_locations[0]  # type: ignore
        tree = ast.parse((Path(folder) / file).read_text(encoding="utf-8"))
        class_ = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name)
        for node in class_.body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found[node.target.id] = _read_type(node.annotation)
    return found


def _read_type(annotation: ast.expr) -> Any:
    text = annotation.value if isinstance(annotation, ast.Constant) else ast.unparse(annotation)
    try:
        return eval(str(text), {"Any": Any, "Literal": typing.Literal})  # noqa: S307 - TRL's source
    except (NameError, TypeError, AttributeError, SyntaxError):
        return Any
