"""The command line: its commands and arguments; commands.py carries them out."""

import argparse
import os
import sys
import traceback
from pathlib import Path

from r1trl.commands import COMMANDS
from r1trl.errors import ConfigError, R1trlError
from r1trl.process.guard import tell_exits
from r1trl.process.terminal import say
from r1trl.storage.room import disk_problem
from r1trl.types import ROLES

EXIT_STATUS = """exit status:
  0  done
  1  a stage failed, or a transition ended the run; the reason is printed
  2  the plan or the command line is wrong
  3  left early on a signal or at time_limit: the same command continues"""
RUN_EXAMPLES = """examples:
  r1trl run recipe=full scale=tiny name=demo
  r1trl run recipe=zero model=qwen2.5-1.5b dataset=gsm8k launch=accelerate launch.processes=8
  r1trl run recipe=r1 stages.zero.args.learning_rate=1e-6 wandb.enabled=true
  r1trl run recipe=r1 until=dev1      end after a stage
  r1trl run recipe=r1 redo=dev1       carry out a stage again, and those that read it
  r1trl run recipe=r1 keep=zero       use a stage though a setting, a file or code has changed
  r1trl run -m recipe=zero scale=tiny seed=1,2,3      a sweep; it ends with a comparison
  r1trl run --config-dir my_conf recipe=mine
"""

DOCTOR_EXAMPLES = """examples:
  r1trl doctor                                      this machine
  r1trl doctor launch=accelerate launch.processes=8
  r1trl doctor launch=slurm launch.nodes=2          the nodes of this Slurm job
  r1trl doctor launch=ray launch.nodes=2            nodes of this Ray cluster
  r1trl doctor recipe=r1 launch=zero3               also what the stages of a run need
"""

RESCORE_EXAMPLES = """examples:
  r1trl rescore runs/demo/stages/scoreboard rewards.accuracy.answer=last_number
  r1trl rescore runs/demo/stages/zero_samples 'rewards={accuracy: {answer: answer_tag}}'
  r1trl rescore runs/demo/stages/zero_samples plugins.load=[examples/brevity.py] rewards.brevity={}
  r1trl rescore completions.jsonl 'rewards={accuracy: {answer: boxed}, think_format: {weight: 0.5}}'
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    raw = argparse.RawDescriptionHelpFormatter
    top = argparse.ArgumentParser(
        "r1trl",
        description="Train reasoning models with DeepSeek-R1's recipes on Hugging Face TRL.",
        epilog=EXIT_STATUS,
        formatter_class=raw,
    )
    commands = top.add_subparsers(dest="command", metavar="command", required=True)
    for name, text in (
        ("run", "carry out a run, or continue it"),
        ("plan", "check everything and print what would run; start nothing"),
        (
            "doctor",
            "look at this machine, or at the nodes of a launch; exit with 1 if it cannot run",
        ),
        ("submit", "check everything, and submit the run as a Slurm job that continues itself"),
    ):
        command = commands.add_parser(
            name,
            help=text,
            description=text,
            epilog=f"{DOCTOR_EXAMPLES if name == 'doctor' else RUN_EXAMPLES}\n{EXIT_STATUS}",
            formatter_class=raw,
        )
        command.add_argument("overrides", nargs="*", metavar="key=value", help="Hydra overrides")
        command.add_argument(
            "--config-dir", type=Path, metavar="DIR", help="a folder of recipes of your own"
        )
        if name == "doctor":
            continue
        if name == "submit":
            command.add_argument(
                "--dry-run", action="store_true", help="print the batch script; submit nothing"
            )
            continue
        command.add_argument(
            "-m",
            "--multirun",
            action="store_true",
            help="sweep: a run for every combination of key=a,b",
        )
        if name == "plan":
            command.add_argument(
                "-v",
                "--verbose",
                action="store_true",
                help="also print the rewards, filters, samplers, transitions and arguments of each "
                "stage, with their options",
            )
            command.add_argument(
                "--preflight",
                action="store_true",
                help="also score gold answers and garbage as each stage would; look at its data",
            )
            command.add_argument(
                "--rehearse",
                action="store_true",
                help="also carry the recipe out in miniature, on the CPU, in a temporary folder",
            )
    text = "list what is offered, by which plugin, with which options"
    command = commands.add_parser("plugins", help=text, description=text)
    command.add_argument("role", nargs="?", choices=ROLES)
    command.add_argument(
        "--load", action="append", default=[], metavar="PLUGIN", help="a module or file to load too"
    )
    text = "run the contract tests on a plugin of your own"
    command = commands.add_parser("check", help=text, description=text)
    command.add_argument(
        "plugin", metavar="PLUGIN", help="a file, a module, or the name of an installed plugin"
    )
    command.add_argument(
        "options", nargs="*", metavar="name.option=value", help="options to check its offers with"
    )
    command.add_argument(
        "--rows",
        type=Path,
        metavar="FILE",
        help="a .jsonl or .parquet file with prompt, completion and columns",
    )
    text = "score saved completions again with other rewards, without a model"
    command = commands.add_parser(
        "rescore", help=text, description=text, epilog=RESCORE_EXAMPLES, formatter_class=raw
    )
    command.add_argument(
        "path",
        type=Path,
        metavar="FOLDER|FILE",
        help="a stage's folder, with a rollouts.parquet, or any .jsonl or .parquet file with a "
        "column completion and those that the rewards read",
    )
    command.add_argument(
        "overrides",
        nargs="*",
        metavar="key=value",
        help="rewards=…, rewards.<name>.<option>=…, scoring.…, plugins.load=[…]",
    )
    text = "write the report of a run"
    command = commands.add_parser("report", help=text, description=text)
    command.add_argument("run", type=Path, help="the run's folder, such as runs/demo")
    text = "compare runs: write a page with their settings, scores and curves; print tables"
    command = commands.add_parser("compare", help=text, description=text)
    command.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run's folder")
    text = "the page; without it compare.html beside the first run"
    command.add_argument("--out", type=Path, metavar="FILE", help=text)
    return top


def main() -> int:
    """Run a command; print an error that the user can fix as one line."""
    tell_exits()
    arguments = _parse(sys.argv[1:])
    try:
        return COMMANDS[arguments.command](arguments)
    except ConfigError as error:
        say("\n".join(f"error: {problem}" for problem in error.problems), error=True)
        return 2
    except R1trlError as error:
        say(f"error: {error}", error=True)
        return 1
    except SystemExit as error:  # r1trl's own commands return
        stack = "".join(traceback.format_exception(error)[-3:])
        say(f"{stack}error: somebody's code has ended the command", error=True)
        return 1
    except KeyboardInterrupt:
        say("error: interrupted; the last checkpoint counts", error=True)
        return 130
    except BrokenPipeError:  # somebody read only the first lines
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        problem = disk_problem(error, Path())
        if problem is None:
            raise
        say(f"error: {problem}", error=True)
        return 1


def _parse(words: list[str]) -> argparse.Namespace:
    """Parse the command line; overrides may stand before, between and after options."""
    top = parser()
    arguments, rest = top.parse_known_args(words)
    if any(word.startswith("-") for word in rest) or (rest and "overrides" not in arguments):
        top.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        arguments.overrides += rest
    return arguments


if __name__ == "__main__":
    sys.exit(main())
