"""The dataset `reasoning_gym`: generated problems as rows."""

import difflib
from typing import TYPE_CHECKING, Any

import r1trl
from r1trl_gym.entries import dumps, library, missing_requirements

if TYPE_CHECKING:
    from datasets import Dataset


@r1trl.describe(missing_requirements=missing_requirements)
def reasoning_gym(
    *, task: str, count: int = 1000, seed: int = 42, config: dict[str, Any] | None = None
) -> "Dataset":
    """Generate `count` problems of a task from a `seed`; `config` holds the task's own settings.

    Columns: prompt (the question), solution (an answer; empty if the task has many and gives
    none), task, and entry (JSON), which the reward `reasoning_gym` reads. The task `composite` is a
    mixture: `config={datasets: [{name: …, weight: …, config: {…}}, …]}`. Raises ValueError on an
    unknown task and TypeError on a setting that the task does not have.
    """
    from datasets import Dataset

    require_task(task)
    settings = composite_settings(config or {}) if task == "composite" else config or {}
    entries = list(library().create_dataset(task, size=count, seed=seed, **settings))
    columns = {
        "prompt": [entry["question"] for entry in entries],
        "solution": ["" if entry["answer"] is None else str(entry["answer"]) for entry in entries],
        "task": [entry["metadata"]["source_dataset"] for entry in entries],
        "entry": [dumps(entry) for entry in entries],
    }
    return Dataset.from_dict(columns)


def composite_settings(config: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of `composite`, with its parts as Reasoning Gym's DatasetSpec."""
    from reasoning_gym.composite import DatasetSpec

    return {**config, "datasets": [DatasetSpec(**part) for part in config.get("datasets", [])]}


def require_task(task: str) -> None:
    """Raise ValueError, with close matches, if Reasoning Gym has no such task."""
    tasks = sorted(library().factory.DATASETS)
    if task not in tasks:
        close = difflib.get_close_matches(task, tasks, n=3)
        meant = f" (did you mean {' or '.join(close)}?)" if close else ""
        raise ValueError(f"reasoning_gym has no task '{task}'{meant}; it has: {', '.join(tasks)}")
