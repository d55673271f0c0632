"""Every hook that a plugin may implement. Read this file and you know the whole surface.

The eight offering hooks return a mapping from name to what is offered: a callable, or a `Kind`. A
string in place of it says that the name is a former one of another entry. A module that has any of
these functions, decorated with `r1trl.hookimpl`, is a plugin.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from r1trl.kind import Kind
    from r1trl.samplers import Sampler
    from r1trl.trackers import Tracker
    from r1trl.types import DatasetSource, Filter, Reward, Stage, StageResult, Transition
    from r1trl.variants import Variant

hookspec = pluggy.HookspecMarker("r1trl")
hookimpl = pluggy.HookimplMarker("r1trl")


@hookspec
def r1trl_rewards() -> Mapping[str, Reward]:  # type: ignore[empty-body]
    """Offer rewards: what a completion is worth."""


@hookspec
def r1trl_filters() -> Mapping[str, Filter]:  # type: ignore[empty-body]
    """Offer filters: which rows of a dataset are kept."""


@hookspec
def r1trl_samplers() -> Mapping[str, type[Sampler]]:  # type: ignore[empty-body]
    """Offer samplers: which prompts are rolled out."""


@hookspec
def r1trl_transitions() -> Mapping[str, Transition]:  # type: ignore[empty-body]
    """Offer transitions: when a stage ends and what it hands over."""


@hookspec
def r1trl_datasets() -> Mapping[str, DatasetSource]:  # type: ignore[empty-body]
    """Offer datasets that are made rather than loaded."""


@hookspec
def r1trl_kinds() -> Mapping[str, Kind]:  # type: ignore[empty-body]
    """Offer kinds of stages: what a stage does with its model and rows."""


@hookspec
def r1trl_variants() -> Mapping[str, Variant]:  # type: ignore[empty-body]
    """Offer variants: other forms of a row's question, to measure or train with."""


@hookspec
def r1trl_trackers() -> Mapping[str, type[Tracker]]:  # type: ignore[empty-body]
    """Offer trackers: where metrics, completions and results are shown besides the run's files."""


@hookspec
def r1trl_stage_started(stage: Stage) -> None:
    """Observe that a stage starts; called on rank 0, in the worker."""


@hookspec
def r1trl_logged(stage: Stage, step: int, metrics: Mapping[str, float | None]) -> None:
    """Observe a row of metrics of a training stage; called on rank 0, while training waits."""


@hookspec
def r1trl_stage_finished(stage: Stage, result: StageResult) -> None:
    """Observe that a stage has finished; called on rank 0, before result.json is written."""
