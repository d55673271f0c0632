"""The contract of kinds of stages, of transitions and of trackers: `r1trl check`."""

import ast
import dataclasses
import inspect
import json
import os
import subprocess
import sys
import tempfile
import textwrap
import typing
from dataclasses import replace
from pathlib import Path
from typing import Any

from r1trl.arguments.source import fields
from r1trl.config.kinds import stage_class
from r1trl.config.parse import parse
from r1trl.config.stage_parts import LaunchConfig
from r1trl.trackers import METHODS
from r1trl.trust.candidate import OfferUnderTest, Remark, interrupted_after
from r1trl.types import Progress, StageResult

METRICS = {"reward": 0.5, "reward_std": 0.1, "loss": 0.1, "entropy": 1.0, "grad_norm": 0.1}


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


def passes_a_result_on(test: OfferUnderTest) -> None:
    """Check that a transition returns a StageResult for that of a stage without a model's weights.

    What it raises may be its verdict on so small a stage, and is no fault.
    """
    with tempfile.TemporaryDirectory() as folder:
        result = _small_result(test, Path(folder))
        transition = test.offer.bind(test.options)
        try:
            with interrupted_after(test.seconds):
                returned: Any = transition(result)
        except TimeoutError as error:
            raise AssertionError(str(error)) from error
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            raise Remark(f"could not be tried on a stage without weights: {what}") from error
    assert isinstance(returned, StageResult), (
        f"returned {_named(returned)}; a transition returns a StageResult: the one that it got, or "
        "dataclasses.replace(result, …)"
    )


def _small_result(test: OfferUnderTest, folder: Path) -> StageResult:
    """Return the result of a stage with rollouts and metrics and an empty folder as its model."""
    from datasets import Dataset, disable_progress_bars

    disable_progress_bars()
    count = len(test.rows["completion"])
    scores = {"problem": list(range(count)), "finished": [True] * count}
    scores |= {name: [0.5] * count for name in ("reward", "rewards/accuracy")}
    rollouts, model = folder / "rollouts.parquet", folder / "model"
    Dataset.from_dict({**test.rows, **scores}).to_parquet(rollouts)
    model.mkdir()
    row = json.dumps({"step": 1, "seconds": 1.0, **METRICS})
    (folder / "metrics.jsonl").write_text(f"{row}\n", encoding="utf-8")
    return StageResult("checked", "checked", folder, model, rollouts, METRICS)


def stops_with_a_reason(test: OfferUnderTest) -> None:
    """Check that `should_stop` returns a reason or None while a stage trains."""
    should_stop = getattr(test.offer.bind(test.options), "should_stop", None)
    if should_stop is None:
        return
    history = [{"step": step, "seconds": float(step), **METRICS} for step in range(1, 31)]
    for rows in ([], history[:1], history):
        try:
            reason = should_stop(Progress(len(rows), 100, float(len(rows)), rows))
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            raise Remark(f"should_stop could not be tried on common metrics: {what}") from error
        may = "it returns None, or the reason to stop as a text"
        is_fine = reason is None or isinstance(reason, str)
        assert is_fine, f"should_stop returned {_named(reason)}; {may}"


def has_the_methods_of_a_tracker(test: OfferUnderTest) -> None:
    """Check that all methods take what they are called with; none is called, nothing is sent."""
    assert inspect.isclass(test.offer.target), "a tracker is a class"
    for name, arguments in METHODS.items():
        method = getattr(test.offer.target, name, None)
        assert callable(method), f"has no method {name}; a tracker has {', '.join(METHODS)}"
        try:
            inspect.signature(method).bind("self", *arguments)
        except TypeError as error:
            raise AssertionError(
                f"{name} is called with {', '.join(arguments)}: {error}"
            ) from error


def _named(value: Any) -> str:
    """Return a value for a message; of a coroutine that nobody awaits, what is wrong."""
    if hasattr(value, "close") and hasattr(value, "send"):
        value.close()
        return "a coroutine or generator: it must be a plain function"
    return repr(value)[:200]
