"""Names that become folders, files and parts of metrics: they stay where they belong."""

import re
import unicodedata
from collections.abc import Mapping, Sequence

from r1trl.process.environment import hide

POSSIBLE = "use letters, digits and . _ = , + -, not with . or - at the begin"
LONGEST = 200  # bytes; a file's name has 255, and others are added
RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")  # on Windows
TAKEN = (".part", ".removed")  # ends of names that writing a file or folder uses


def name_problems(groups: Mapping[str, Sequence[object]]) -> list[str]:
    """Return which names cannot be folders; `groups` are names by the keys that they stand under.

    Two of a group that differ in case alone are one folder on some disks.
    """
    problems = []
    for key, names in groups.items():
        texts, seen = [str(name) for name in names], dict[str, str]()
        for name in texts:
            if why := _problem(name):
                problems.append(f"{key}: {name[:LONGEST]!r} cannot be the name of a folder{why}")
            other = seen.setdefault(name.casefold(), name)
            if other != name:
                problems.append(f"{key}: '{name}' and '{other}' are one folder on some disks")
    return problems


def _problem(name: str) -> str | None:
    """Return what is wrong with a name; None if nothing is."""
    if not re.fullmatch(r"[\w.=,+-]+", name) or name.startswith((".", "-")):
        return f"; {POSSIBLE}"
    if hide(name) != name:
        return ": it has a secret in it"
    if len(name.encode()) > LONGEST:
        return f": it has {len(name.encode())} bytes, and {LONGEST} are the most"
    if unicodedata.normalize("NFKC", name) != name:
        return f": it looks like {unicodedata.normalize('NFKC', name)!r}; write that"
    if RESERVED.fullmatch(name):
        return ": it means a device on Windows"
    return f": names of unfinished files end in {name[-5:]!r}" if name.endswith(TAKEN) else None
