"""Artifacts of Weights & Biases: what a stage reads and makes, and the code of plugins."""

import importlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from r1trl import TrackedOutput, TrackedStage


def artifact_name(run: str, stage: str) -> str:
    """Return the name of the artifact that a stage of a run makes: W&B allows few characters."""
    return re.sub(r"[^\w.-]+", "-", f"{run}-{stage}")[:128]


def log_code(run: Any, stage: TrackedStage) -> None:
    """Log the sources of plugins that do not come with r1trl; equal ones are one version."""
    if stage.code:
        artifact = _artifact(artifact_name(stage.run, "plugins"), "code", {})
        for name, text in stage.code.items():
            with artifact.new_file(name, encoding="utf-8") as file:
                file.write(text)
        run.log_artifact(artifact)


def use_inputs(run: Any, stage: TrackedStage) -> str | None:
    """Say that a W&B run which is online uses what earlier stages have made.

    Return a sentence on what W&B does not have, because that stage was not logged online.
    """
    missing = []
    for each in stage.inputs:
        if each.stage and each.run_id:
            try:
                run.use_artifact(f"{artifact_name(stage.run, each.stage)}:{each.run_id}")
            except (importlib.import_module("wandb").errors.Error, ValueError) as error:
                missing.append(f"{each.name} ({type(error).__name__})")
    if not missing:
        return None
    return f"W&B has no artifact of {', '.join(missing)}; they are in the config as inputs"


def log_outputs(
    run: Any, stage: TrackedStage, files: Mapping[str, TrackedOutput], *, upload: bool
) -> None:
    """Log the model or rows that a stage hands over, with what they were made from.

    The inputs stand in the metadata too, as an offline run cannot use artifacts. Without `upload`
    an artifact refers to the place on the disk.
    """
    for kind, output in files.items():
        made = {"stage": stage.name, "run": stage.run, "digest": output.digest}
        made |= {"path": str(output.path), "inputs": [asdict(each) for each in stage.inputs]}
        artifact = _artifact(artifact_name(stage.run, stage.name), kind, made)
        with artifact.new_file("made.json", encoding="utf-8") as file:
            json.dump(made, file, indent=1)  # so that another digest is another version
        if not upload:
            artifact.add_reference(output.path.absolute().as_uri(), kind, checksum=False)
        elif output.path.is_dir():
            artifact.add_dir(str(output.path), kind)
        else:
            artifact.add_file(str(output.path))
        run.log_artifact(artifact, aliases=["latest", run.id])


def _artifact(name: str, kind: str, metadata: Mapping[str, Any]) -> Any:
    return importlib.import_module("wandb").Artifact(name, kind, metadata=dict(metadata))
