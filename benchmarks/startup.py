r"""How long does a stage take to start? From the driver's request to the first training step.

The first stage waits for torch and TRL to be imported; each after it is a fork of the process that
has them. Beside them the same stage started by hand, which imports everything anew. Prints a table
and writes results/startup.json; see README.md.

    python benchmarks/startup.py
    python benchmarks/startup.py --quick
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from machine import machine

HERE = Path(__file__).parent
PACKAGES = ("r1trl", "trl", "transformers", "torch")
RECIPE = """# @package _global_
defaults:
  - /stage@stages.sft: sft
  - /stage@stages.grpo: grpo
  - /stage@stages.sample: sample
  - _self_
stages:
  sft:
    template: "{{ prompt }}"
    data: {general: {sample_rows: 64}}
    args: {max_steps: 1, save_strategy: "no"}
  grpo:
    template: ${template.zero}
    data: {problems: {sample_rows: 256}}
    rewards: {accuracy: {answer: answer_tag}}
    args: {max_steps: 1, max_completion_length: 8, save_strategy: "no"}
  sample:
    model: ${model.path}
    template: ${template.zero}
    data: {problems: {sample_rows: 8}}
    sampling: {n: 1, max_tokens: 2}
    rewards: {accuracy: {answer: answer_tag}}
"""
PLUGIN = """
import time
from pathlib import Path

import r1trl
from transformers import trainer_callback

original = trainer_callback.CallbackHandler.on_step_begin

def timed(self, args, *rest, **more):
    path = Path(args.output_dir).parent / "first_step"
    path.exists() or path.write_text(str(time.time()))
    return original(self, args, *rest, **more)

trainer_callback.CallbackHandler.on_step_begin = timed

@r1trl.hookimpl
def r1trl_stage_started(stage):
    (stage.folder / "started").write_text(str(time.time()))
"""


def lay_out(folder: Path, name: str) -> Any:
    """Plan the three small stages in a folder."""
    from r1trl.config.compose import compose
    from r1trl.plan.plan import make_plan

    (folder / "conf" / "recipe").mkdir(parents=True, exist_ok=True)
    (folder / "conf" / "recipe" / "starts.yaml").write_text(RECIPE)
    (folder / "timing.py").write_text(PLUGIN)
    overrides = ["recipe=starts", "scale=tiny", f"name={name}", f"runs_dir={folder}"]
    overrides.append(f"plugins.load=[{folder / 'timing.py'}]")
    return make_plan(compose(overrides, folder / "conf"))


def measured(folder: Path, name: str, warm: bool) -> dict[str, float]:
    """Run the stages; return the seconds until each trains or generates."""
    from r1trl.launch.workers import Workers
    from r1trl.stage.files import write_spec

    seconds = {}
    with Workers() as workers:
        for planned in lay_out(folder, name).stages:
            write_spec(planned.folder, planned.spec)
            begun = time.time()
            if warm:
                status = workers.run(planned.folder, planned.launch)
            else:
                with (planned.folder / "log.txt").open("wb") as log:
                    command = [sys.executable, "-m", "r1trl.run.worker", str(planned.folder)]
                    status = subprocess.run(command, stdout=log, stderr=log).returncode
            if status:
                raise RuntimeError((planned.folder / "log.txt").read_text())
            times = [planned.folder / name for name in ("first_step", "started")]
            written = next(path for path in times if path.exists())
            seconds[planned.spec.stage] = float(written.read_text()) - begun
            seconds[f"{planned.spec.stage}, whole"] = time.time() - begun
    return seconds


def main() -> None:
    """Measure warm and cold starts in turn."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "startup.json")
    args = parser.parse_args()
    about, runs = machine(PACKAGES), []
    for number in range(1 if args.quick else args.rounds):
        with tempfile.TemporaryDirectory() as folder:
            warm = measured(Path(folder), f"warm{number}", warm=True)
            cold = measured(Path(folder), f"cold{number}", warm=False)
            runs.append({"warm": warm, "cold": cold})
    print("| stage | in a run | by hand |\n|---|---:|---:|")
    for name in runs[0]["warm"]:
        middle = {how: statistics.median(run[how][name] for run in runs) for how in runs[0]}
        print(f"| {name} | {middle['warm']:.2f} s | {middle['cold']:.2f} s |")
    content = {"machine": about, "runs": runs}
    args.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
