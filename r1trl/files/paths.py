"""Local files of rows: which of them a path names, and their text, decompressed, by lines."""

import bz2
import glob
import gzip
import lzma
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from r1trl.errors import suggest
from r1trl.formats import PATTERN, POSSIBLE, format_of

SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
SPLIT_OF = {word: split for split, words in SPLITS.items() for word in words}
UTF16 = (b"\xff\xfe", b"\xfe\xff")


def files_at(path: str, name: str | None = None, split: str | None = None) -> list[Path]:
    """Return the files that a path names: one, those that match a pattern, or a folder's split.

    In a folder, the words of the files' names and of the folders inside say which split a file is
    of; a folder without them is all of the split `train`. `name` is a folder in it. Raises OSError
    or ValueError if there is none, or if it is of no format that is read.
    """
    given = Path(path).expanduser()
    if given.is_dir():
        return _of_folder(given, name, split)
    found = [given]
    if not given.is_file():
        matching = glob.glob(str(given), recursive=True) if set(PATTERN) & set(path) else []
        found = [file for file in map(Path, sorted(matching)) if file.is_file()]
    if not found:
        there = [file.name for file in given.parent.iterdir()] if given.parent.is_dir() else []
        raise FileNotFoundError(f"there is no file {path}{suggest(given.name, there)}")
    for file in found:
        if format_of(file) is None:
            raise ValueError(f"{file} is no file of rows{_what(file)}; possible are {POSSIBLE}")
    return found


def _what(file: Path) -> str:
    """Say what a file is that holds no rows with columns."""
    if file.suffix.lower() in (".txt", ".md", ".log"):
        return ": it is plain text, without columns"
    return ""


def _of_folder(folder: Path, name: str | None, split: str | None) -> list[Path]:
    """Return the files of rows of a split of a folder; the split `train` if none is given."""
    if name is not None and not (folder / name).is_dir():
        raise FileNotFoundError(f"there is no folder {folder / name}")
    inside = folder / name if name is not None else folder
    files = sorted(f for f in inside.rglob("*") if f.is_file() and not _is_hidden(f, inside))
    rows = [file for file in files if format_of(file)]
    if not rows:
        there = ", ".join(file.name for file in files[:5]) or "nothing"
        raise FileNotFoundError(f"no file of rows in {inside} ({there}); possible are {POSSIBLE}")
    by_split: dict[str | None, list[Path]] = {}
    for file in rows:
        by_split.setdefault(_split_of(file.relative_to(inside)), []).append(file)
    if set(by_split) == {None}:
        by_split = {"train": rows}
    wanted = split or "train"
    if wanted not in by_split:
        there = ", ".join(sorted(str(s) for s in by_split if s))
        raise ValueError(f"no file in {inside} is of the split '{wanted}'; there are: {there}")
    return by_split[wanted]


def _is_hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(folder).parts)


def _split_of(file: Path) -> str | None:
    """Return the split that the words of a file's path name; None if none is named."""
    words = [word for part in file.parts for word in re.split(r"[\W_\d]+", part.lower())]
    return next((SPLIT_OF[word] for word in words if word in SPLIT_OF), None)


def opened(file: Path) -> Any:
    """Return a file opened for reading bytes, decompressed by its suffix."""
    suffix = file.suffix.lower()
    if suffix == ".zst":
        import pyarrow as pa

        return pa.CompressedInputStream(pa.OSFile(str(file)), "zstd")
    openers: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
    return openers.get(suffix, open)(file, "rb")


def lines_of(file: Path) -> Iterator[tuple[int, str]]:
    r"""Yield the lines of a text file with their numbers, from 1; only \n ends a line.

    Raises ValueError with the number of a line that is no UTF-8 text.
    """
    with opened(file) as stream:
        for number, line in enumerate(_raw_lines(stream), 1):
            if number == 1 and line.startswith(UTF16):
                raise ValueError("line 1 is UTF-16; convert it: iconv -f utf-16 -t utf-8")
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                byte = f"byte 0x{line[error.start]:02x}"
                mend = "if it is a text, convert it: iconv -f latin1 -t utf-8"
                raise ValueError(f"line {number} is not UTF-8 ({byte}); {mend}") from error
            if "\0" in text:
                raise ValueError(f"line {number} has null bytes, so this is no text")
            yield number, text


def _raw_lines(stream: Any) -> Iterator[bytes]:
    """Yield the lines of a stream; those of Arrow's decompression have none of their own."""
    if hasattr(stream, "readinto1"):
        yield from stream
        return
    rest = b""
    while block := stream.read(1 << 20):
        *lines, rest = (rest + block).split(b"\n")
        yield from (line + b"\n" for line in lines)
    if rest:
        yield rest
