"""The page on sensitivity agrees with the code: its commands, variants and numbers."""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import r1trl_tiny
import yaml
from r1trl_variants.numbers import numbers_of

from r1trl import cli
from r1trl.config.kinds import load_plugins
from r1trl.plan.drawing import check_variants

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "SENSITIVITY.md").read_text(encoding="utf-8")
PLUGINS = (DOCS / "PLUGINS.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^r1trl .*$", PAGE, re.M)


def names_in(head: str) -> list[str]:
    """Return the names in the first column of the table with this head."""
    rows = PAGE[PAGE.index(f"| {head} |") :].partition("\n\n")[0].splitlines()[2:]
    return [name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])]


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_its_commands_can_be_planned(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = Path(r1trl_tiny.__file__).parent / "models" / "base"
    for stage in ("zero", "dev1", "r1", "student"):
        shutil.copytree(base, tmp_path / "runs" / "demo" / "stages" / stage / "model")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", shlex.split(command.replace("r1trl run", "r1trl plan")))
    assert cli.main() == 0


def test_it_has_every_variant_and_number() -> None:
    assert sorted(names_in("variant")) == sorted(load_plugins().offers["variant"])
    found = numbers_of(np.eye(2), np.eye(2), ["a", "b"])
    own = {name for name in found if not name.endswith("_prompt")}
    assert set(names_in("number")) == own | {"mean_low", "mean_high"}


def test_the_variants_that_it_chooses_are_possible() -> None:
    [stages] = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)
    chosen = yaml.safe_load(stages)["stages"]["sensitivity"]["variants"]
    assert check_variants(chosen, "stages.x.variants", load_plugins()) == [] and len(chosen) == 4


def test_the_variant_that_the_page_on_plugins_shows_keeps_the_contract(plugin_file) -> None:
    from r1trl.trust.check import check

    [source] = [s for s in re.findall(r"```python\n(.*?)```", PLUGINS, re.S) if "polite" in s]
    results = check(plugin_file(source, "polite.py"), [], None)
    assert results and all(result.status == "ok" for result in results)
