"""The fields of TRL's configs with their types, read from the source and not imported.

TRL's configs check nothing themselves (a wrong type is accepted), cannot be constructed on a login
node, and take eight seconds to import. A field whose source names its values, by an enum of
transformers or by `choices`, has a Literal of them as its type.
"""

import ast
import functools
import importlib.util
import re
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from r1trl.errors import ConfigError
from r1trl.plugins.offer import resolve_type

TYPING = {"Any": Any, "Literal": typing.Literal}  # what annotations may name
ENUM_FILES = ("training_args.py", "trainer_utils.py", "debug_utils.py")


@functools.cache
def fields(config: str) -> dict[str, Any]:
    """Return the fields of a TRL config class and their types, read from source, bases first.

    Nothing is imported. A type that cannot be resolved from the source is Any. Raises ConfigError
    if neither TRL nor its experimental part has the class.
    """
    for file in _candidates(config):
        for node in _tree(file).body:
            if isinstance(node, ast.ClassDef) and node.name == config:
                bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
                inherited = {n: t for b in bases for n, t in fields(b).items()}
                return inherited | _own_fields(node)
    raise ConfigError([f"TRL has no config class '{config}'; a kind's trl_config names one"])


@functools.cache
def defaults(config: str) -> dict[str, Any]:
    """Return the defaults of a TRL config's fields that its source writes as plain values."""
    for file in _candidates(config):
        for node in _tree(file).body:
            if isinstance(node, ast.ClassDef) and node.name == config:
                bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
                inherited = {n: v for b in bases for n, v in defaults(b).items()}
                return inherited | dict(_own_defaults(node))
    return {}


def _own_defaults(node: ast.ClassDef) -> Iterator[tuple[str, Any]]:
    for item in node.body:
        if not (isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)):
            continue
        value = item.value
        if isinstance(value, ast.Call):  # field(default=…)
            named = [k.value for k in value.keywords if k.arg == "default"]
            value = named[0] if named else None
        negative = isinstance(value, ast.UnaryOp) and isinstance(value.operand, ast.Constant)
        if value is not None and (negative or isinstance(value, ast.Constant)):
            yield item.target.id, ast.literal_eval(value)


def source_files(package: str, pattern: str) -> list[Path]:
    """Return the source files of an installed package that a glob pattern names; none if absent."""
    spec = importlib.util.find_spec(package)
    folders = (spec.submodule_search_locations if spec else None) or ()
    return [file for folder in folders for file in sorted(Path(folder).glob(pattern))]


def _candidates(config: str) -> Iterator[Path]:
    """Yield the files that may define a config class: transformers', TRL's, experimental ones."""
    module = re.sub(r"(?<!^)(?=[A-Z][a-z])", "_", config.lstrip("_")).lower()
    yield from source_files("transformers", "training_args.py")
    yield from source_files("trl", f"trainer/{module}.py")
    yield from source_files("trl", f"experimental/*/{module}.py")


@functools.cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


@functools.cache
def _enums() -> Mapping[str, tuple[str, ...]]:
    """Return the values of transformers' enums that its training arguments name."""
    return {
        node.name: tuple(
            str(item.value.value)
            for item in node.body
            if isinstance(item, ast.Assign) and isinstance(item.value, ast.Constant)
        )
        for name in ENUM_FILES
        for file in source_files("transformers", name)
        for node in _tree(file).body
        if isinstance(node, ast.ClassDef)
        and any(isinstance(base, ast.Name) and base.id == "ExplicitEnum" for base in node.bases)
    }


def _own_fields(node: ast.ClassDef) -> dict[str, Any]:
    """Return the annotated names of a class and their types."""
    return {
        item.target.id: _type(item)
        for item in node.body
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
    }


def _type(item: ast.AnnAssign) -> Any:
    """Return the type of a field; a Literal if its source names the values."""
    annotation = _annotation(item.annotation)
    named = re.findall(r"\w+", annotation)
    values = next((v for name, v in _enums().items() if name in named), ()) or _choices(item)
    if not values:
        return resolve_type(annotation, TYPING)
    literal: Any = typing.Literal[tuple(values)]
    if re.search(r"\blist\[", annotation):
        return str | list[literal] if "str" in named else list[literal]
    return literal | None if "None" in named else literal


def _choices(item: ast.AnnAssign) -> tuple[Any, ...]:
    """Return the `choices` in a field's metadata; empty if there are none, or no literal ones."""
    if item.value is None:
        return ()
    for node in ast.walk(item.value):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                named = isinstance(key, ast.Constant) and key.value == "choices"
                if named and isinstance(value, ast.List):
                    return tuple(ast.literal_eval(value))
    return ()


def _annotation(annotation: ast.expr) -> str:
    """Return an annotation as source text, without quotes around the whole of it."""
    return str(
        annotation.value if isinstance(annotation, ast.Constant) else ast.unparse(annotation)
    )


@functools.cache
def attention_implementations() -> tuple[str, ...]:
    """Return the names of the attentions that transformers has, read from its source."""
    names = {"eager"}
    for file in source_files("transformers", "modeling_utils.py"):
        for node in ast.walk(_tree(file)):
            if isinstance(node, ast.ClassDef) and node.name == "AttentionInterface":
                keys = [k for d in ast.walk(node) if isinstance(d, ast.Dict) for k in d.keys]
                names |= {str(k.value) for k in keys if isinstance(k, ast.Constant)}
    return tuple(sorted(names))
