"""A plugin with a tracker that writes down what it is told, and may fail or hang at a method."""

import json
from pathlib import Path
from typing import Any

PLUGIN = '''
import dataclasses
import json
import pathlib
import threading
import time

import r1trl


class Recorder:
    """Append what it is told to `path`; raise or hang `at` a method, as `how` says."""

    def __init__(self, *, path: str, at: str = "", how: str = "raise", patience: float = 1.0):
        self.path, self.at, self.how, self.patience = pathlib.Path(path), at, how, patience
        self._note("__init__")

    def _note(self, method, **told):
        if method == self.at:
            if self.how == "hang":
                time.sleep(600)
            raise ConnectionError("nobody answers")
        own = threading.current_thread() is not threading.main_thread()
        with self.path.open("a") as file:
            line = {"method": method, "own_thread": own, **told}
            file.write(json.dumps(line, default=str) + "\\n")

    def start(self, stage, run_id, resumed):
        told = dataclasses.asdict(stage)
        self._note("start", stage=told, run_id=run_id, resumed=resumed)
        return "begun"

    def metrics(self, step, row):
        self._note("metrics", step=step, row=row)

    def completions(self, step, rows):
        self._note("completions", step=step, rows=rows)

    def alert(self, title, text, level):
        self._note("alert", title=title, text=text, level=level)

    def finish(self, result, files):
        files = {name: dataclasses.asdict(each) for name, each in files.items()}
        self._note("finish", metrics=result and dict(result.metrics), files=files)


@r1trl.hookimpl
def r1trl_trackers():
    return {"recorder": Recorder, "second": Recorder}
'''


def told(path: Path, method: str | None = None) -> list[dict[str, Any]]:
    """Return what a recorder was told, or what one method of it was."""
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [line for line in lines if method in (None, line["method"])]
