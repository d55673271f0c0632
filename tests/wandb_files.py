"""Files of Weights & Biases that were written offline, read back: records in LevelDB's log form."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def records(path: Path) -> Iterator[Any]:
    """Yield the records of a .wandb file, as W&B's own protocol has them."""
    from wandb.proto import wandb_internal_pb2

    data, at, content = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:  # the rest of a block is padding
            at += 32768 - at % 32768
            continue
        length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        content += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # a full record, or the last part of one
            record = wandb_internal_pb2.Record()
            record.ParseFromString(content)
            content = b""
            yield record


def values(items: Any) -> dict[str, Any]:
    """Return what a list of items holds, by key."""
    found: dict[str, Any] = {}
    for item in items:
        *outer, last = item.nested_key or [item.key]
        inner = found
        for key in outer:
            inner = inner.setdefault(key, {})
        inner[last] = json.loads(item.value_json)
    return found


class WandbRun:
    """What is in one .wandb file, which is one attempt at a stage."""

    def __init__(self, path: Path) -> None:
        self.folder = path.parent
        self.by_type: dict[str, list[Any]] = {}
        for record in records(path):
            name = record.WhichOneof("record_type")
            self.by_type.setdefault(name, []).append(getattr(record, name))

    @property
    def run(self) -> Any:
        """Return the record that begins the run."""
        return self.by_type["run"][0]

    @property
    def config(self) -> dict[str, Any]:
        """Return the config that it begins with."""
        return values(self.run.config.update)

    @property
    def history(self) -> list[dict[str, Any]]:
        """Return the rows that were logged."""
        return [values(row.item) for row in self.by_type.get("history", [])]

    @property
    def artifacts(self) -> list[Any]:
        """Return the artifacts that were logged."""
        return self.by_type.get("artifact", [])

    def table(self, value: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the rows of a table that stands in the history."""
        content = json.loads((self.folder / "files" / value["path"]).read_text(encoding="utf-8"))
        return [dict(zip(content["columns"], row, strict=True)) for row in content["data"]]


def wandb_runs(stage: Path) -> list[WandbRun]:
    """Return the attempts at a stage, in the order of time."""
    return [WandbRun(path) for path in sorted(stage.glob("wandb/*run-*/*.wandb"))]
