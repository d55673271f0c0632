"""How a rank ends: watched, with an exit status, and its error where the driver finds it."""

import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from r1trl.errors import Interrupted, R1trlError
from r1trl.process.terminal import say
from r1trl.stage.ranks import check_world, rank
from r1trl.storage.room import explained
from r1trl.watch.beats import write_error
from r1trl.watch.rank import FAILED, LEFT_EARLY, RankWatch


def status_of(folder: Path, carry_out: Callable[[Path], None]) -> int:
    """Carry out the stage in a folder, watched; return the exit status after printing the reason.

    The reason also stands in the rank's file of errors, its sentence first.
    """
    try:
        check_world()
        with RankWatch(folder) as watch:
            watch.status = _carried_out(folder, carry_out)
        return watch.status
    except (R1trlError, OSError) as error:  # it has not begun, and another may be at work there
        say(f"error: {explained(error, folder) or error}", error=True)
        return FAILED


def _carried_out(folder: Path, carry_out: Callable[[Path], None]) -> int:
    try:
        carry_out(folder)
    except Interrupted as signal:
        say(f"left early on {signal}; the same command continues")
        return LEFT_EARLY
    except BaseException as error:  # noqa: BLE001 - a bug's traceback belongs in the log
        _tell(error, folder)
        return FAILED
    return 0


def _tell(error: BaseException, folder: Path) -> None:
    """Print an error as a sentence, if it is r1trl's own or the disk's, else its traceback."""
    sentence = explained(error, folder)
    own = sentence is not None and isinstance(error, R1trlError | OSError)
    trace = "" if own else "".join(traceback.format_exception(error))
    first = sentence or traceback.format_exception_only(error)[-1].strip().splitlines()[0]
    with suppress(OSError):  # the log may be on a full disk: the driver asks the disk too
        say(f"{trace}error: {first}" if sentence else trace, error=True)
    write_error(folder, rank(), f"{first}\n{trace}")
