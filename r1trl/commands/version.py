"""`r1trl --version`: r1trl's version, and those of what it stands on."""

import argparse
from typing import Any

from r1trl.process.terminal import say


class PrintVersions(argparse.Action):
    """Print a version per line, and end the command."""

    def __init__(self, option_strings: list[str], dest: str, nargs: int) -> None:
        text = "print the versions of r1trl and of what it stands on"
        super().__init__(option_strings, dest, nargs=nargs, help=text)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """Print the versions, r1trl's first."""
        from r1trl.identity.versions import installed_versions

        say("\n".join(f"{name} {version}" for name, version in installed_versions().items()))
        parser.exit()
