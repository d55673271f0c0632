"""The commands of the README and the documents can be carried out: those that run are planned."""

import re
import shlex
import shutil
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest
import r1trl_tiny

from r1trl.config.compose import compose
from r1trl.errors import ConfigError
from r1trl.plan.plan import make_plan

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "examples/README.md"]
BLOCK = re.compile(r"^```(?:sh|bash|console)\n(.*?)^```", re.M | re.S)
PLANNED = ("run", "plan", "submit")
# What the commands find: the embedded base model for others', a row for own data.
MODELS = (
    "models/smollm2",
    *(f"runs/demo/stages/{s}/model" for s in "zero dev1 r1 student".split()),
)
MODELS += ("runs/zero-tiny/stages/zero/model",)


def commands() -> Iterator[tuple[str, str]]:
    """Yield the documents' commands of r1trl, each with its document."""
    for file in DOCUMENTS:
        for block in BLOCK.findall(file.read_text(encoding="utf-8")):
            lines = [line.removeprefix("$ ") for line in block.replace("\\\n", " ").splitlines()]
            yield from ((file.stem, line) for line in lines if line.startswith("r1trl "))


# What is refused here, by a part of the command: what this machine lacks, and slips that are shown.
REFUSED = {
    "path=bfcl": ["no unpacked wheel of bfcl-eval is at bfcl"],
    "gpus: 4": ["stages.zero_first.serve.judge.gpus: 4, but this node has no GPU"],
    "acme_brevity": ["'acme_brevity' cannot be imported"],
    "name=installed": ["no reward is called 'brevity'"],
    "acuracy": ["no reward is called 'acuracy' (did you mean", "GRPOConfig has no 'learning_rtae'"],
}
TOGETHER = [*commands()]
TO_PLAN = [pair for pair in TOGETHER if pair[1].split()[1] in PLANNED]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with what the documents' commands name."""
    here = tmp_path_factory.mktemp("reader")
    for name in MODELS:
        shutil.copytree(Path(r1trl_tiny.__file__).parent / "models" / "base", here / name)
    (here / "mine.jsonl").write_text('{"prompt": "1 + 1?", "solution": "2"}\n')
    (here / "examples").symlink_to(ROOT / "examples")
    shutil.copy(ROOT / "examples" / "brevity.py", here)
    terminal = (ROOT / "docs" / "TERMINAL.md").read_text(encoding="utf-8")
    (here / "licensed.py").write_text(terminal.partition("```python\n")[2].partition("```")[0])
    return here


def test_documents_have_commands() -> None:
    assert len(TO_PLAN) > 30 and {file for file, _ in TOGETHER} > {"README", "SIZES", "SENSITIVITY"}


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize(("file", "command"), TO_PLAN)
def test_a_command_that_runs_is_planned(
    file: str, command: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.delenv("R1TRL_BFCL", raising=False)
    words = shlex.split(command, comments=True)[2:]
    words = list(takewhile(lambda word: not word.startswith(">"), words))
    own = words[words.index("--config-dir") + 1] if "--config-dir" in words else None
    overrides = [word for word in words if not word.startswith("-") and word != own]
    overrides = [
        re.sub(r"^(seed=\d+),.*", r"\1", each) for each in overrides
    ]  # of a sweep the first
    problems = []
    try:
        make_plan(compose(overrides, Path(own) if own else None))
    except ConfigError as error:
        problems = error.problems
    expected = next((there for part, there in REFUSED.items() if part in command), ())
    assert len(problems) == len(expected), problems
    assert all(text in problem for text, problem in zip(expected, problems, strict=True))
