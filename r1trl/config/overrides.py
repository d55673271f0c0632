"""The overrides of a command line, `key=value`, `~key` and `group=option`, and sweeps over them.

Hydra's grammar reads values. Hydra itself gets groups alone: it would merge a mapping into the
recipe's, and takes few characters in a key, so `keys.py` sets the keys.
"""

import itertools
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from r1trl.errors import ConfigError, suggest, unknown

PARTS = re.compile(r"(~|\+{0,2})([^=]*)(=?)(.*)", re.DOTALL)
QUOTED = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\"""", re.DOTALL)
ESCAPES = {"\\n": "\n", "\\t": "\t"}
PROBLEMS = "sources.problems"  # the source that is trained on
CHOSEN = ("recipe", "scale", "model", "launch", "hardware", "dataset")  # + adds nothing
OWN_VALUE = {"model": "path", "dataset": "path", "launch": "how"}
NOT_SWEPT = dict.fromkeys(("until", "redo", "keep"), "is not swept over; [a,b] is a list of stages")
NO_HYDRA = "r1trl does not run Hydra's jobs; runs_dir= and name= say where a run is, and -m sweeps"


@dataclass(frozen=True)
class Override:
    """An override in parts: its prefix ("", "+", "++" or "~"), its value as typed and as parsed."""

    prefix: str
    key: str
    written: str
    parsed: Any

    @property
    def deletes(self) -> bool:
        """Return True for `~key`."""
        return self.prefix == "~"

    @property
    def value(self) -> Any:
        """Return the value."""
        return self.parsed.value()

    @property
    def text(self) -> str:
        """Return the override in one piece."""
        return f"{self.prefix}{self.key}" + ("" if self.deletes else f"={self.written}")


def read_all(texts: Sequence[str], *, sweeps: bool = False) -> list[Override]:
    """Read overrides; raise ConfigError with everything that cannot be read.

    `sweeps`: `key=a,b` is possible.
    """
    read, problems = list[Override](), list[str]()
    for text in texts:
        try:
            override = _read(text)
        except ConfigError as error:
            problems += error.problems
            continue
        read.append(override)
        if override.parsed.is_sweep_override() and not sweeps:
            key, written = override.key, override.written
            problems.append(f"{key}: {written} is a sweep; add -m, or {_quoting(key, written)}")
    if problems:
        raise ConfigError(problems)
    return read


def _read(text: str) -> Override:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    match = PARTS.fullmatch(text)
    assert match
    prefix, key, equals, written = match.groups()
    written = QUOTED.sub(_with_escapes, written)
    if not all(key.split(".")) or not (equals or prefix == "~"):
        raise ConfigError([f"'{text}': is no override; give key=value, group=option or ~key"])
    if key.startswith(("hydra.", "hydra/")):
        raise ConfigError([f"{key}: {NO_HYDRA}"])
    if equals and prefix == "~":
        raise ConfigError([f"{key}: to delete it, leave out ={written}"])
    try:
        parsed = OverridesParser.create().parse_rule(f"k={written}", "override")
    except HydraException as error:
        problem = f"{key}: cannot read {' '.join(written.split())}: {_reason(error, written)}"
        raise ConfigError([f"{problem}; {_mend(key, written)}"]) from error
    return Override(prefix, key, written, parsed)


def _with_escapes(quoted: re.Match[str]) -> str:
    r"""Return a quoted text; in double quotes `\n` and `\t` are what YAML makes of them."""
    text = quoted[0]
    return re.sub(r"\\.", lambda m: ESCAPES.get(m[0], m[0]), text) if text[0] == '"' else text


def split(
    overrides: Sequence[Override], folders: Sequence[Path]
) -> tuple[list[Override], list[Override]]:
    """Return the overrides of groups' options, and of keys; `folders`: Hydra's search path."""
    names = {p.name for folder in folders for p in folder.iterdir() if p.is_dir()}
    groups, keys = list[Override](), list[Override]()
    for override in overrides:
        name = override.key.partition("@")[0]
        if "." in name or name.partition("/")[0] not in names:
            keys.append(override)
            continue
        prefix = "" if override.key in CHOSEN else override.prefix[:1]
        prefix = "~" if override.deletes or override.value is None else prefix
        groups.append(replace(override, prefix=prefix))
    return groups, keys


def package_of(choice: Override) -> str:
    """Return the key that a chosen option is mounted at; empty if its file says so."""
    return PROBLEMS if choice.key == "dataset" else choice.key.partition("@")[2]


def unknown_options(groups: Sequence[Override], folders: Sequence[Path]) -> Iterator[str]:
    """Yield what is wrong with the options that are chosen of groups."""
    for override in groups:
        group, choice = override.key.partition("@")[0], override.value
        files = [(f / group, file) for f in folders for file in (f / group).rglob("*.yaml")]
        options = sorted({str(file.relative_to(f).with_suffix("")) for f, file in files})
        if override.deletes or choice is None or isinstance(choice, list) or choice in options:
            continue
        problem = f"{override.key}: {unknown(group, str(choice), options)}"
        no_name = not suggest(str(choice), options) or "/" in str(choice)
        if isinstance(choice, dict) or (group in OWN_VALUE and no_name):
            own = f"{package_of(override) or group}.{OWN_VALUE.get(group, '<key>')}"
            problem += f"; for a value of your own: {own}=…"
        yield problem


def _reason(error: Exception, written: str) -> str:
    """Return why Hydra's grammar cannot read a value, in a few words."""
    cause, text = error.__cause__, " ".join(str(error).split())
    if (start := getattr(cause, "startIndex", None)) is not None:
        wrong = written[start - len("k=")]
        return f"the quote {wrong} has no end" if wrong in "'\"" else f"{wrong} must be quoted"
    if (token := getattr(cause, "offendingToken", None)) is not None:
        wrong = "cannot stand there" if token.text[0] in "'\"" else "must be quoted"
        return "it has no end" if token.text == "<EOF>" else f"{token.text} {wrong}"
    match = re.match(r"extraneous input '(.+?)' expecting", text)
    return f"{match[1]} must be quoted" if match else text


def _mend(key: str, written: str) -> str:
    """Return how a value that cannot be read is written."""
    if written.startswith(("{", "[")) and not written.startswith("{{"):
        return "a mapping is {key: value}, a list [a, b]; values in them may be quoted, keys not"
    return _quoting(key, written)


def _quoting(key: str, written: str) -> str:
    """Return how a value is given as text, to be pasted into a shell."""
    from hydra.core.override_parser.types import Quote, QuotedString

    quoted = QuotedString(written, Quote.double).with_quotes()
    return f"quote it: {shlex.quote(f'{key}={quoted}')}"


def sweep(texts: Sequence[str]) -> list[tuple[list[str], str]]:
    """Expand `key=a,b` into the overrides of every combination, and what its run's name ends in.

    The default name of a run has the recipe and the scale in it already.
    """
    read = read_all(texts, sweeps=True)
    keys = [override.key for override in read]
    told = ("name",) if "name" in keys else ("recipe", "scale")
    sweeps = [i for i, override in enumerate(read) if override.parsed.is_sweep_override()]
    swept = [i for i in sweeps if keys[i] not in told]
    if wrong := [f"{keys[i]}: {NOT_SWEPT[keys[i]]}" for i in sweeps if keys[i] in NOT_SWEPT]:
        raise ConfigError(wrong)
    combinations = map(list, itertools.product(*map(_choices, read)))
    return [(each, ",".join(_file_name(each[i]) for i in swept)) for each in combinations]


def _choices(override: Override) -> list[str]:
    """Return an override for each value that is swept over."""
    from hydra.errors import HydraException

    start = f"{override.prefix}{override.key}="
    if not override.parsed.is_sweep_override():
        return [override.text]
    try:
        return [f"{start}{value}" for value in override.parsed.sweep_string_iterator()]
    except HydraException as error:
        told = f"{override.key}: {override.written} cannot be listed; give {start}a,b"
        raise ConfigError([told]) from error


def _file_name(override: str) -> str:
    """Return `key=value` with the last part of the key, fit for the name of a folder."""
    key, _, value = override.partition("=")
    return re.sub(r"[^\w.=,+-]", "-", f"{key.rpartition('.')[2].lstrip('+')}={value}")
