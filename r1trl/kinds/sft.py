"""Supervised fine-tuning: the model learns given completions."""

from collections.abc import Mapping

from r1trl import Kind, Work
from r1trl.data.prompts import need_columns, with_system
from r1trl.rewards.pool import cores

MANY = 10_000  # rows that are worth the start of several processes


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


KIND = Kind(run=run, trl_config="SFTConfig", takes=("batch", "adapter"))
