"""What the user says about stages of a run: `redo`, `keep` and `until`; who reads whom."""

from collections.abc import Iterator
from typing import Literal

from r1trl.config.schema import RunConfig
from r1trl.errors import unknown
from r1trl.stage.inputs import references_of

Asked = Literal["", "redo", "keep"]


def asked_problems(config: RunConfig) -> Iterator[str]:
    """Yield what is wrong with the stages that `until`, `redo` and `keep` name."""
    named = {"until": [config.until] if config.until is not None else []}
    named |= {"redo": config.redo, "keep": config.keep}
    for key, names in named.items():
        for name in names:
            if name not in config.stages:
                yield f"{key}: {unknown('stage', name, config.stages)}"
    for name in config.redo:
        if name in config.keep:
            yield f"keep: stage '{name}' is in redo too; it is carried out again, or used as it is"
    stages = list(config.stages)
    if config.until in stages:
        for name in (*config.redo, *config.keep):
            if name in stages and stages.index(name) > stages.index(config.until):
                yield f"until: the run ends after '{config.until}', before '{name}' of redo or keep"


def asked_of(config: RunConfig) -> dict[str, Asked]:
    """Return what is asked of stages, by their names.

    A stage that reads one of `redo` is carried out again too, unless it is in `keep`.
    """
    asked: dict[str, Asked] = dict.fromkeys(config.keep, "keep")
    for name in config.stages:
        if name in config.redo or (name not in asked and _reads(config, name, asked)):
            asked[name] = "redo"
    return asked


def _reads(config: RunConfig, name: str, asked: dict[str, Asked]) -> bool:
    """Return True if a stage reads one that is carried out again."""
    return any(asked.get(str(r.stage)) == "redo" for r in references_of(config.stages[name]))


def readers_of(config: RunConfig, name: str) -> list[str]:
    """Return the stages that read a stage, themselves or through others, in their order."""
    found = [name]
    for other, stage in config.stages.items():
        if any(reference.stage in found for reference in references_of(stage)):
            found.append(other)
    return found[1:]
