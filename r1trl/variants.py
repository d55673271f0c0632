"""Variants of a question: another form of a row and of how its prompt is rendered."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from r1trl.errors import StageError, errors_named

Row = Mapping[str, Any]


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
        the key, if the variant fails or returns something else.
        """
        prompt = json.dumps(row["prompt"], default=str, ensure_ascii=False)
        with errors_named(self.key):
            varied = self.variant(dict(row), settings, random.Random(f"{self.seed} {prompt}"))
            return checked(varied, row)


def checked(varied: Any, row: Row) -> tuple[Row, PromptSettings]:
    """Return what a variant returned for a row; raise StageError with what it should have been."""
    if not (isinstance(varied, tuple) and len(varied) == 2):
        raise StageError(f"a variant returns a row and its PromptSettings, not {varied!r:.200}")
    changed, settings = varied
    if not isinstance(settings, PromptSettings):
        raise StageError(f"a variant returns PromptSettings beside the row, not {settings!r:.200}")
    if not isinstance(changed, Mapping) or changed.keys() != row.keys():
        names = list(changed) if isinstance(changed, Mapping) else changed
        raise StageError(
            f"a variant keeps the row's columns ({', '.join(row)}), not {names!r:.200}"
        )
    if type(changed["prompt"]) is not type(row["prompt"]):
        was, now = type(row["prompt"]).__name__, type(changed["prompt"]).__name__
        raise StageError(f"a variant makes of a prompt that is a {was} another one, not a {now}")
    return changed, settings
