"""A stage as r1trl lays it out, for the scripts that train it with r1trl and with bare TRL."""

from pathlib import Path
from typing import Any

from r1trl.run.work import StageWork


class UntrainedWork(StageWork):
    """The work of a stage whose trainer is made, and not trained yet."""

    def train(self, trainer: Any) -> dict[str, float]:
        """Keep the trainer as it is."""
        self.trainer = trainer
        return {}

    def made(self) -> Any:
        """Return the trainer that the stage's kind makes."""
        self.kind.run(self)
        return self.trainer


def first_stage(overrides: list[str], config_dir: Path | None = None) -> UntrainedWork:
    """Return the work of the first stage of a run."""
    from r1trl.config.compose import compose
    from r1trl.config.kinds import stage_class
    from r1trl.config.parse import parse
    from r1trl.plan.plan import make_plan
    from r1trl.tracking.tracking import Tracking

    plan = make_plan(compose(overrides, config_dir))
    planned, plugins = plan.stages[0], plan.plugins
    spec, kind, folder = planned.spec, planned.kind, planned.folder
    stage, _ = parse(stage_class(kind), spec.settings)
    seeds, tracking = (spec.seed, spec.own_seed), Tracking()
    return UntrainedWork(stage, spec.stage, kind, folder, *seeds, plugins, tracking, {})
