"""What may be given for a field: its choices or its range, and what r1trl makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from r1trl.errors import suggest


@dataclass(frozen=True, kw_only=True)
class Field:
    """What may be given for a field of TRL's config, or for a key of r1trl's.

    `choices` are the values that are possible, of a list those of its entries; `at_least`, `above`,
    `at_most` and `below` bound a number; `also` are values that mean something though they are out
    of the bounds, such as -1 for no limit, or of another type. None is left to the field's type.

    `verdict` says what becomes of a value: it reaches TRL and does there what it does without r1trl
    ("equal"); it is "refused", because it would reach nothing, or something that breaks the stage;
    or it is "changed" on purpose. `reason` is the sentence for "refused" (what to do instead) and
    "changed" (what is different); with "equal" it explains the choices or bounds.
    """

    choices: Sequence[Any] = ()
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None
    also: Sequence[Any] = ()
    verdict: Literal["equal", "refused", "changed"] = "equal"
    reason: str = ""

    def problem(self, value: Any) -> str | None:
        """Return why a value of the right type is not possible, or None."""
        if self.verdict == "refused":
            return self.reason
        if isinstance(value, list | tuple):
            return next((text for item in value if (text := self.problem(item))), None)
        if value is None or self.takes_as_it_is(value):
            return None
        text = self._choice_problem(value) or self._range_problem(value)
        return f"{text}; {self.reason}" if text and self.reason else text

    def takes_as_it_is(self, value: Any) -> bool:
        """Return True for one of `also`, which is not converted to the field's type."""
        return any(type(each) is type(value) and each == value for each in self.also)

    def _choice_problem(self, value: Any) -> str | None:
        if not self.choices or value in self.choices:
            return None
        names = [_text(each) for each in (*self.choices, *self.also) if each != ""]
        hint = suggest(_text(value), names)
        return f"'{_text(value)}' is not possible{hint}; choose one of: {', '.join(names)}"

    def _range_problem(self, value: Any) -> str | None:
        if not isinstance(value, int | float) or isinstance(value, bool):
            return None
        within = (
            (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most)
            and (self.below is None or value < self.below)
        )
        return None if within else f"{value:g} is not possible; it must be {self._range()}"

    def _range(self) -> str:
        """Return the bounds in words."""
        bounds = (
            ("at least", self.at_least),
            ("above", self.above),
            ("at most", self.at_most),
            ("below", self.below),
        )
        text = " and ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)
        return " or ".join([text, *map(_text, self.also)])


def equal(names: str) -> dict[str, Field]:
    """Return fields that mean what they mean in TRL; `names` has spaces between them.

    Whatever is of their types may be given.
    """
    return dict.fromkeys(names.split(), Field())


def _text(value: Any) -> str:
    """Return a value as YAML has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
