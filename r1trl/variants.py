"""Variants of a question: another form of a row and of how its prompt is rendered."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from r1trl.errors import StageError, errors_named

Row = Mapping[str, Any]
REFERENCE = "reference"  # the name of a row as it is, in the place of a variant's


@dataclass(frozen=True)
class PromptSettings:
    """How a row's prompt is rendered and its completion begun; a stage says it of all of its rows.

    `template` is a raw prompt with `{{ prompt }}`, None: the tokenizer's chat template; `system` is
    the system prompt of rows without one, `prefill` the beginning of every completion;
    `chat_template_kwargs` are the chat template's own.
    """

    template: str | None = None
    system: str | None = None
    prefill: str = ""
    chat_template_kwargs: Mapping[str, Any] = field(default_factory=dict)


# Called as (row, settings, rng); the row is a copy. Whatever is chosen at random, `rng` chooses.
Variant = Callable[[dict[str, Any], PromptSettings, random.Random], tuple[Row, PromptSettings]]


@dataclass(frozen=True)
class Variation:
    """A variant with its options filled in, the seed of its choices, and its key, for messages."""

    variant: Variant
    seed: int
    key: str

    def of(self, row: Row, settings: PromptSettings) -> tuple[Row, PromptSettings]:
        """Return another form of a row, and the settings that its prompt is rendered by.

        Depends on the row's prompt, the seed and the options alone. Raises StageError, which names
        the key and the row, if the variant fails or returns something else.
        """
        prompt = written(row["prompt"])
        with errors_named(f"{self.key}: of the row with the prompt {prompt:.80}"):
            varied = self.variant(dict(row), settings, random.Random(f"{self.seed} {prompt}"))
            return checked(varied, row)


@dataclass(frozen=True)
class DrawnVariation:
    """The variation that each row has drawn: of its `source` the one that `variant` names.

    `by_source` has the variations of a stage's sources, by the source's name and the variant's.
    """

    by_source: Mapping[str, Mapping[str, Variation]]

    def of(self, row: Row, settings: PromptSettings) -> tuple[Row, PromptSettings]:
        """Return a row in the form that it has drawn, as `Variation.of` does; or as it is."""
        own = self.by_source.get(str(row.get("source")), {})
        variation = own.get(str(row.get("variant")))
        return variation.of(row, settings) if variation else (row, settings)


def draw(names: Sequence[str], varied: float | None, seed: int, prompt: Any) -> str:
    """Return the name of the form in which a row is asked, REFERENCE for as it is.

    `varied` is the chance that it is one of `names`, which are equally likely; None: as likely as
    each of them is the row as it is. Depends on the seed and the row's prompt alone, and not on the
    order of names.
    """
    rng = random.Random(f"form {seed} {written(prompt)}")
    return rng.choice(sorted(names)) if names and rng.random() < share(names, varied) else REFERENCE


def share(names: Sequence[str], varied: float | None) -> float:
    """Return the share of rows that get one of the variants of these names."""
    return len(names) / (len(names) + 1) if varied is None else varied


def written(prompt: Any) -> str:
    """Return a prompt, text or messages, as JSON: what is random depends on it."""
    return json.dumps(prompt, default=str, ensure_ascii=False)


def checked(varied: Any, row: Row) -> tuple[Row, PromptSettings]:
    """Return what a variant returned for a row; raise StageError with what it should have been."""
    if not (isinstance(varied, tuple) and len(varied) == 2):
        raise StageError(f"a variant returns a row and its PromptSettings, not {varied!r:.200}")
    changed, settings = varied
    if not isinstance(settings, PromptSettings):
        raise StageError(f"a variant returns PromptSettings beside the row, not {settings!r:.200}")
    if settings.template and (settings.system or settings.chat_template_kwargs):
        raise StageError(
            "a raw template shows no system prompt and reads no chat_template_kwargs; a variant "
            "writes them into the template"
        )
    if not isinstance(changed, Mapping) or changed.keys() != row.keys():
        names = list(changed) if isinstance(changed, Mapping) else changed
        raise StageError(
            f"a variant keeps the row's columns ({', '.join(row)}), not {names!r:.200}"
        )
    if type(changed["prompt"]) is not type(row["prompt"]):
        was, now = type(row["prompt"]).__name__, type(changed["prompt"]).__name__
        raise StageError(f"a variant makes of a prompt that is a {was} another one, not a {now}")
    return changed, settings
