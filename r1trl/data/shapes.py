"""Rows of any usual shape in one: prompt, completion, chosen, rejected, messages, solution.

Known are TRL's shapes, ShareGPT's conversations, Alpaca's instructions, and rows of questions and
answers. Later code sees texts, or lists of messages as in messages.py, and no others.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from r1trl.data.messages import after_prompt, normal, shared_prompt, without_nulls
from r1trl.files.names import CHAT, CONVERSATIONS, PICTURES, found
from r1trl.files.tables import CHUNK, dataset_of, put_together

if TYPE_CHECKING:
    from datasets import Dataset

PLAIN_ROLES = {"system", "user", "assistant", "tool"}
ANSWERS = ("completion", "chosen", "rejected")
Row = dict[str, Any]


def normal_rows(rows: "Dataset", find: bool, say: Callable[[str], object]) -> "Dataset":
    """Return rows in the one shape; with `find` also columns of other names are looked for.

    `say` is called with what was found. Raises ValueError with the row that cannot be read.
    """
    rows = _without_pictures(rows)
    meant = found(rows.column_names) if find else {}
    there = set(rows.column_names) | set(meant)
    talk = next((name for name in CONVERSATIONS if name in there and "messages" not in there), None)
    if talk is not None:
        meant["messages"] = talk
    if meant:
        say(", ".join(f"{new} is the column '{old}'" for new, old in meant.items()))
    implicit = there >= {"chosen", "rejected"} and "prompt" not in there
    if implicit:
        say("prompt is what chosen and rejected begin with")
    if not meant and not implicit and all(_is_plain(rows, n) for n in CHAT if n in there):
        return rows
    return _rebuilt(rows, meant, talk)


def _without_pictures(rows: "Dataset") -> "Dataset":
    """Return rows without the columns that TRL takes for pictures; they must be empty."""
    for name in PICTURES:
        if name in rows.column_names:
            if any(rows[name]):
                mend = "columns: {…} leaves it out, or gives it another name"
                raise ValueError(
                    f"the column '{name}' has pictures, and only texts are read; {mend}"
                )
            rows = rows.remove_columns(name)
    return rows


def _is_plain(rows: "Dataset", name: str) -> bool:
    """Return True if a column has texts, or messages of which every one is in the one form."""
    import pyarrow.compute as pc
    from datasets import List, Value

    feature = rows.features[name]
    if feature == Value("string"):
        return name != "messages"
    if not isinstance(feature, List) or not isinstance(feature.feature, dict):
        return False
    if feature.feature != {"role": Value("string"), "content": Value("string")}:
        return False
    if name in ANSWERS:  # they may begin with the prompt
        return False
    for chunk in rows.data.column(name).chunks:
        said = chunk.flatten()
        contents = said.field("content")
        if contents.null_count or not set(pc.unique(said.field("role")).to_pylist()) <= PLAIN_ROLES:
            return False
    return True


def _rebuilt(rows: "Dataset", meant: Mapping[str, str], talk: str | None) -> "Dataset":
    """Return rows with the columns of `CHAT`, and those of `meant`, in the one form."""
    from datasets import concatenate_datasets

    rows = rows.flatten_indices() if rows._indices is not None else rows
    used = {name for name in CHAT if name in rows.column_names}
    used |= {part for old in meant.values() for part in old.split("+")}
    if talk is not None and "system" in rows.column_names:
        used.add("system")
    filled = [name for name in used if _fills_nulls(rows.features[name])]
    parts, start = list["Dataset"](), 0
    for batch in rows.select_columns(sorted(used)).iter(CHUNK):
        batch |= {name: without_nulls(batch[name]) for name in filled}
        made = [
            _row({name: batch[name][i] for name in used}, meant, start + i)
            for i in range(len(next(iter(batch.values()))))
        ]
        names = dict.fromkeys(name for row in made for name in row)
        parts.append(dataset_of({name: [row.get(name) for row in made] for name in names}))
        start += len(made)
    if not parts:
        return rows
    new = put_together(parts)
    gone = [n for n in rows.column_names if n in new.column_names or n == talk]
    rest = rows.remove_columns(gone)
    return concatenate_datasets([rest, new], axis=1) if rest.column_names else new


def _fills_nulls(feature: Any) -> bool:
    """Return True if a type has objects whose keys are null where a value lacks them."""
    inner = getattr(feature, "feature", feature)
    return isinstance(inner, dict) or (inner is not feature and _fills_nulls(inner))


def _row(given: Row, meant: Mapping[str, str], index: int) -> Row:
    """Return the columns of a row that are made, from those that are used for them."""
    row = {name: given[name] for name in CHAT if name in given}
    for new, old in meant.items():
        row[new] = _joined(given, old)
    try:
        row |= {name: normal(row[name], name) for name in CHAT if name in row}
    except ValueError as error:
        raise ValueError(f"row {index} (from 0): {error}") from error
    if "chosen" in row and "rejected" in row and "prompt" not in row:
        row["prompt"] = shared_prompt(row["chosen"], row["rejected"])
        if isinstance(row["prompt"], str):
            size = len(row["prompt"])
            row |= {name: row[name][size:] for name in ("chosen", "rejected")}
    row |= {name: after_prompt(row.get("prompt"), row[name]) for name in ANSWERS if name in row}
    messages = row.get("messages")
    if given.get("system") and messages and messages[0]["role"] != "system":
        row["messages"] = [{"role": "system", "content": given["system"]}, *messages]
    return row


def _joined(given: Row, old: str) -> Any:
    """Return the value of a column, or of Alpaca's two the texts with an empty line between."""
    if "+" not in old:
        return given[old]
    texts = [given[name] for name in old.split("+")]
    return None if texts[0] is None else "\n\n".join(str(text) for text in texts if text)
