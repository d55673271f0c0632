"""The contract of a kind of stage, as tests that run on somebody's own: `r1trl check`."""

import ast
import dataclasses
import inspect
import os
import subprocess
import sys
import textwrap
import typing
from dataclasses import replace
from typing import Any

from r1trl.arguments.source import fields
from r1trl.config.kinds import stage_class
from r1trl.config.parse import parse
from r1trl.config.stage_parts import LaunchConfig
from r1trl.trust.candidate import OfferUnderTest


def is_light_to_import(test: OfferUnderTest) -> None:
    """Check that the module of a kind imports neither torch nor TRL, which the plan cannot pay."""
    module = test.offer.target.run.__module__
    file = getattr(sys.modules[module], "__file__", None)
    code = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location({module!r}, {str(file)!r})\n"
        f"sys.modules[{module!r}] = module = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        "print(*({'torch', 'trl', 'transformers'} & set(sys.modules)))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, f"cannot be imported alone: {done.stderr.strip()[-300:]}"
    loaded = done.stdout.split()
    assert not loaded, f"its module imports {', '.join(sorted(loaded))}; import them inside run"


def describes_stages(test: OfferUnderTest) -> None:
    """Check that a kind's columns, size and problems can be asked of a stage with its settings."""
    kind = test.offer.target
    class_ = stage_class(kind)
    values = {**_samples(kind.settings), "kind": test.offer.name, **test.options}
    stage, problems = parse(class_, values)
    assert not problems, f"its settings as options: {problems[0]}" if problems else ""
    stage = replace(stage, launch=LaunchConfig())
    assert all(isinstance(name, str) for name in kind.columns(stage)), "columns must be names"
    assert isinstance(kind.size(stage), str), "size must return a text"
    for problem in kind.problems(stage):
        assert len(problem) == 2, f"problems must yield (key, sentence), not {problem!r}"
    if kind.trl_config:
        fields(kind.trl_config)


def returns_metrics(test: OfferUnderTest) -> None:
    """Check that `run` takes the work and has a return with a value, without running it."""
    run = test.offer.target.run
    try:
        inspect.signature(run).bind(object())
    except TypeError as error:
        raise AssertionError(f"run cannot be called as run(work): {error}") from error
    is_plain = not (inspect.iscoroutinefunction(run) or inspect.isgeneratorfunction(run))
    assert is_plain, "run must be a plain function"
    hint = "run returns None; it returns its metrics, numbers by name, {} if there are none"
    assert not _only_returns_none(run), hint


def _only_returns_none(run: Any) -> bool:
    """Return True if a function's source has no return with a value, nor raises instead."""
    try:
        function = ast.parse(textwrap.dedent(inspect.getsource(run))).body[0]
    except (OSError, TypeError, SyntaxError):  # no function in a file
        return False
    if not isinstance(function, ast.FunctionDef) or isinstance(function.body[-1], ast.Raise):
        return False
    pending, inner = list[ast.AST](function.body), (ast.FunctionDef, ast.Lambda, ast.ClassDef)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Return) and node.value and ast.unparse(node.value) != "None":
            return False
        pending += [] if isinstance(node, inner) else list(ast.iter_child_nodes(node))
    return True


def _samples(settings: Any) -> dict[str, Any]:
    """Return a value for each required field of a kind's settings."""
    hints = typing.get_type_hints(settings)
    return {field.name: _sample(hints[field.name]) for field in fields_without_default(settings)}


def _sample(hint: Any) -> Any:
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Literal:
        return arguments[0]
    if type(None) in arguments:
        return None
    if dataclasses.is_dataclass(hint):
        return _samples(hint)
    origin = typing.get_origin(hint) or hint
    plain = {int: 1, float: 1.0, bool: False, list: [], dict: {}}
    return plain.get(origin, "x")


def fields_without_default(settings: Any) -> "list[dataclasses.Field[Any]]":
    """Return the required fields of a dataclass."""
    missing = dataclasses.MISSING
    every = dataclasses.fields(settings)
    return [f for f in every if f.default is missing and f.default_factory is missing]
