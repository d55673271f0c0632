"""Training a reward model: on pairs of responses, or on responses with a label."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from r1trl import Field, Kind, StageError, Work
from r1trl.arguments.shared import OWN_LOSS, RENDERED
from r1trl.kinds.reward_rows import labelled_texts, pairs
from r1trl.process.terminal import say

COLUMNS = {"pairwise": ("chosen", "rejected"), "pointwise": ("completion", "label")}
REWARD_FIELDS: Mapping[str, Field] = {
    "center_rewards_coefficient": Field(at_least=0),
    "label_smoothing_factor": OWN_LOSS,
    "average_tokens_across_devices": OWN_LOSS,
    "chat_template_path": RENDERED,
}
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
    from trl import RewardConfig, RewardTrainer

    from r1trl.training.trainers import PointwiseTrainer

    pairwise = work.stage.objective == "pairwise"
    rows = pairs(work) if pairwise else labelled_texts(work)
    trainer = (RewardTrainer if pairwise else PointwiseTrainer)(
        model=work.stage.model,
        args=work.arguments(RewardConfig, remove_unused_columns=pairwise),
        train_dataset=rows,
        processing_class=work.tokenizer(),
        peft_config=work.adapter("SEQ_CLS"),
    )
    _say_what_is_too_long(work, len(rows), len(trainer.train_dataset), trainer.args.max_length)
    return work.train(trainer)


def _say_what_is_too_long(work: Work, rows: int, kept: int, longest: int | None) -> None:
    """Say how many rows TRL has left out for their length; raise StageError if it is all."""
    said = f"{work.key}.args.max_length: {rows - kept} of {rows} rows are longer than {longest}"
    if not kept:
        raise StageError(f"{said} tokens, and none is left; raise it")
    if kept < rows and work.is_main:
        say(f"{said} tokens, and are left out")


def problems(stage: Any) -> Iterator[tuple[str, str]]:
    """Yield the arguments that do not fit the stage's objective."""
    sorts = stage.args.get("train_sampling_strategy")
    if stage.objective == "pairwise" and sorts in BY_LENGTH:
        yield "args.train_sampling_strategy", f"{sorts} sorts single texts, not pairs; use random"
    if stage.objective == "pointwise" and stage.args.get("center_rewards_coefficient") is not None:
        yield (
            "args.center_rewards_coefficient",
            "reaches nothing with objective=pointwise: labels say where 0 is, pairs do not",
        )


KIND = Kind(
    run=run,
    settings=RewardModelSettings,
    trl_config="RewardConfig",
    fields=REWARD_FIELDS,
    takes=("batch", "adapter"),
    columns=columns,
    problems=problems,
)
