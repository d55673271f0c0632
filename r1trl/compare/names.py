"""Short names that tell things apart: of keys and folders, their last parts."""

from collections.abc import Sequence


def told_apart(names: Sequence[str], separator: str) -> list[str]:
    """Return the shortest end of each name that no other one ends in, or else the name itself.

    The names differ; an end begins after a `separator`.
    """
    parts = [name.split(separator) for name in names]
    return [separator.join(own[-_length(own, parts) :]) for own in parts]


def _length(own: Sequence[str], all_parts: Sequence[Sequence[str]]) -> int:
    others = [each for each in all_parts if each != own]
    lengths = range(1, len(own))
    return next((n for n in lengths if all(o[-n:] != own[-n:] for o in others)), len(own))
