"""Slurm reads the batch script of a run: spaces and signs in its options are part of them."""

from pathlib import Path

import pytest
from ranks import wait_for
from slurm import Slurm

from r1trl.config.compose import compose
from r1trl.launch.submit import batch_script
from r1trl.plan.plan import make_plan

pytestmark = [pytest.mark.slow, pytest.mark.long]


def test_sbatch_reads_options_with_spaces_and_signs(
    slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a b#c"
    (folder / "runs" / "x").mkdir(parents=True)
    monkeypatch.chdir(folder)
    own = "launch.sbatch={comment: \"its # 1 of 'ours'\"}"
    tiny = ["recipe=zero", "scale=tiny", "name=x", "launch=slurm", "launch.processes=1", own]
    script = batch_script(make_plan(compose(tiny, None)), ["pwd"])
    (folder / "submit.sh").write_text(script)
    job = slurm.ask(["sbatch", "--parsable", folder / "submit.sh"]).strip()
    told = slurm.ask(["scontrol", "show", "job", job])
    assert "Comment=its # 1 of 'ours'" in told
    assert "Requeue=1" in told
    wait_for(lambda: slurm.state(job) == "COMPLETED")
    assert (folder / "runs" / "x" / f"slurm-{job}.txt").read_text() == f"{folder}\n"
