"""Stages that look finished without having run, with the identity that they would have."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from r1trl.identity.found import made_files
from r1trl.plan.plan import PlannedStage
from r1trl.run.loop import write_stage
from r1trl.stage.files import outputs, read_spec, write_result
from r1trl.types import StageResult


def finish(planned: PlannedStage, metrics: Mapping[str, float] | None = None, **more: Any) -> Path:
    """Make a planned stage look finished, its inputs as they are; return its folder."""
    write_stage(planned)
    folder = planned.folder
    spec = read_spec(folder)
    assert spec is not None
    model, dataset = outputs(folder, spec.makes)
    if model:
        model.mkdir(exist_ok=True)
        (model / "weights").write_text("1")
    result = StageResult(
        spec.stage,
        spec.kind,
        folder,
        model,
        dataset,
        metrics or {},
        inputs=spec.read,
        made=made_files(folder, model),
        identity=spec.identity,
        versions=spec.versions,
        **more,
    )
    write_result(result)
    return folder
