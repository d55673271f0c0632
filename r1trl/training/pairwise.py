"""Training a reward model: on pairs of responses, or on responses with a label."""

from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from transformers import AutoModelForSequenceClassification, DataCollatorWithPadding, Trainer

from r1trl.data.prompts import need_columns, render
from r1trl.rewards.parts import scored_text
from r1trl.training.arguments import Training, batch_args, model_options, trl_config

if TYPE_CHECKING:
    from datasets import Dataset

COLUMNS = {"pairwise": ["chosen", "rejected"], "pointwise": ["completion", "label"]}


class PointwiseTrainer(Trainer):
    """Binary cross-entropy on a label per text (DeepSeek-R1 v2, section 3.1, equation 6)."""

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **_: Any) -> Any:
        """Return the loss of a batch, with the outputs where asked for."""
        labels = inputs.pop("labels").to(torch.float32)
        outputs = model(**inputs)
        loss = binary_cross_entropy_with_logits(outputs.logits[:, 0].float(), labels)
        return (loss, outputs) if return_outputs else loss


def make_reward_model(training: Training) -> Any:
    """Make the trainer for the stage's objective; the text is what `scored` says of a response."""
    settings = training.work.settings
    columns = COLUMNS[settings["objective"]]
    need_columns(training.rows, ["prompt", *columns], f"{training.where}.data")
    rows = render(training.rows, training.tokenizer, settings["template"], "")
    texts = [column for column in columns if column != "label"]

    def scored(row: dict[str, Any]) -> dict[str, str]:
        return {c: scored_text(row["prompt"], row[c], settings["scored"]) for c in texts}

    rows = rows.map(scored).select_columns(columns)
    make = {"pairwise": _pairwise, "pointwise": _pointwise}[settings["objective"]]
    return make(training, rows)


def _pairwise(training: Training, rows: "Dataset") -> Any:
    from trl import RewardTrainer

    return RewardTrainer(
        model=training.work.settings["model"],
        args=trl_config(training, **batch_args(training)),
        train_dataset=rows,
        processing_class=training.tokenizer,
    )


def _pointwise(training: Training, rows: "Dataset") -> Any:
    tokenizer, settings = training.tokenizer, training.work.settings
    args = trl_config(training, remove_unused_columns=False, **batch_args(training))

    def encode(row: dict[str, Any]) -> dict[str, Any]:
        text = row["completion"] + tokenizer.eos_token
        ids = tokenizer(text, truncation=True, max_length=args.max_length)["input_ids"]
        return {"input_ids": ids, "label": int(row["label"])}

    model = AutoModelForSequenceClassification.from_pretrained(
        settings["model"], num_labels=1, **model_options(settings)
    )
    model.config.pad_token_id = tokenizer.pad_token_id
    return PointwiseTrainer(
        model=model,
        args=args,
        train_dataset=rows.map(encode, remove_columns=rows.column_names),
        processing_class=tokenizer,
        data_collator=DataCollatorWithPadding(tokenizer),
    )
