"""What a rehearsal saw and did not obey, one JSON object a line in a stage's folder."""

from pathlib import Path

from r1trl.storage.jsonl import append_rows, read_rows

FILE = "notes.jsonl"


def write_note(folder: Path, text: str) -> None:
    """Add a note to those of a stage's folder, unless it is there already."""
    if text not in read_notes(folder):
        append_rows([{"text": text}], folder / FILE)


def read_notes(folder: Path) -> list[str]:
    """Return the notes of a stage's folder."""
    return [str(row.get("text")) for row in read_rows(folder / FILE)]
