"""The page on what a terminal shows agrees with what it shows."""

import re
import shlex
from pathlib import Path

import pytest

from r1trl.config.compose import compose
from r1trl.live import picture
from r1trl.plan.plan import make_plan

PAGE = (Path(__file__).parents[2] / "docs" / "TERMINAL.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ r1trl run ([^>\n]*)", PAGE, re.M)
PLUGIN = re.findall(r"```python\n(.*?)```", PAGE, re.S)[0]


@pytest.mark.parametrize("command", COMMANDS)
def test_its_commands_can_be_planned(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "licensed.py").write_text(PLUGIN)
    plan = make_plan(compose(shlex.split(command), None))
    names = [stage.spec.stage for stage in plan.until]
    assert names[:2] == ["zero_first", "zero"] and names[-1] == "scoreboard"


def test_it_explains_every_row_and_every_state() -> None:
    source = Path(picture.__file__).read_text(encoding="utf-8")
    numbers = (Path(picture.__file__).parent / "numbers.py").read_text(encoding="utf-8")
    rows = re.findall(r'yield "([\w ]+)", ', source) + re.findall(r'Number\("([\w-]+)"', numbers)
    assert {"time", "note", "reward", "held-out"} <= set(rows)
    explained = re.findall(r"`([^`]+)`", PAGE.partition("| row |")[2].partition("\n\n")[0])
    assert not set(rows) - set(explained)
    assert not [symbol for symbol, _ in picture.STATES.values() if f"({symbol})" not in PAGE]
