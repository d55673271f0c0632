"""The picture of a run for a terminal of any width: rows of styled text, the important ones first.

Texts in it may be a model's: nothing in them acts on a terminal.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby

from rich.console import Console
from rich.text import Text

from r1trl.live.line import BEGINS, counted, left, step_seconds
from r1trl.live.run import RunNow
from r1trl.process.environment import hide
from r1trl.process.terminal import short
from r1trl.process.texts import printable
from r1trl.report.state import FAILED, FINISHED, RUNNING, STOPPED, WAITING, StageState
from r1trl.stage.times import duration

# What a state looks like; it can be told without colours.
STATES = {
    FINISHED: ("✓", "green"),
    RUNNING: ("▸", "bold cyan"),
    FAILED: ("✗", "bold red"),
    STOPPED: ("■", "yellow"),
    WAITING: ("·", "dim"),
}
LABEL = 13  # cells of what stands before a row
NARROW = 50  # cells; below, there is nothing before a row
BAR = 20  # cells
COMPLETION_ROWS = 4  # of the newest completion, at most
COMPLETION_TEXT = 2000  # characters of it


def picture(run: RunNow, console: Console, width: int, height: int) -> list[Text]:
    """Return the rows of a picture, none of which is wider than the terminal."""
    paper = Paper(console, width)
    head = [paper.wrapped(_head(run)), paper.filled(map(_stage, run.stages))]
    body = [paper.labelled(*row) for row in _body(run)]
    foot = [paper.labelled(*row) for row in _foot(run)]
    rows = [row for part in (*head, *body) for row in part]
    last = [row for part in foot for row in part]
    room = min(COMPLETION_ROWS, height - len(rows) - len(last))
    return [*rows, *_completion(run, paper)[: max(0, room)], *last]


class Paper:
    """Breaks texts into rows of a width."""

    def __init__(self, console: Console, width: int) -> None:
        self.console, self.width = console, max(1, width)

    def wrapped(self, text: Text, width: int | None = None) -> list[Text]:
        """Return a text in rows, broken between words where that is possible."""
        rows = text.wrap(self.console, max(1, width or self.width), overflow="fold")
        for row in rows:
            row.rstrip()
        return list(rows)

    def filled(self, pieces: Iterable[Text]) -> list[Text]:
        """Return pieces beside each other, as many in a row as fit."""
        rows = [Text()]
        for piece in pieces:
            gap = 2 if rows[-1] else 0
            if rows[-1] and rows[-1].cell_len + gap + piece.cell_len > self.width:
                rows.append(Text())
                gap = 0
            rows[-1] = Text.assemble(rows[-1], " " * gap, piece)
        return [each for row in rows for each in self.wrapped(row)]

    def labelled(self, label: str, text: str, style: str = "") -> list[Text]:
        """Return a text with a label before its first row, if there is room for one."""
        body = Text(_clean(text), style)
        if self.width < NARROW:
            return self.wrapped(body)
        heads = [label, *[""] * len(body)]
        rows = self.wrapped(body, self.width - LABEL)
        return [
            Text.assemble((f"{head:{LABEL}}", "dim"), row)
            for head, row in zip(heads, rows, strict=False)
        ]


def _clean(text: str) -> str:
    return printable(hide(text)).expandtabs(1)


def _head(run: RunNow) -> Text:
    parts = [f"{duration(run.seconds)} so far"]
    if run.number:
        parts = [f"stage {run.number} of {len(run.stages)}", *parts]
    if run.place:
        parts = [run.place, *parts]
    return Text.assemble((_clean(str(run.folder)), "bold"), f" · {' · '.join(parts)}")


def _stage(stage: StageState) -> Text:
    symbol, style = STATES[stage.state]
    return Text(f"{symbol} {stage.name}", style)


def _body(run: RunNow) -> Iterator[tuple[str, str] | tuple[str, str, str]]:
    """Yield what there is to say of the stage at work, and why others have ended as they have."""
    if run.at is not None and run.at.state != FINISHED:
        yield from _at_work(run, run.at)
    for stage in run.stages:
        if stage.reason:
            yield stage.state, f"{stage.name}: {short(stage.reason)}", STATES[stage.state][1]


def _at_work(run: RunNow, at: StageState) -> Iterator[tuple[str, str] | tuple[str, str, str]]:
    """Yield what there is to say of the stage at work, or of one that has not finished."""
    now = run.now
    kind = f" ({at.kind})" if at.kind else ""
    known = counted(now) or ([] if now.numbers or now.line or not run.works else [BEGINS])
    yield "", " · ".join([f"{at.name}{kind}", *known]), "bold"
    if run.works and now.done is not None:
        time = f"  {', '.join(left(run))}" if now.left is not None else ""
        yield "", f"{_bar(now.done)} {now.done:.0%}{time}", "cyan"
    for group, numbers in groupby(now.numbers, lambda number: number.group):
        text = ", ".join(number.text for number in numbers)
        yield group, text.removeprefix(f"{group} ")
    if now.step_seconds is not None:
        yield "time", step_seconds(now)
    if now.notice:
        yield "note", short(now.notice, 300), "yellow"
    if run.works and now.leaving:
        yield "", f"{now.leaving}; a second Ctrl-C ends everything at once", "bold yellow"


def _bar(share: float) -> str:
    done = int(share * BAR)
    return f"{'━' * done}{'─' * (BAR - done)}"


def _completion(run: RunNow, paper: Paper) -> list[Text]:
    """Return the newest completion, if the stage at work has written one."""
    completion = run.now.completion
    if not run.works or "completion" not in completion:
        return []
    reward = completion.get("reward")
    scored = f"({reward:.2f}) " if isinstance(reward, int | float) else ""
    text = " ".join(str(completion["completion"]).split())
    return paper.labelled("completion", f"{scored}{short(text, COMPLETION_TEXT)}", "italic")


def _foot(run: RunNow) -> Iterator[tuple[str, str, str]]:
    now = run.now
    if run.at is not None and run.at.state != FINISHED and now.log is not None:
        if run.works and now.line:
            yield "log says", short(now.line, 300), "dim"
        yield "log", str(now.log), "dim"
    yield "report", str(run.folder / "report.html"), "dim"
