"""The line that says how far a stage is, for output that is no terminal."""

from collections.abc import Iterator

from r1trl.live.run import RunNow
from r1trl.live.stage import STEPS, StageNow
from r1trl.process.terminal import short
from r1trl.stage.times import duration

WIDTH = 400  # characters
BEGINS = "begins"  # what a stage does that has not said anything


def line(run: RunNow) -> str:
    """Return what the stage at work is doing, in one line."""
    assert run.at is not None
    place = f"{run.place}, " if run.place else ""
    return short(f"{place}{run.at.name}: {', '.join(_parts(run))}".replace("\n", " "), WIDTH)


def _parts(run: RunNow) -> Iterator[str]:
    now = run.now
    yield from counted(now)
    yield from (number.text for number in now.numbers)
    if now.step_seconds is not None:
        yield step_seconds(now)
    if now.left is not None:
        yield from left(run)
    yield from filter(None, (now.notice, now.leaving))
    if not now.counts and not now.numbers:
        yield now.line or BEGINS


def left(run: RunNow) -> Iterator[str]:
    """Yield how long the stage at work still takes, and the run if that is more."""
    assert run.now.left is not None
    yield f"about {duration(run.now.left)} left"
    if run.waiting and run.later is not None:
        yield f"of the run about {duration(run.now.left + run.later)}"
    elif run.waiting:
        yield f"then {run.waiting} stage{'s' * (run.waiting > 1)}"


def counted(now: StageNow) -> list[str]:
    """Return how much is done of what a stage counts."""
    if STEPS in now.counts:
        return ["step {:,} of {:,}".format(*now.counts[STEPS])]
    return [
        f"{what} {done:,} of {of:,}" if of is not None else f"{what} {done:,}"
        for what, (done, of) in now.counts.items()
    ]


def step_seconds(now: StageNow) -> str:
    """Return the seconds of a step, and the shares of what they go to."""
    assert now.step_seconds is not None
    total = sum(now.spent.values())
    shares = sorted(now.spent.items(), key=lambda spent: -spent[1])
    parts = [f"{what} {seconds / total:.0%}" for what, seconds in shares if seconds > 0.005 * total]
    return f"{now.step_seconds:.2g} s a step" + (f" ({', '.join(parts)})" if parts else "")
