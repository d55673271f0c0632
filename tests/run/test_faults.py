"""A real stage whose every write fails once: told each time, and the same in the end."""

import re
from pathlib import Path

import pytest
from pyarrow import parquet
from stage_runs import Run

RECIPE = """# @package _global_
defaults:
  - /stage@stages.drawn: sample
  - _self_
stages:
  drawn:
    model: ${model.path}
    template: ${template.zero}
    data: {problems: {sample_rows: 8}}
    sampling: {n: 2, max_tokens: 8, shard_size: 8}
    rewards: {accuracy: {answer: answer_tag}}
    transitions: {hardest_problems: {max_rate: 1.0}}
"""
EACH_FAILS_ONCE = '''
import errno
import os
from pathlib import Path

import r1trl
from r1trl.storage.writing import hook

FAILED = Path(__file__).with_name("failed.txt")
LAST = ("rollouts.parquet", "result.json")


def before(operation, path):
    """Let an operation on a path fail as on a full disk, unless it has failed before."""
    line = f"{operation} {path}\\n"
    chosen = operation == "write" or (operation == "rename" and path.name in LAST)
    if chosen and "/drawn/" in str(path) and "ranks" not in str(path):
        if FAILED.exists() and line not in FAILED.read_text():
            with FAILED.open("a") as file:
                file.write(line)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


hook.before = before


@r1trl.hookimpl
def r1trl_stage_started(stage):
    """A plugin has a hook."""
'''


@pytest.mark.slow
@pytest.mark.long
def test_a_stage_whose_every_write_fails_once_ends_as_one_whose_disk_had_room(
    tmp_path: Path,
) -> None:
    plugin = tmp_path / "each_fails_once.py"
    plugin.write_text(EACH_FAILS_ONCE)
    whole, cut = (Run(tmp_path / n, RECIPE, f"plugins.load=[{plugin}]") for n in ("whole", "cut"))
    assert whole.carry_out() == 0, whole.log("drawn")
    failed = tmp_path / "failed.txt"
    failed.touch()
    attempts = 0
    while True:
        before, log = failed.read_text(), cut.stages / "drawn" / "log.txt"
        log.unlink(missing_ok=True)
        try:
            status = cut.carry_out()
        except OSError:  # the driver's own: here it is the test, and writes stage.yaml
            continue
        if status == 0:
            break
        attempts += 1
        [line] = failed.read_text().removeprefix(before).splitlines()
        path = re.escape(line.partition(" ")[2])
        assert re.search(rf"error: .*{path}: cannot be written: there is no room", log.read_text())
    names = {Path(line.partition(" ")[2]).name for line in failed.read_text().splitlines()}
    assert attempts > 6
    assert {"filters.json", "rollouts.parquet", "hardest.parquet", "result.json"} <= names
    rows = [parquet.read_table(run.stages / "drawn" / "rollouts.parquet") for run in (whole, cut)]
    assert rows[0].equals(rows[1])
    assert not list((cut.stages / "drawn").rglob("*.part"))
