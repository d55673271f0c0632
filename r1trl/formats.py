"""Which names are those of files of rows: formats by suffix, and what is meant to be local."""

import glob
from pathlib import Path
from typing import Any

FORMATS = {
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".arrow": "arrow",
}
COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")  # of JSON, CSV and TSV
# Suffixes of files that hold something else, or rows in a form that is not read.
OTHERS = (".txt", ".md", ".xlsx", ".xls", ".zip", ".tar", ".pkl", ".yaml", ".yml", ".xml", ".log")
POSSIBLE = f"{', '.join(FORMATS)}, the first five also with {', '.join(COMPRESSIONS)}"
PATTERN = "*?["  # a path with one of these names all files that match


def format_of(path: Any) -> str | None:
    """Return the format of a file of rows by its name: json, csv, parquet or arrow; else None."""
    suffixes = [suffix.lower() for suffix in Path(str(path)).suffixes]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        inner = FORMATS.get(suffixes[-2]) if len(suffixes) > 1 else None
        return inner if inner in ("json", "csv") else None
    return FORMATS.get(suffixes[-1]) if suffixes else None


def is_file(path: Any) -> bool:
    """Return True if a path names a file of rows, there or not, or what a stage makes."""
    return str(path).startswith("stage:") or format_of(path) is not None


def is_local(path: Any) -> bool:
    """Return True if a path cannot be meant as a Hub id: a file, a folder, a pattern."""
    text = str(path)
    if is_file(text) or text.startswith((".", "/", "~")) or text.count("/") > 1:
        return True
    marks = any(mark in text for mark in (*PATTERN, " ", "\\", ":"))
    other = Path(text).suffix.lower() in (*OTHERS, *COMPRESSIONS)
    return marks or other or Path(text).exists()


def is_there(path: Any) -> bool:
    """Return True if a local path names a file or folder that is there, or is a pattern of some."""
    given = Path(str(path)).expanduser()
    return given.exists() or (bool(set(PATTERN) & set(str(path))) and bool(glob.glob(str(given))))
