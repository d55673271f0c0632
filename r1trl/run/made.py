"""What a stage's kind has made, before its transitions: proven by a file with digests.

While it is as it was made, the kind's run is not repeated. A transition that has changed it and
then failed gets it anew: a finished training is loaded from its last checkpoint, rollouts from
their shards.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from r1trl.checkpoints.marks import damage, digests, names_in, read_proof, write_proof
from r1trl.errors import StageError
from r1trl.process.terminal import say
from r1trl.stage.files import StageSpec

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


def metrics_of(returned: Any, spec: StageSpec) -> dict[str, float]:
    """Return what a kind's run returned on rank 0 as metrics; leave out those that are not finite.

    Raises StageError if it is no mapping from names to numbers, or, of a kind that scores, a name
    is not `<model>/<benchmark>/<metric>`.
    """
    label = f"stages.{spec.stage}: run of kind '{spec.kind}' returned"
    if not isinstance(returned, Mapping):
        raise StageError(f"{label} {returned!r}; it returns a mapping from names to numbers")
    metrics: dict[str, float] = {}
    for name, value in returned.items():
        try:
            number = value if type(value) in (int, float) else float(value)
        except (TypeError, ValueError):
            raise StageError(f"{label} {value!r} as '{name}'; a metric is a number") from None
        if spec.scores and str(name).count("/") < 2:
            raise StageError(f"{label} '{name}'; it scores: <model>/<benchmark>/<metric>")
        if math.isfinite(number):
            metrics[str(name)] = number
        else:
            say(f"the metric '{name}' is {number}, and is left out")
    return metrics
