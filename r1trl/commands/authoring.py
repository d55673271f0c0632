"""Plugins and recipes of one's own: `new` begins one, `check` tests one."""

import argparse
from pathlib import Path
from typing import Any

from r1trl.commands.words import add_command
from r1trl.process.terminal import say

NEW_EXAMPLES = """\
  r1trl new reward brevity         brevity.py and test_brevity.py
  r1trl new recipe mine            conf/recipe/mine.yaml and test_mine.py
"""


def add_to(commands: Any) -> None:
    """Add the commands with their arguments."""
    from r1trl.new.begin import KINDS

    text = "write a plugin or a recipe to start from, with its test, in the current folder"
    new = add_command(commands, "new", text, _new, NEW_EXAMPLES)
    new.add_argument("what", choices=KINDS, metavar="TEMPLATE", help=", ".join(KINDS))
    new.add_argument("name", metavar="NAME", help="its name in recipes, such as brevity")
    text = "run the contract tests on a plugin of your own"
    check = add_command(commands, "check", text, _check)
    check.add_argument(
        "plugin", metavar="PLUGIN", help="a file, a module, or the name of an installed plugin"
    )
    check.add_argument(
        "options", nargs="*", metavar="name.option=value", help="options to check its offers with"
    )
    check.add_argument(
        "--rows",
        type=Path,
        metavar="FILE",
        help="a .jsonl or .parquet file with prompt, completion and columns",
    )


def _new(arguments: argparse.Namespace) -> int:
    from r1trl.new.begin import begin

    say(begin(arguments.what, arguments.name, Path.cwd()))
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from r1trl.trust.check import check, results_table

    results = check(arguments.plugin, arguments.options, arguments.rows)
    say(results_table(results))
    return 0 if all(result.passed for result in results) else 1
