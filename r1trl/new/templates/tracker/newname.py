"""A tracker: it shows elsewhere how a stage comes on."""

from collections.abc import Mapping, Sequence
from typing import Any

import r1trl


class Newname:
    """Write a line for each logged step into the text file `name` of the stage's folder.

    It is called in a thread of its own. If it raises, that is said once, and the stage goes on.
    """

    def __init__(self, *, name: str = "newname.txt") -> None:
        self.name = name

    def start(self, stage: r1trl.TrackedStage, run_id: str, resumed: bool) -> None:
        """Begin: an attempt that goes on with a stage adds to the file of the one before it."""
        self.file = (stage.folder / self.name).open("a", encoding="utf-8", buffering=1)
        self.file.write(f"{run_id} {'goes on' if resumed else 'begins'}\n")

    def metrics(self, step: int, row: Mapping[str, Any]) -> None:
        """Take a row of metrics.jsonl."""
        numbers = {name: row[name] for name in ("reward", "loss") if row.get(name) is not None}
        told = " ".join(f"{name}={value:.4g}" for name, value in numbers.items())
        self.file.write(f"step {step}: {told}\n")

    def completions(self, step: int | None, rows: Sequence[Mapping[str, Any]]) -> None:
        """Take some completions with their rewards; this tracker does not show them."""

    def alert(self, title: str, text: str, level: str) -> None:
        """Take what somebody should look at."""
        self.file.write(f"{level}: {title}: {text}\n")

    def finish(
        self, result: r1trl.StageResult | None, files: Mapping[str, r1trl.TrackedOutput]
    ) -> None:
        """End; without a result the stage has failed, or was left early."""
        self.file.write("finished\n" if result else "ended early\n")
        self.file.close()


@r1trl.hookimpl
def r1trl_trackers() -> dict[str, Any]:
    """Offer `newname`."""
    return {"newname": Newname}
