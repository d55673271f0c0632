"""Problems of Reasoning Gym as rows."""

import difflib
from typing import TYPE_CHECKING, Any

from r1trl_gym.entries import dumps, library, ready

if TYPE_CHECKING:
    from datasets import Dataset


def reasoning_gym(
    *, task: str, count: int = 1000, seed: int = 42, config: dict[str, Any] | None = None
) -> "Dataset":
    """Make `count` problems of a task, with the task's own settings from `config`.

    Columns: prompt (the question), solution (an answer; empty where the task has many and names
    none), task, and entry (JSON), which the reward `reasoning_gym` reads. The task `composite` is a
    mixture: `config={datasets: [{name: …, weight: …, config: {…}}, …]}`. Raises ValueError on an
    unknown task and TypeError on a setting that the task does not have.
    """
    from datasets import Dataset

    check(task)
    settings = mixture(config or {}) if task == "composite" else config or {}
    made = list(library().create_dataset(task, size=count, seed=seed, **settings))
    columns = {
        "prompt": [entry["question"] for entry in made],
        "solution": ["" if entry["answer"] is None else str(entry["answer"]) for entry in made],
        "task": [entry["metadata"]["source_dataset"] for entry in made],
        "entry": [dumps(entry) for entry in made],
    }
    return Dataset.from_dict(columns)


reasoning_gym.ready = ready


def mixture(config: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of `composite`, its parts in Reasoning Gym's own type."""
    from reasoning_gym.composite import DatasetSpec

    return {**config, "datasets": [DatasetSpec(**part) for part in config.get("datasets", [])]}


def check(task: str) -> None:
    """Raise ValueError with close matches where Reasoning Gym has no such task."""
    known = sorted(library().factory.DATASETS)
    if task not in known:
        close = difflib.get_close_matches(task, known, n=3)
        meant = f" (did you mean {' or '.join(close)}?)" if close else ""
        raise ValueError(f"reasoning_gym has no task '{task}'{meant}; it has: {', '.join(known)}")
