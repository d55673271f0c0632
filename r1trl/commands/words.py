"""What several commands have in common: their overrides, and what their help ends with."""

import argparse
from pathlib import Path
from typing import Any

EXIT_STATUS = """exit status:
  0  done
  1  a stage failed, or a transition ended the run; the reason is printed
  2  the plan or the command line is wrong
  3  left early on a signal or at time_limit: the same command continues"""
LOAD = "a module or file of plugins to load too"


def add_command(
    commands: Any, name: str, text: str, carry_out: Any, examples: str = ""
) -> argparse.ArgumentParser:
    """Add a command; `carry_out` gets the parsed arguments and returns the exit status."""
    raw = argparse.RawDescriptionHelpFormatter
    epilog = f"examples:\n{examples}\n{EXIT_STATUS}" if examples else EXIT_STATUS
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=text, epilog=epilog, formatter_class=raw
    )
    command.set_defaults(carry_out=carry_out)
    return command


def add_overrides(command: argparse.ArgumentParser, what: str = "Hydra overrides") -> None:
    """Add the overrides of a run, and the folder of its own configs."""
    from r1trl.catalog.completion import complete_overrides

    overrides: Any = command.add_argument("overrides", nargs="*", metavar="key=value", help=what)
    overrides.completer = complete_overrides
    add_config_dir(command)


def add_config_dir(command: argparse.ArgumentParser) -> None:
    """Add the folder of a user's own recipes and other configs."""
    command.add_argument(
        "--config-dir", type=Path, metavar="DIR", help="a folder of recipes of your own"
    )
