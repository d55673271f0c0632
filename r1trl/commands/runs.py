"""Runs: `run`, `plan`, `submit`, and `doctor`, which looks at what they would run on."""

import argparse
from typing import Any

from r1trl.commands.planned import plans
from r1trl.commands.words import add_command, add_overrides
from r1trl.errors import ConfigError
from r1trl.process.terminal import say

RUN_EXAMPLES = """\
  r1trl run recipe=full scale=tiny name=demo
  r1trl run recipe=zero model=qwen2.5-1.5b dataset=gsm8k launch=accelerate launch.processes=8
  r1trl run recipe=r1 stages.zero.args.learning_rate=1e-6 wandb.enabled=true
  r1trl run recipe=r1 until=dev1      end after a stage
  r1trl run recipe=r1 redo=dev1       carry out a stage again, and those that read it
  r1trl run recipe=r1 keep=zero       use a stage though a setting, a file or code has changed
  r1trl run -m recipe=zero scale=tiny seed=1,2,3      a sweep; it ends with a comparison
  r1trl run --config-dir my_conf recipe=mine
"""
DOCTOR_EXAMPLES = """\
  r1trl doctor                                      this machine
  r1trl doctor launch=accelerate launch.processes=8
  r1trl doctor launch=slurm launch.nodes=2          the nodes of this Slurm job
  r1trl doctor launch=ray launch.nodes=2            nodes of this Ray cluster
  r1trl doctor recipe=r1 launch=zero3               also what the stages of a run need
"""


def add_to(commands: Any) -> None:
    """Add the commands with their arguments."""
    run = add_command(commands, "run", "carry out a run, or continue it", _run, RUN_EXAMPLES)
    text = "check everything and print what would run; start nothing"
    plan = add_command(commands, "plan", text, _plan, RUN_EXAMPLES)
    text = "look at this machine, or at the nodes of a launch; exit with 1 if it cannot run"
    doctor = add_command(commands, "doctor", text, _doctor, DOCTOR_EXAMPLES)
    text = "check everything, and submit the run as a Slurm job that continues itself"
    submit = add_command(commands, "submit", text, _submit, RUN_EXAMPLES)
    for command in (run, plan, doctor, submit):
        add_overrides(command)
    submit.add_argument(
        "--dry-run", action="store_true", help="print the batch script; submit nothing"
    )
    for command in (run, plan):
        command.add_argument(
            "-m",
            "--multirun",
            action="store_true",
            help="sweep: a run for every combination of key=a,b",
        )
    plan.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="also print the rewards, filters, samplers, transitions and arguments of each "
        "stage, with their options",
    )
    plan.add_argument(
        "--preflight",
        action="store_true",
        help="also score gold answers and garbage as each stage would; look at its data",
    )
    plan.add_argument(
        "--rehearse",
        action="store_true",
        help="also carry the recipe out in miniature, on the CPU, in a temporary folder",
    )


def _run(arguments: argparse.Namespace) -> int:
    from r1trl.sweep.sweep import run_all

    return run_all(plans(arguments))


def _submit(arguments: argparse.Namespace) -> int:
    from r1trl.launch.submit import batch_script, driver_command, submit

    arguments.multirun = False
    ((plan, _),) = plans(arguments)
    script = batch_script(plan, driver_command(arguments.overrides, arguments.config_dir))
    if arguments.dry_run:
        say(script, end="")
        return 0
    if plan.config.preflight:
        _preflight(plan)
    return submit(plan, script)


def _plan(arguments: argparse.Namespace) -> int:
    from r1trl.estimate.table import estimates
    from r1trl.plan.describe import describe
    from r1trl.plan.details import details

    for plan, _ in plans(arguments):
        if not arguments.rehearse:
            say("\n\n".join(filter(None, (describe(plan), estimates(plan)))))
        if arguments.verbose:
            say(f"\n{details(plan)}")
        if arguments.preflight:
            _preflight(plan)
        if arguments.rehearse:
            _rehearse(plan)
    return 0


def _rehearse(plan: Any) -> None:
    from r1trl.rehearsal.outcome import outcome
    from r1trl.rehearsal.rehearse import rehearse

    say(f"run {plan.folder} in miniature:")
    done = rehearse(plan, say)
    say(outcome(plan, done))
    if done.problems:
        raise ConfigError(done.problems)


def _preflight(plan: Any) -> None:
    from r1trl.trust.preflight import preflight

    findings = preflight(plan)
    for finding in findings:
        if not finding.wrong:
            say(f"note: {finding.text}")
    problems = [finding.text for finding in findings if finding.wrong]
    if problems:
        raise ConfigError(problems)
    say("preflight: every gold answer that was tried gets the full score, and nothing else does")


def _doctor(arguments: argparse.Namespace) -> int:
    from r1trl.doctor.doctor import doctor

    return doctor(arguments.overrides, arguments.config_dir)
