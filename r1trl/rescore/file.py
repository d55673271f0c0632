"""The rows of any file with completions, with the columns that rewards get."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from r1trl.data.columns import read_columns
from r1trl.errors import ConfigError, suggest
from r1trl.rescore.rollouts import Columns, MissingTokenIds, Rollouts, as_table, read_table
from r1trl.rewards.bound_reward import COMMON_PARAMETERS, NOT_ROW_COLUMNS

NO_IDS = (
    "{where} has no column completion_ids, a list of token ids in each row; add it, or rescore the "
    "folder of the stage that wrote the completions"
)


def file_rollouts(path: Path) -> Rollouts:
    """Return the rows of a .jsonl or .parquet file with a column `completion`.

    Completions and prompts are texts or messages; of messages the text of the last one counts, of a
    completion's that of the assistant's last. A row's own `question` and `completion_ids` are used.
    Raises ConfigError if a completion is neither.
    """
    columns = read_columns(path)
    if "completion" not in columns:
        hint = f"{suggest('completion', columns)}; it has: {', '.join(columns)}"
        raise ConfigError([f"{path}: has no column 'completion'{hint}"])
    if path.suffix.lower() == ".parquet":
        saved, as_json = read_table(path), list[str]()
    else:
        saved, as_json = as_table(columns)
    others = set(COMMON_PARAMETERS) - set(NOT_ROW_COLUMNS)
    hidden = [name for name in columns if name in others]
    notes = [f"the column '{name}' is JSON text in rescored.parquet" for name in as_json]
    notes += [f"rewards do not get the column '{name}', for they get another" for name in hidden]
    if "prompt" not in columns:
        notes.append("there is no column 'prompt': rewards get empty ones")
    given = {name: values for name, values in columns.items() if name not in hidden}
    passed = {**given, **_of_completions(path, given)}
    return Rollouts(saved, [(range(len(passed["completion"])), passed)], str(path), notes)


def _of_completions(path: Path, columns: Columns) -> Columns:
    """Return the columns that rewards get of every completion: texts, prompts and token ids."""
    completions = _texts(path, columns["completion"])
    nothing: list[Any] = [None] * len(completions)
    questions = [text_of(value) for value in columns.get("prompt", nothing)]
    missing = MissingTokenIds(NO_IDS.format(where=path))
    given = columns.get("completion_ids", nothing)
    ids = [value if _is_ids(value) else missing for value in given]
    passed: Columns = {
        "prompt": [question or "" for question in questions],
        "completion": completions,
        "completion_ids": ids,
    }
    if "prompt" in columns:
        own = columns.get("question", nothing)
        passed["question"] = [
            each or question for each, question in zip(own, questions, strict=True)
        ]
    return passed


def _texts(path: Path, completions: Sequence[Any]) -> list[Any]:
    """Return completions as texts; raise ConfigError if one is neither text nor messages."""
    texts = [text_of(value, "assistant") for value in completions]
    wrong = [i for i, text in enumerate(texts) if text is None]
    if wrong:
        value = repr(completions[wrong[0]])[:80]
        raise ConfigError(
            [
                f"{path}: the completion of row {wrong[0]} is neither a text nor messages but "
                f"{value}, as are those of {len(wrong)} of {len(texts)} rows; leave them out"
            ]
        )
    return texts


def text_of(value: Any, role: str | None = None) -> str | None:
    """Return a text, or the text of the last of some messages, of a role; None if it is neither.

    The content of a message is a text, or a list of parts with a `text` each.
    """
    if isinstance(value, str):
        return value
    messages = value if isinstance(value, list) else []
    messages = [each for each in messages if isinstance(each, Mapping)]
    own = [each for each in messages if role is None or each.get("role", role) == role]
    content = own[-1].get("content") if own else None
    if isinstance(content, list):
        parts = [part.get("text") or "" for part in content if isinstance(part, Mapping)]
        return "".join(parts)
    return content if isinstance(content, str) else None


def _is_ids(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, int) for each in value)
