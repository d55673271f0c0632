"""The command line: its commands, and their errors as sentences."""

import argparse
import os
import re
import sys
import traceback
from pathlib import Path
from typing import NoReturn

from r1trl.commands import authoring, lookup, results, runs
from r1trl.commands.version import PrintVersions
from r1trl.commands.words import EXIT_STATUS
from r1trl.errors import ConfigError, R1trlError, unknown
from r1trl.process.guard import tell_exits
from r1trl.process.terminal import say
from r1trl.storage.room import disk_problem

NO_CHOICE = re.compile(r"argument (\S+): invalid choice: '(.*?)' \(choose from (.*)\)")


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence, with what was meant; the exit status is 2."""

    def error(self, message: str) -> NoReturn:
        """Print the error, and end the command."""
        if match := NO_CHOICE.fullmatch(message):
            what, word, there = match.groups()
            names = re.findall("'(.*?)'", there) or there.split(", ")
            message = unknown(what.lower(), word, names)
        say(f"error: {message}; see {self.prog} --help", error=True)
        sys.exit(2)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    top = Parser(
        "r1trl",
        description="Train reasoning models with DeepSeek-R1's recipes on Hugging Face TRL.",
        epilog=EXIT_STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action=PrintVersions, nargs=0)
    commands = top.add_subparsers(dest="command", metavar="command", required=True)
    for each in (runs, lookup, authoring, results):
        each.add_to(commands)
    return top


def main() -> int:
    """Run a command; print an error that the user can fix as one line."""
    if "_ARGCOMPLETE" in os.environ:  # the shell asks, and the process ends here
        import argcomplete

        argcomplete.autocomplete(parser())
    tell_exits()
    arguments = _parse(sys.argv[1:])
    try:
        return int(arguments.carry_out(arguments))
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
