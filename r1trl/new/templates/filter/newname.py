"""A filter: which rows a stage reads."""

from typing import Any

import r1trl


def newname(rows: Any, *, max_words: int = 100) -> list[str | None]:
    """Keep rows whose prompt has at most `max_words` words.

    `rows` is a datasets.Dataset. The answer has an entry for each row: None to keep it, else a
    short reason, which is counted in data/filters.json.
    """
    words = [len(str(prompt).split()) for prompt in rows["prompt"]]
    return [None if count <= max_words else "long prompt" for count in words]


@r1trl.hookimpl
def r1trl_filters() -> dict[str, Any]:
    """Offer `newname`."""
    return {"newname": newname}
