"""What a stage's kind has made, before its transitions: proven by a file with digests.

While it is as it was made, the kind's run is not repeated. A transition that has changed it and
then failed gets it anew: a finished training is loaded from its last checkpoint, rollouts from
their shards.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from r1trl.checkpoints.marks import damage, digests, names_in, read_proof, write_proof

MADE = "made.json"


def write_made(output: Path, metrics: Mapping[str, float], identity: Mapping[str, Any]) -> None:
    """Write which files an output, a folder or a file, consists of, and the metrics of its run."""
    is_folder = output.is_dir()
    names = [f"{output.name}/{n}" for n in names_in(output)] if is_folder else [output.name]
    folder = output.parent
    content = {"identity": identity, "metrics": metrics, "files": digests(folder, names)}
    write_proof(folder / MADE, content)


def read_made(folder: Path, accepted: Sequence[Mapping[str, Any]]) -> dict[str, float] | None:
    """Return the metrics of a run whose output is as it was made; None if it must be made.

    `accepted` are the identities that it may have been made with.
    """
    try:
        content = read_proof(folder / MADE)
        files, known = content["files"], content["identity"] in accepted
        whole = known and files and damage(folder, files) is None
        return dict(content["metrics"]) if whole else None
    except (OSError, ValueError):
        return None  # none, or one that is damaged: what it proves can be made again
