"""The rows of an SFT stage as token ids and labels, and how many of them `max_length` cuts."""

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from r1trl import StageError, Work, __version__
from r1trl.arguments.source import defaults
from r1trl.chat.lengths import Lengths, count_lengths
from r1trl.chat.samples import IGNORED, Sample
from r1trl.data.prompts import row_named
from r1trl.data.row_writer import RowWriter
from r1trl.errors import errors_named
from r1trl.files.once import made_once
from r1trl.process.terminal import say
from r1trl.rewards.pool import cores
from r1trl.storage.writing import write_text

if TYPE_CHECKING:
    from datasets import Dataset

LENGTHS = "lengths.json"  # in the stage's folder data/
TRAINED_ON, COUNTED = ("input_ids", "labels"), ("lengths", "learned", "numbers")
MANY = 10_000  # rows that are worth the start of several processes
SPLITS = ("bfd_split", "wrapped")  # ways of packing that continue a long sample in another row


@dataclass(frozen=True)
class Encoder:
    """Makes the samples of rows: `input_ids` and `labels`, cut as TRL would cut them.

    `limit` is the most tokens of a sample, from the start or, if `from_end`, from the end.
    """

    writer: RowWriter
    everything: bool
    all_turns: bool
    limit: int | None
    from_end: bool

    def __call__(self, rows: Mapping[str, list[Any]], indices: list[int]) -> dict[str, list[Any]]:
        """Return the samples of rows, given as columns; COUNTED are for `count_lengths`."""
        made: dict[str, list[Any]] = {name: [] for name in (*TRAINED_ON, *COUNTED)}
        for i, index in enumerate(indices):
            row = {name: values[i] for name, values in rows.items()}
            with row_named(row, index):
                for sample in self.samples(row):
                    labels = self._cut(sample.labels)
                    made["input_ids"].append(self._cut(sample.input_ids))
                    made["labels"].append(labels)
                    made["lengths"].append(len(sample.input_ids))
                    made["learned"].append(len(labels) - labels.count(IGNORED))
                    made["numbers"].append(index)
        return made

    def samples(self, row: Mapping[str, Any]) -> list[Sample]:
        """Return the samples of a row, uncut."""
        options = {"everything": self.everything, "all_turns": self.all_turns}
        return self.writer.samples(row, **options)

    def _cut(self, values: list[int]) -> list[int]:
        if self.limit is None:
            return values
        return values[-self.limit :] if self.from_end else values[: self.limit]

    @property
    def fingerprint(self) -> str:
        """Return a digest of all that the samples depend on, besides the rows."""
        writer, tokenizer = self.writer, self.writer.tokenizer
        backend = getattr(tokenizer, "backend_tokenizer", None)
        tokens = backend.to_str() if backend else sorted(tokenizer.get_vocab().items())
        parts = [tokens, tokenizer.chat_template, tokenizer.special_tokens_map, writer.template]
        parts += [writer.system, dict(writer.variables), self.everything, self.all_turns]
        parts += [self.limit, self.from_end, __version__]
        return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:16]


def make_samples(work: Work, rows: "Dataset", tokenizer: Any) -> "tuple[Dataset, Lengths]":
    """Return the samples of a stage's rows, those with nothing in the loss left out; count them.

    A collective: rank 0 makes them and the others read its file, as does a stage that continues.
    Writes data/lengths.json. Raises StageError if a row cannot be written, if `max_length` cuts or
    drops more than `max_truncated_rate` of the rows, or if no sample is left.
    """
    encoder = _encoder(work, tokenizer)
    processes = processes_for(rows, work.stage.args)
    made = functools.partial(_encoded, rows, encoder, processes)
    encoded = made_once("samples", made, work.folder / "data")
    counted = {name: encoded[name][:] for name in COUNTED}
    lengths = count_lengths(**counted, rows=len(rows), limit=encoder.limit)
    if work.is_main:
        say(f"{work.key}: {lengths}")
        (work.folder / "data").mkdir(parents=True, exist_ok=True)
        text = json.dumps(asdict(lengths), indent=1) + "\n"
        write_text(work.folder / "data" / LENGTHS, text)
    _check(lengths, work)
    kept = [i for i, learned in enumerate(encoded["learned"]) if learned]
    if len(kept) < len(encoded):
        encoded = encoded.select(kept)
    return encoded.select_columns(list(TRAINED_ON)), lengths


def _encoder(work: Work, tokenizer: Any) -> Encoder:
    """Return what makes the samples of a stage."""
    stage, args = work.stage, work.stage.args
    with errors_named(f"{work.key}.template"):
        writer = RowWriter(tokenizer, stage.template, stage.system, stage.chat_template_kwargs)
    on_completions = args.get("completion_only_loss") is not False
    on_assistant = bool(args.get("assistant_only_loss"))
    split = args.get("packing") and args.get("packing_strategy") in SPLITS
    return Encoder(
        writer,
        everything=not on_completions and not on_assistant,
        all_turns=not on_completions,
        limit=None if split else args.get("max_length", defaults("SFTConfig")["max_length"]),
        from_end=args.get("truncation_mode") == "keep_end",
    )


def processes_for(rows: "Dataset", args: Mapping[str, Any]) -> int | None:
    """Return the number of processes that tokenise rows; None: this one."""
    many = cores() if len(rows) >= MANY and cores() > 1 else None
    given: int | None = args.get("dataset_num_proc", many)
    return given


def _encoded(rows: "Dataset", encoder: Encoder, processes: int | None) -> "Dataset":
    """Return the samples of rows."""
    digest = hashlib.sha256(f"{rows._fingerprint} {encoder.fingerprint}".encode()).hexdigest()[:16]
    return rows.map(
        encoder,
        with_indices=True,
        batched=True,
        remove_columns=rows.column_names,
        num_proc=processes,
        new_fingerprint=digest,
        desc="Tokenizing",
    )


def _check(lengths: Lengths, work: Work) -> None:
    """Raise StageError if `max_length` cuts or drops too many rows."""
    share, most = lengths.share, work.stage.max_truncated_rate
    if lengths.loss_tokens and share <= most:
        return
    allow = f", or allow them with {work.key}.max_truncated_rate={share:.2f}"
    raise StageError(
        f"{work.key}.args.max_length: {lengths}; raise max_length, filter the rows by their length"
        f"{allow if lengths.loss_tokens else ''}"
    )
