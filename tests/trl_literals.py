"""The texts that TRL's source compares a config's fields with, read and not imported."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

from r1trl.arguments.source import fields, source_files

Comparison = tuple[set[str], set[str]]  # names, and the texts that they are compared with


def compared_literals(config: str) -> dict[str, set[str]]:
    """Return for the fields of a TRL config the texts that its trainer compares them with.

    Read are the modules of the config and the trainer, and those that generate. A field may have
    other names there: `self.mode` is what a constructor got as `mode=args.vllm_mode`.
    """
    module = re.sub(r"(?<!^)(?=[A-Z][a-z])", "_", config.removesuffix("Config")).lower()
    own = source_files("trl", f"trainer/{module}_*.py")
    assert len(own) == 2, f"the config and the trainer of {config} have moved"
    others = source_files("trl", "generation/*.py")
    found = {}
    for field in fields(config):
        aliases = {field} | {name for file in own for name in _assigned(_nodes(file), field)}
        passed = {name for file in own for name in _passed(_nodes(file), field)}
        found[field] = {
            text
            for files, names in ((own, aliases), (others, passed))
            for file in files
            for subjects, texts in _comparisons(file)
            if names & subjects
            for text in texts
        }
    return {field: texts for field, texts in found.items() if texts}


@functools.cache
def _nodes(file: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))


def _name(node: ast.AST) -> str:
    """Return the last part of a name: `loss_type` of `self.args.loss_type`, also in set(…)."""
    if isinstance(node, ast.Call) and len(node.args) == 1 and isinstance(node.func, ast.Name):
        return _name(node.args[0])
    if isinstance(node, ast.BoolOp):
        return _name(node.values[0])
    return getattr(node, "attr", "") or getattr(node, "id", "")


def _assigned(nodes: list[ast.AST], field: str) -> Iterator[str]:
    """Yield the names that a field's value is assigned to."""
    for node in nodes:
        if isinstance(node, ast.Assign) and _name(node.value) == field:
            yield from filter(None, map(_name, node.targets))


def _passed(nodes: list[ast.AST], field: str) -> Iterator[str]:
    """Yield the keywords under which a field is passed to VLLMGeneration."""
    for node in nodes:
        if isinstance(node, ast.Call) and _name(node.func) == "VLLMGeneration":
            yield from (k.arg for k in node.keywords if k.arg and _name(k.value) == field)


@functools.cache
def _comparisons(file: Path) -> list[Comparison]:
    """Return the comparisons of names with texts: operators, matches, look-ups in a dict."""
    nodes = _nodes(file)
    bound = {
        target.id: node.value
        for node in nodes
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and _texts(node.value)
    }
    found = []
    for node in nodes:
        sides = [bound.get(getattr(side, "id", ""), side) for side in _sides(node)]
        texts = {text for side in sides for text in _texts(side)}
        subjects = {name for side in sides if (name := _name(side))}
        if texts and subjects:
            found.append((subjects, texts))
    return found


def _sides(node: ast.AST) -> list[ast.AST]:
    """Return what is compared in a node; empty if nothing is."""
    if isinstance(node, ast.Compare):
        return [node.left, *node.comparators]
    if isinstance(node, ast.Match):
        return [node.subject, *(case.pattern for case in node.cases)]
    if isinstance(node, ast.Subscript):
        key, table = node.slice, node.value
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
        key, table = node.args[0], node.func.value
    else:
        return []
    return [key, table] if isinstance(table, ast.Dict) else []


def _texts(node: ast.AST) -> set[str]:
    """Return the texts of a literal: itself, the items of a list or set, the keys of a dict."""
    if isinstance(node, ast.Constant):
        return {node.value} if isinstance(node.value, str) else set()
    parts: list[ast.AST] = []
    if isinstance(node, ast.Dict):
        parts = [key for key in node.keys if key]
    elif isinstance(node, ast.Tuple | ast.List | ast.Set):
        parts = list(node.elts)
    elif isinstance(node, ast.MatchValue):
        parts = [node.value]
    elif isinstance(node, ast.MatchOr):
        parts = list(node.patterns)
    return {text for part in parts for text in _texts(part)}
