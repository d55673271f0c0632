"""Plugins that end the process, change it or lie: each is named, or changes nothing."""

import json
import textwrap
from pathlib import Path
from typing import Any

import pytest
from stage_runs import workers

from r1trl import cli
from r1trl.config.kinds import load_plugins
from r1trl.errors import ConfigError
from r1trl.stage.files import StageSpec, write_spec
from r1trl.stage.logs import last_lines

pytestmark = pytest.mark.slow

SOURCE = """
import json, locale, os, random, shutil, signal, sys, threading, time
import r1trl
{imported}

def mine(prompts, completions, completion_ids, **columns):
    import numpy, torch
    {reward}
    return [0.25] * len(completions)

def after(prompts, completions, completion_ids, gold, **columns):
    return [float(len(text) + len(ids) + len(g)) for text, ids, g in
            zip(completions, completion_ids, gold, strict=True)]

@r1trl.verifier
def checked(completion):
    {verifier}
    return 1.0

def kept(rows):
    import torch
    {filter}
    return rows

def made():
    import datasets
    {dataset}
    return datasets.Dataset.from_dict({{"prompt": ["a", "b"], "completion": ["c", "d"]}})

def passed(result):
    {transition}
    return result

def run(work):
    '''Score two completions.'''
    import torch
    {kind}
    rows = work.rows()
    columns = {{"prompt": rows["prompt"][:], "completion": ["x", "yy"],
               "completion_ids": [[1], [2, 3]], "gold": [["a"], ["b", "c"]]}}
    scores = work.scorer.score(columns)
    assert torch.is_grad_enabled() and torch.get_default_dtype() is torch.float32
    (work.folder / "model").mkdir(exist_ok=True)
    (work.folder / "model" / "weights").write_text("")
    work.scorer.close()
    sizes = [len(ids) for ids in columns["completion_ids"]]
    return {{"reward": sum(scores.totals), "rows": len(rows), "ids": sum(sizes)}}

@r1trl.hookimpl
def r1trl_stage_started(stage):
    {started}

@r1trl.hookimpl
def r1trl_stage_finished(stage, result):
    {finished}

@r1trl.hookimpl
def r1trl_rewards():
    return {{"mine": mine, "after": after, "checked": checked}}

@r1trl.hookimpl
def r1trl_filters():
    return {{"kept": kept}}

@r1trl.hookimpl
def r1trl_datasets():
    return {{"made": made}}

@r1trl.hookimpl
def r1trl_transitions():
    return {{"passed": passed}}

@r1trl.hookimpl
def r1trl_kinds():
    return {{"odd": r1trl.Kind(run=run, needs=("data",), takes=("rewards",))}}
"""
PLACES = "imported reward verifier filter dataset transition kind started finished".split()
SETTINGS = {
    "kind": "odd",
    "data": {"rows": {"dataset": "made"}},
    "filters": {"kept": {}},
    "rewards": {"mine": {}, "after": {}, "checked": {}},
    "transitions": {"passed": {}},
    "scoring": {"processes": 1, "deadline": 5.0},
}
EXPECTED = {"reward": 2.5 + 9.0, "rows": 2, "ids": 3}


def carried_out(folder: Path, place: str = "", body: str = "") -> tuple[int, str]:
    """Carry out a stage with code in one place of its plugin; return its status and its log."""
    bodies = {name: body if name == place else "pass" for name in PLACES}
    bodies = {
        name: textwrap.indent(text, "" if name == "imported" else "    ").strip()
        for name, text in bodies.items()
    }
    folder.mkdir()
    (folder / "mine.py").write_text(SOURCE.format(**bodies))
    plugins = {"load": [str(folder / "mine.py")], "block": []}
    stage = folder / "stages" / "s"
    write_spec(stage, StageSpec("s", "odd", "x", 1, SETTINGS, plugins=plugins))
    status = workers().run(stage, {"how": "local", "environment": {}})
    return status, "\n".join(last_lines_of(stage))


def last_lines_of(stage: Path) -> list[str]:
    """Return the last lines of a stage's log."""
    return last_lines(stage, 60).split("\n")


def result_of(folder: Path) -> Any:
    """Return the metrics of a stage that has finished; None if it has not."""
    file = folder / "stages" / "s" / "result.json"
    return json.loads(file.read_text())["metrics"] if file.exists() else None


RIGHT_AGAIN = "has changed"
NAMED = {
    "exits at once": ("reward", "os._exit(0)", "has ended the process by os._exit(0)"),
    "exits with a status": ("filter", "os._exit(3)", "has ended the process by os._exit(3)"),
    "exits": ("reward", "sys.exit()", "stages.s.rewards.mine: reward 'mine' failed: SystemExit"),
    "exits well": ("filter", "sys.exit(0)", "stages.s.filters.kept: SystemExit: 0"),
    "exits in data": ("dataset", "raise SystemExit", "dataset 'made': SystemExit"),
    "exits in a transition": ("transition", "sys.exit(0)", "transitions.passed: SystemExit"),
    "exits in a hook": ("finished", "sys.exit(0)", "r1trl_stage_finished: SystemExit"),
    "exits in a kind": ("kind", "sys.exit(0)", "mine.py"),
    "exits when imported": ("imported", "sys.exit(0)", "cannot be imported: SystemExit"),
    "cannot be imported": ("imported", "import no_such", "No module named 'no_such'"),
    "an interrupt": ("reward", "raise KeyboardInterrupt", "mine.py"),
    "an odd exception": (
        "filter",
        "raise type('Odd', (BaseException,), {})('x')",
        "stages.s.filters.kept: Odd: x",
    ),
    "recursion": ("reward", "f = lambda: f()\nf()", "rewards.mine: reward 'mine' failed: Recurs"),
    "a number": ("reward", "return 7", "reward 'mine' returned 7; it must return a list"),
    "a text": ("reward", "return '12'", "reward 'mine' returned '1' for row 0"),
    "too few": ("reward", "return [1.0]", "reward 'mine' returned 1 values for 2 completions"),
    "not a number": ("reward", "return [float('nan'), 0]", "reward 'mine' returned nan for row 0"),
    "infinite": ("reward", "return [0, -float('inf')]", "reward 'mine' returned -inf for row 1"),
    "a huge number": ("reward", "return [0, 10 ** 400]", "for row 1; it must be a finite number"),
    "a mapping": ("reward", "return {0: 1.0, 1: 1.0}", "it must return a list"),
    "a set": ("reward", "return {0.5, 0.75}", "it must return a list"),
    "nested": ("reward", "return [[1.0], [0.0]]", "reward 'mine' returned [1.0] for row 0"),
    "an array": ("reward", "return numpy.ones((2, 2))", "reward 'mine' returned array("),
    "no rows": ("filter", "return None", "stages.s.filters.kept: "),
    "a list of rows": ("dataset", "return [{'prompt': 'x'}]", "dataset 'made' returned a list"),
    "no result": ("transition", "return None", "transitions.passed: returned None"),
    "a removed model": ("transition", "shutil.rmtree(result.model)", "transitions.passed: "),
    "a model removed later": ("finished", "shutil.rmtree(result.model)", "model was there, and is"),
    "a metric that is none": (
        "transition",
        "result.metrics['reward'] = float('nan')",
        "transitions.passed: returned a StageResult whose metric 'reward' is nan",
    ),
}
WITHOUT_EFFECT = {
    "another directory": ("reward", "os.chdir('/')", RIGHT_AGAIN),
    "another directory when imported": ("imported", "os.chdir('/')", RIGHT_AGAIN),
    "a flood": ("reward", "for _ in range(100): os.write(1, b'x' * 999_999 + b'\\n')", ""),
    "a flood of errors": ("filter", "for _ in range(100): os.write(2, b'x' * 1_000_000)", ""),
    "closed output": ("reward", "os.close(1)", RIGHT_AGAIN),
    "closed stream": ("reward", "sys.stdout.close()", RIGHT_AGAIN),
    "closed errors": ("dataset", "os.close(2)", RIGHT_AGAIN),
    "a child that comes back": ("reward", "os.fork()", "forked came back, and is ended"),
    "a child of a filter": ("filter", "os.fork()", "forked came back, and is ended"),
    "a child of a verifier": ("verifier", "os.fork()", ""),
    "many children": (
        "reward",
        "for _ in range(20):\n    if os.fork() == 0:\n        time.sleep(1)\n        os._exit(0)",
        "",
    ),
    "an endless thread": (
        "reward",
        "threading.Thread(target=time.sleep, args=(9999,)).start()",
        "",
    ),
    "other handlers": ("reward", "signal.signal(signal.SIGTERM, signal.SIG_IGN)", RIGHT_AGAIN),
    "no environment": ("reward", "os.environ.clear()", ""),
    "another locale": ("reward", "locale.setlocale(locale.LC_ALL, 'C')", ""),
    "other seeds": ("reward", "random.seed(0), numpy.random.seed(0), torch.manual_seed(0)", ""),
    "no gradients": ("reward", "torch.set_grad_enabled(False)", RIGHT_AGAIN),
    "another type": ("filter", "torch.set_default_dtype(torch.float64)", RIGHT_AGAIN),
    "other threads": ("reward", "torch.set_num_threads(7)", RIGHT_AGAIN),
    "changed texts": (
        "reward",
        "completions[0] = 'longer'; prompts.clear()\nreturn [0.25] * 2",
        "",
    ),
    "changed ids": ("reward", "completion_ids[0].extend([9] * 9)", ""),
    "changed columns": ("reward", "[each.clear() for each in columns['gold']]", ""),
    "changed settings": ("started", "stage.settings['rewards'].clear()", ""),
    "changed metrics": ("finished", "result.metrics['reward'] = float('nan')", ""),
    "another json": ("imported", "json.dumps = lambda *a, **k: '{}'", ""),
    "numbers of NumPy's": ("reward", "return numpy.full(2, 0.25)", ""),
    "numbers of torch's": ("reward", "return torch.full((2,), 0.25, dtype=torch.float16)", ""),
}
QUICK = ("exits at once", "exits")
QUIET = ("another directory", "a child that comes back")


def cases(all_of_them: dict[str, Any], quick: tuple[str, ...]) -> list[Any]:
    """Return the cases; all but a few are for the long tests."""
    return [
        pytest.param(*case, id=name, marks=() if name in quick else pytest.mark.long)
        for name, case in all_of_them.items()
    ]


@pytest.mark.parametrize(("place", "body", "said"), cases(NAMED, QUICK))
def test_a_plugin_that_ends_or_breaks_a_stage_is_named(
    place: str, body: str, said: str, tmp_path: Path
) -> None:
    status, log = carried_out(tmp_path / "hostile", place, body)
    assert status > 0 and said in log, log
    assert result_of(tmp_path / "hostile") is None


@pytest.mark.parametrize(("place", "body", "said"), cases(WITHOUT_EFFECT, QUIET))
def test_what_a_plugin_changes_has_no_effect_on_a_result(
    place: str, body: str, said: str, tmp_path: Path
) -> None:
    status, log = carried_out(tmp_path / "hostile", place, body)
    assert status == 0 and said in log, log
    assert result_of(tmp_path / "hostile") == EXPECTED


def test_the_stages_after_all_of_these_are_as_they_would_have_been(tmp_path: Path) -> None:
    assert carried_out(tmp_path / "next")[0] == 0
    assert result_of(tmp_path / "next") == EXPECTED


def test_a_process_that_is_ended_from_below_is_no_success(tmp_path: Path) -> None:
    status, _ = carried_out(
        tmp_path / "hostile", "reward", "__import__('ctypes').CDLL(None)._exit(0)"
    )
    assert status == 0 and result_of(tmp_path / "hostile") is None, "what the loop takes as failed"


@pytest.mark.parametrize(
    ("imported", "said"),
    [
        ("import sys\nsys.exit(0)", "cannot be imported: SystemExit: 0"),
        ("import r1trl\n@r1trl.hookimpl\ndef r1trl_rewards():\n    raise SystemExit", "SystemExit"),
    ],
)
def test_a_plugin_that_exits_does_not_end_the_plan(
    imported: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(imported)
    with pytest.raises(ConfigError, match=said):
        load_plugins([str(tmp_path / "mine.py")])


def test_a_plugin_that_moves_when_imported_leaves_the_driver_where_it_was(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import os\nos.chdir('/')\n")
    before = Path.cwd()
    load_plugins([str(tmp_path / "mine.py")])
    assert Path.cwd() == before


def test_a_plugin_that_exits_in_a_check_fails_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    body = "import sys\n\ndef mine(prompts, completions, completion_ids, **columns): sys.exit(0)\n"
    hook = "@r1trl.hookimpl\ndef r1trl_rewards():\n    return {'mine': mine}\n"
    (tmp_path / "mine.py").write_text(f"import r1trl\n\n{body}\n{hook}")
    monkeypatch.setattr("sys.argv", ["r1trl", "check", str(tmp_path / "mine.py")])
    assert cli.main() == 1
    out, error = capsys.readouterr()
    assert "SystemExit" in out + error
