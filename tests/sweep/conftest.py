"""The fixtures of this folder."""

import copy
import re
import shutil
from collections.abc import Iterator

import pytest
from toy_run import HereWorkers, ToyRun

from r1trl.plan.plan import Plan
from r1trl.run import loop
from r1trl.watch.control import DRIVER, own_name


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ToyRun]:
    """Return a run that has been carried out; stages that are carried out later have noise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "Workers", HereWorkers)
        patch.setenv(DRIVER, own_name())
        toy = ToyRun(tmp_path_factory.mktemp("sweep"))
        toy.more["seed"] = 1
        assert toy.run() == 0
        (toy.root / "noise").write_text("noise")
        yield toy


@pytest.fixture
def toy(made: ToyRun, request: pytest.FixtureRequest) -> Iterator[ToyRun]:
    """Return a run beside it that has not begun, with what it reads as it was."""
    own = copy.deepcopy(made)
    own.name = re.sub(r"\W+", "-", request.node.name).strip("-")
    files = [own.plugin, own.rows, *own.base.iterdir()]
    before = {file: file.read_text() for file in files}
    yield own
    for file, text in before.items():
        file.write_text(text)


@pytest.fixture
def earlier(toy: ToyRun) -> Plan:
    """Return a copy of the run that has been carried out, which a test may damage."""
    other = copy.deepcopy(toy)
    other.name = f"{toy.name}-earlier"
    shutil.copytree(toy.root / "run", other.folder)
    return other.plan()
