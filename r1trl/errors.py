"""The errors r1trl raises on purpose; each is one sentence for the person who typed the command.

A message reads `key: what is wrong (did you mean …); what is possible`, and the key in front can
be pasted into an override. Plugins raise plain Python errors; the core wraps them at its calls.
"""

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from r1trl.process.guard import undisturbed


class R1trlError(Exception):
    """Anything that is the matter with what was asked for, not with r1trl."""


class ConfigError(R1trlError, ValueError):
    """The plan cannot be carried out; `problems` holds one line for each reason.

    `partial` is the config without what is wrong in it, if there is one: it is checked further,
    so that all problems are reported at once.
    """

    def __init__(self, problems: list[str], partial: Any = None) -> None:
        super().__init__("\n".join(problems))
        self.problems, self.partial = problems, partial


class StageError(R1trlError, RuntimeError):
    """A stage failed while it ran."""


class Interrupted(Exception):  # noqa: N818 - not an error
    """A signal came, and everything is saved."""


@contextmanager
def errors_named(key: str) -> Iterator[None]:
    """Turn what a plugin raises into a StageError that names its key; one that has a key stays.

    What else it does to the process is put right; see `guard.undisturbed`.
    """
    try:
        with undisturbed(key):
            yield
    except R1trlError as error:
        if str(error).startswith("stages."):
            raise
        raise StageError(f"{key}: {error}") from error
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        raise StageError(f"{key}: {raised(error)}") from error


def raised(error: BaseException) -> str:
    """Return what somebody's code has raised, in words."""
    end = " (it ends the process)" if isinstance(error, SystemExit) else ""
    return f"{type(error).__name__}: {error}{end}"


def suggest(word: str, known: Iterable[str]) -> str:
    """Return " (did you mean 'x'?)", or nothing if no known word is close."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (did you mean '{close[0]}'?)" if close else ""


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """Say that no `what` is called `name`, what is close, and what there is."""
    known = sorted(known)
    offers = ", ".join(known) if known else "none"
    return f"no {what} is called '{name}'{suggest(name, known)}; there are: {offers}"
