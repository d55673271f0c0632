"""Supervised fine-tuning: the model learns given completions."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from r1trl import Field, Kind, StageError, Work
from r1trl.arguments.shared import NOT_COMPILED
from r1trl.arguments.training import NOTHING_EVALUATED
from r1trl.chat.given import is_file, with_template
from r1trl.config.stage_parts import number
from r1trl.data.prompts import need_columns
from r1trl.errors import errors_named
from r1trl.kinds.sft_rows import make_samples, processes_for

SFT_FIELDS: Mapping[str, Field] = {
    **NOT_COMPILED,
    "loss_type": Field(),  # TRL's source names the values of these
    "packing_strategy": Field(),
    "packing": Field(),
    "padding_free": Field(),
    "completion_only_loss": Field(),
    "assistant_only_loss": Field(),
    "chat_template_path": Field(
        verdict="changed",
        reason="rows are written with it, it is saved with the model, and later stages use it; "
        "TRL leaves rows alone that are texts",
    ),
    "dataset_text_field": Field(
        verdict="refused",
        reason="rows have messages, or prompt and completion; map them with data.<source>.columns",
    ),
    "dataset_kwargs": Field(
        verdict="refused",
        reason="its one option skips the tokenisation, and r1trl's rows are texts",
    ),
    "eval_packing": NOTHING_EVALUATED,
}


@dataclass
class SFTSettings:
    """The share of rows that `max_length` may cut or drop; above it the stage fails."""

    max_truncated_rate: float = number(0.1, at_least=0, at_most=1)


def run(work: Work) -> Mapping[str, float]:
    """Fine-tune on rows with `messages`, or with `prompt` and `completion`."""
    from trl import SFTConfig

    from r1trl.training.trainers import PaddingFreeSFTTrainer

    rows, tokenizer = work.rows(), _tokenizer(work)
    _check(rows, work)
    with errors_named(f"{work.key}.data"):
        samples, lengths = make_samples(work, rows, tokenizer)
    # The labels of the samples are made already; TRL would look for messages in them.
    fixed = {"assistant_only_loss": False, "dataset_num_proc": processes_for(rows, work.stage.args)}
    trainer = PaddingFreeSFTTrainer(
        model=work.stage.model,
        args=work.arguments(SFTConfig, **fixed),
        train_dataset=samples,
        processing_class=work.tokenizer(),
        peft_config=work.adapter(),
    )
    _end_with(trainer, str(tokenizer.eos_token))
    return {**work.train(trainer), **lengths.metrics}


def _check(rows: Any, work: Work) -> None:
    """Raise StageError if the rows lack columns, or have none of what is asked for."""
    if "messages" in rows.column_names:
        return
    need_columns(rows, ["prompt", "completion"], f"{work.key}.data")
    if work.stage.args.get("assistant_only_loss") and isinstance(rows[0]["completion"], str):
        raise StageError(
            f"{work.key}.args.assistant_only_loss: needs rows with messages; of prompt and "
            "completion the loss is on the completion alone, so leave it out"
        )


def _tokenizer(work: Work) -> Any:
    """Return the tokenizer that the rows are written with, as it is saved with the model."""
    args, tokenizer = work.stage.args, work.tokenizer()
    if args.get("eos_token"):
        tokenizer.eos_token = args["eos_token"]  # TRL sets it too, but when the rows are written
    with errors_named(f"{work.key}.args.chat_template_path"):
        return with_template(tokenizer, args.get("chat_template_path"))


def _end_with(trainer: Any, token: str) -> None:
    """Make a token the end token of what is trained, if a template that was given needs another."""
    if trainer.processing_class.eos_token == token:
        return
    trainer.processing_class.eos_token = token
    id_, settings = trainer.processing_class.eos_token_id, trainer.model.generation_config
    trainer.model.config.get_text_config().eos_token_id = id_
    ends = settings.eos_token_id
    others = ends if isinstance(ends, list) else [ends]
    settings.eos_token_id = [id_, *(end for end in others if end not in (id_, None))]


def problems(stage: Any) -> Iterator[tuple[str, str]]:
    """Yield what TRL's SFTTrainer refuses together, or ignores."""
    args = stage.args
    whole = args.get("max_length", 1024) is None
    if args.get("packing") and whole:
        yield "args.packing", "needs max_length, the tokens of a packed row"
    if args.get("padding_free") and not (args.get("packing") or whole):
        yield "args.padding_free", "needs packing=true or max_length=null: it does not truncate"
    path = args.get("chat_template_path")
    if path and stage.template:
        yield "args.chat_template_path", "the rows are written by template; leave one of them out"
    elif path and is_file(path) and not Path(path).is_file():
        yield "args.chat_template_path", f"there is no file {path}"
    if args.get("loss_type") == "dft" and args.get("label_smoothing_factor"):
        yield "args.label_smoothing_factor", "reaches nothing with loss_type=dft; use nll"
    checkpointing = args.get("gradient_checkpointing_kwargs") or {}
    if isinstance(checkpointing, Mapping) and checkpointing.get("selective"):
        off = args.get("gradient_checkpointing") is False
        if off or checkpointing.get("use_reentrant"):
            needed = "gradient_checkpointing=true" if off else "use_reentrant=false"
            yield "args.gradient_checkpointing_kwargs", f"selective needs {needed}"


KIND = Kind(
    run=run,
    settings=SFTSettings,
    trl_config="SFTConfig",
    fields=SFT_FIELDS,
    takes=("batch", "adapter", "evaluate", "rewards"),
    problems=problems,
    small=lambda settings: {**settings, "max_truncated_rate": 1.0},  # max_length is small there
)
