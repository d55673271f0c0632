"""What an earlier command has left of a stage: nothing, a half done one, or a finished one.

Nothing may be used of a stage that is damaged: a file that was made is gone, or is another one.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from r1trl.errors import ConfigError, R1trlError
from r1trl.formats import format_of
from r1trl.identity.inputs import UNKNOWN
from r1trl.stage.files import StageSpec, read_result, read_spec
from r1trl.storage.digests import Digests, files_in
from r1trl.types import StageResult

# What a stage writes besides what it hands over; any other file of rows is a transition's.
OWN_FILES = (
    *("metrics.jsonl", "completions.jsonl", "pass_rates.jsonl", "notes.jsonl", "scoring.json"),
    *("made.json", "trainer_args.json", "result.json", "rescored.parquet"),
    "tracking.json",
)
MADE_IN = ("checkpoints/*", "shards/**/*.parquet", "made.json")  # what a stage continues from


@dataclass(frozen=True)
class Found:
    """A stage as it was found; `result` is None if it is half done."""

    spec: StageSpec
    result: StageResult | None

    @property
    def identity(self) -> dict[str, Any]:
        """Return the identity that it was begun with."""
        return dict(self.result.identity if self.result else self.spec.identity)

    @property
    def kept(self) -> dict[str, Any]:
        """Return what else it has been used for on the user's word, and the differences."""
        return dict(self.result.kept if self.result else self.spec.kept)

    @property
    def accepted(self) -> list[dict[str, Any]]:
        """Return the identities that it fits, with commits as they were read; the last one last."""
        both = [self.identity, self.kept.get("identity") or self.identity]
        return [{**each, "inputs": self._with_commits(each.get("inputs", {}))} for each in both]

    def _with_commits(self, inputs: Mapping[str, str]) -> dict[str, str]:
        """Return inputs with the commits of names on the Hub that the worker has found out."""
        found = {}
        for key, value in inputs.items():
            name, _, commit = value.rpartition("@")
            found[key] = f"{name}@{self.read.get(name, commit)}" if commit == UNKNOWN else value
        return found

    @property
    def read(self) -> dict[str, str]:
        """Return the digests of what it has read, by reference, those accepted later in place."""
        own = self.result.inputs if self.result else self.spec.read
        return {**own, **self.kept.get("inputs", {})}


def find(folder: Path) -> Found | None:
    """Return what there is of a stage in its folder; None if nothing would be used of it.

    Raises ConfigError if a file cannot be read, or stage.yaml is gone.
    """
    result = read_result(folder)
    if result is None and not is_begun(folder):
        return None
    spec = read_spec(folder)
    if spec is None:
        has = "a result.json" if result else "checkpoints or shards"
        redo = f"redo={folder.name} carries the stage out again"
        raise ConfigError([f"{folder}: has {has} and no stage.yaml, so it cannot be used; {redo}"])
    return Found(spec, result)


def is_begun(folder: Path) -> bool:
    """Return True if a stage that is carried out now would continue with what is in its folder.

    Rows in data/ are made anew at each attempt, and do not count.
    """
    return any(any(folder.glob(pattern)) for pattern in MADE_IN)


def made_files(folder: Path, output: Path | None) -> dict[str, str]:
    """Return the SHA-256 of what a stage has made, by the path in its folder.

    These are the files of its `output`, and files of rows that its transitions have written.
    """
    files = [path for path in sorted(folder.iterdir()) if path.is_file()]
    rows = [path for path in files if format_of(path) and path.name not in OWN_FILES]
    found = {path.name: path for path in rows}
    if output is not None and output.is_dir():
        at = os.path.relpath(output, folder)
        found |= {f"{at}/{name}": path for name, path in files_in(output).items()}
    return Digests().of_files(found)


def damages(folder: Path, made: Mapping[str, str], digests: Digests) -> list[str]:
    """Return what is wrong with the files that a finished stage has made."""
    gone = [name for name in made if not (folder / name).is_file()]
    files = {name: folder / name for name in made if name not in gone}
    try:
        now = digests.of_files(files)
    except (OSError, R1trlError) as error:
        return [f"cannot be read: {error}"]
    changed = [name for name, digest in now.items() if digest != made[name]]
    lines = [f"{name} is gone" for name in gone]
    return [*lines, *(f"{name} is not what the stage has made" for name in changed)]
