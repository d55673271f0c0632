"""What a stage tells of itself while it goes on: to trackers, and to the hook `r1trl_logged`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from r1trl.errors import Interrupted, R1trlError, raised
from r1trl.plugins.hooks import notify
from r1trl.plugins.loading import Plugins
from r1trl.process.terminal import say
from r1trl.stage.files import StageSpec
from r1trl.storage.writing import written
from r1trl.trackers import Level
from r1trl.tracking.record import identified, outputs_of, tracked
from r1trl.tracking.sender import Sender
from r1trl.types import Stage, StageResult

ROLLOUTS = 500  # rows of a stage's dataset that trackers show


@dataclass
class Tracking:
    """What is told of a stage, on rank 0; as it is made here, nothing is told to anybody.

    `completions` is how many are recorded of each logging step. At the end of a block of it every
    tracker has `finish` called, and is waited for, but not longer than its patience.
    """

    completions: int = 0
    stage: Stage | None = None
    plugins: Plugins | None = None
    senders: Sequence[Sender] = ()
    finished: bool = False

    def metrics(self, row: Mapping[str, Any]) -> None:
        """Tell a row of metrics, with its `step`; raise StageError if an observer fails."""
        step = int(row["step"])
        if self.stage and self.plugins:
            told = {"stage": self.stage, "step": step, "metrics": dict(row)}
            notify(self.plugins.manager, "r1trl_logged", f"stages.{self.stage.name}", **told)
        self._send("metrics", step, row)

    def metrics_again(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Tell trackers rows that an earlier attempt has told, and that they may have lost."""
        for row in rows:
            self._send("metrics", int(row["step"]), row)

    def samples(self, rows: Sequence[Mapping[str, Any]], step: int | None = None) -> None:
        """Tell some completions of a step, or of a stage without steps."""
        if rows:
            self._send("completions", step, rows)

    def alert(self, title: str, text: str, level: Level) -> None:
        """Tell what somebody should look at."""
        self._send("alert", title, text, level)

    def finish(self, result: StageResult | None) -> None:
        """Tell the stage's result, with some of the rows that it has made; None without one."""
        if self.senders and not self.finished:
            self.finished = True
            outputs = outputs_of(result) if result else {}
            if "dataset" in outputs:
                self.samples(spread_rows(outputs["dataset"].path, ROLLOUTS))
            for sender in self.senders:
                sender.send("finish", result, outputs)

    def _send(self, method: str, *arguments: Any) -> None:
        if self.senders:  # they get what the run's files have: no secrets, whole characters
            text = written(json.dumps(arguments, ensure_ascii=False, default=str))
            for sender in self.senders:
                sender.send(method, *json.loads(text))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is not None and not isinstance(error, Interrupted):
            text = str(error) if isinstance(error, R1trlError) else raised(error)
            name = self.stage.name if self.stage else ""
            self.alert(f"stage {name} failed", text, "error")
        self.finish(None)
        for sender in self.senders:
            sender.drain()


def begin_tracking(spec: StageSpec, folder: Path, plugins: Plugins) -> Tracking:
    """Return what is told of a stage on rank 0; make its trackers, and start them."""
    senders = []
    for name, options in spec.trackers.items():
        key = f"trackers.{name}"
        try:
            tracker = plugins.find("tracker", name).bind(options)
        except BaseException as error:  # noqa: BLE001 - a tracker stops no stage
            say(f"{key}: is lost ({raised(error)}); the stage goes on without it", error=True)
            continue
        senders.append(Sender(key, tracker))  # type: ignore[arg-type]
    if senders:
        known, resumed = identified(spec, folder)
        stage = tracked(spec, folder, plugins, known["first_step"])
        for sender in senders:
            sender.send("start", stage, known["run_id"], resumed)
    return Tracking(spec.completions, spec.at(folder), plugins, senders)


def spread_rows(path: Path, count: int) -> list[dict[str, Any]]:
    """Return at most `count` rows of a file of rows, at equal distances."""
    from pyarrow import dataset

    rows = dataset.dataset(path)
    total = rows.count_rows()
    picked = range(total) if total <= count else [i * total // count for i in range(count)]
    found: list[dict[str, Any]] = rows.take(list(picked)).to_pylist()
    return found
