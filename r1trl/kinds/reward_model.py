"""Training a reward model: on pairs of responses, or on responses with a label."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from r1trl import Kind, Work, scored_text

COLUMNS = {"pairwise": ("chosen", "rejected"), "pointwise": ("completion", "label")}


@dataclass
class RewardModelSettings:
    """What is learned, and which part of a response is read (see `r1trl.scored_text`)."""

    objective: Literal["pairwise", "pointwise"]
    text: Literal["summary", "response"] = field(metadata={"formerly": "scored"})


def columns(stage: Any) -> Sequence[str]:
    """Return the columns that the objective needs."""
    return ("prompt", *COLUMNS[stage.objective])


def run(work: Work) -> Mapping[str, float]:
    """Train a reward model on pairs of responses, or on responses with a label."""
    used = COLUMNS[work.stage.objective]
    texts = [column for column in used if column != "label"]
    part = work.stage.text

    def scored(row: dict[str, Any]) -> dict[str, str]:
        return {c: scored_text(row["prompt"], row[c], part) for c in texts}

    rows = work.rendered(work.rows()).map(scored).select_columns(list(used))
    make = {"pairwise": _pairwise, "pointwise": _pointwise}[work.stage.objective]
    return work.train(make(work, rows))


def _pairwise(work: Work, rows: Any) -> Any:
    from trl import RewardConfig, RewardTrainer

    return RewardTrainer(
        model=work.stage.model,
        args=work.arguments(RewardConfig),
        train_dataset=rows,
        processing_class=work.tokenizer(),
    )


def _pointwise(work: Work, rows: Any) -> Any:
    from transformers import DataCollatorWithPadding
    from trl import RewardConfig

    from r1trl.training.trainers import PointwiseTrainer

    tokenizer = work.tokenizer()
    args = work.arguments(RewardConfig, remove_unused_columns=False)

    def encode(row: dict[str, Any]) -> dict[str, Any]:
        text = row["completion"] + tokenizer.eos_token
        ids = tokenizer(text, truncation=True, max_length=args.max_length)["input_ids"]
        return {"input_ids": ids, "label": int(row["label"])}

    model = work.model(auto_class="AutoModelForSequenceClassification", num_labels=1)
    model.config.pad_token_id = tokenizer.pad_token_id
    return PointwiseTrainer(
        model=model,
        args=args,
        train_dataset=rows.map(encode, remove_columns=rows.column_names),
        processing_class=tokenizer,
        data_collator=DataCollatorWithPadding(tokenizer),
    )


KIND = Kind(
    run=run,
    settings=RewardModelSettings,
    trl_config="RewardConfig",
    takes=("batch",),
    columns=columns,
)
