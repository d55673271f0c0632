"""Supervised fine-tuning: the model learns given completions."""

from collections.abc import Iterator, Mapping
from typing import Any

from r1trl import Field, Kind, StageError, Work
from r1trl.arguments.training import NOTHING_EVALUATED
from r1trl.data.prompts import need_columns, with_system
from r1trl.rewards.pool import cores

MANY = 10_000  # rows that are worth the start of several processes
SFT_FIELDS: Mapping[str, Field] = {
    "loss_type": Field(),  # TRL's source names the values of these
    "packing_strategy": Field(),
    "packing": Field(),
    "padding_free": Field(),
    "completion_only_loss": Field(),
    "assistant_only_loss": Field(),
    "chat_template_path": Field(),
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


def run(work: Work) -> Mapping[str, float]:
    """Fine-tune on rows with `messages`, or with `prompt` and `completion`."""
    from trl import SFTConfig

    from r1trl.training.trainers import PaddingFreeSFTTrainer

    rows, stage = work.rows(), work.stage
    if "messages" in rows.column_names and "completion" not in rows.column_names:
        rows = rows.select_columns(["messages"]).map(
            lambda row: {"messages": with_system(row["messages"], stage.system)}
        )
    else:
        if stage.args.get("assistant_only_loss"):
            raise StageError(
                f"{work.key}.args.assistant_only_loss: needs rows with messages; of prompt and "
                "completion the loss is on the completion alone, so leave it out"
            )
        need_columns(rows, ["prompt", "completion"], f"{work.key}.data")
        rows = work.rendered(rows).select_columns(["prompt", "completion"])
    processes = stage.args.get("dataset_num_proc", processes_for(len(rows)))
    trainer = PaddingFreeSFTTrainer(
        model=stage.model,
        args=work.arguments(SFTConfig, dataset_num_proc=processes),
        train_dataset=rows,
        processing_class=work.tokenizer(),
        peft_config=work.adapter(),
    )
    return work.train(trainer)


def processes_for(rows: int) -> int | None:
    """Return the number of processes that tokenise so many rows; None: this one."""
    return cores() if rows >= MANY and cores() > 1 else None


def problems(stage: Any) -> Iterator[tuple[str, str]]:
    """Yield what TRL's SFTTrainer refuses together, or ignores."""
    args = stage.args
    whole = args.get("max_length", 1024) is None
    if args.get("packing") and whole:
        yield "args.packing", "needs max_length, the tokens of a packed row"
    if args.get("padding_free") and not (args.get("packing") or whole):
        yield "args.padding_free", "needs packing=true or max_length=null: it does not truncate"
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
    trl_config="SFTConfig",
    fields=SFT_FIELDS,
    takes=("batch", "adapter"),
    problems=problems,
)
