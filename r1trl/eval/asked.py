"""What `r1trl eval` is asked: a model, benchmarks, overrides."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

STAGES, CONFIG = "stages", "config.yaml"


@dataclass(frozen=True)
class Question:
    """A model by its folder, Hub id or name in conf/model; names of benchmarks; overrides."""

    model: str
    benchmarks: Sequence[str]
    overrides: Sequence[str]
    own: Path | None = None  # a folder of the user's configs

    @property
    def stage(self) -> Path | None:
        """Return the folder of the stage that has made the model; None if it is no stage's."""
        folder = Path(self.model).absolute()
        folder = folder.parent if folder.name == "model" else folder
        stages = folder.parent
        return folder if stages.name == STAGES and (stages.parent / CONFIG).is_file() else None

    def named(self, start: str) -> str:
        """Return a name of a folder that begins with `start` and has the benchmarks in it."""
        return "-".join([start, *map(fit, self.benchmarks)])


def question(model: str, words: Sequence[str], own: Path | None) -> Question:
    """Return what is asked; of `words`, those without `=` and `~` are benchmarks."""
    benchmarks = [word for word in words if "=" not in word and not word.startswith("~")]
    return Question(model, benchmarks, [word for word in words if word not in benchmarks], own)


def fit(name: str) -> str:
    """Return a name without what cannot be in a folder's."""
    return re.sub(r"[^\w.+-]+", "-", name).strip(".-") or "model"
