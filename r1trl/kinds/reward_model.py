"""Training a reward model: on pairs of responses, or on responses with a label."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from r1trl import Field, Kind, Work, scored_text
from r1trl.arguments.shared import OWN_LOSS, RENDERED

COLUMNS = {"pairwise": ("chosen", "rejected"), "pointwise": ("completion", "label")}
REWARD_FIELDS: Mapping[str, Field] = {
    "center_rewards_coefficient": Field(at_least=0),
    "label_smoothing_factor": OWN_LOSS,
    "average_tokens_across_devices": OWN_LOSS,
    "chat_template_path": RENDERED,
}
PAIRWISE_ONLY = (  # fields of RewardConfig that RewardTrainer reads and PointwiseTrainer does not
    "activation_offloading",
    "center_rewards_coefficient",
    "dataset_num_proc",
    "disable_dropout",
    "eos_token",
    "pad_to_multiple_of",
    "pad_token",
    "trust_remote_code",
)
BY_LENGTH = ("group_by_length", "batch_rebalance")


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
        peft_config=work.adapter("SEQ_CLS"),
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
        model=_with_adapter(model, work.adapter("SEQ_CLS")),
        args=args,
        train_dataset=rows.map(encode, remove_columns=rows.column_names),
        processing_class=tokenizer,
        data_collator=DataCollatorWithPadding(tokenizer),
    )


def _with_adapter(model: Any, config: Any) -> Any:
    """Return the model with an adapter, if there is a config for one."""
    if config is None:
        return model
    from peft import get_peft_model

    return get_peft_model(model, config)


def problems(stage: Any) -> Iterator[tuple[str, str]]:
    """Yield the arguments that the trainer of the stage's objective does not read."""
    if stage.objective == "pointwise":
        for name in PAIRWISE_ONLY:
            if stage.args.get(name) not in (None, False):
                yield f"args.{name}", "reaches nothing with objective=pointwise; leave it out"
    elif stage.args.get("train_sampling_strategy") in BY_LENGTH:
        sorts = stage.args["train_sampling_strategy"]
        yield "args.train_sampling_strategy", f"{sorts} sorts single texts, not pairs; use random"


KIND = Kind(
    run=run,
    settings=RewardModelSettings,
    trl_config="RewardConfig",
    fields=REWARD_FIELDS,
    takes=("batch", "adapter"),
    columns=columns,
    problems=problems,
)
