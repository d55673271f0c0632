"""Training a model that answers: from examples (SFT), or from what its own answers are worth."""

from collections.abc import Mapping
from typing import Any

from r1trl.data.prompts import need_columns, render, with_system
from r1trl.errors import StageError, errors_named
from r1trl.packing.packed import can_pack
from r1trl.packing.padding_free import PackedModel
from r1trl.plugins.loading import Plugins
from r1trl.rewards.pool import cores
from r1trl.rewards.scorer import make_scorer
from r1trl.training.arguments import Training, adapter, batch_args, rollout_args, trl_config
from r1trl.training.prompts_and_groups import StageSamplers
from r1trl.training.rollouts import PrecomputedReward, RolloutMixin

MANY = 10_000  # rows that are worth the start of several processes


def make_sft(training: Training) -> Any:
    """Make TRL's SFTTrainer: rows with `messages`, or with `prompt` and `completion`."""
    from trl import SFTTrainer

    rows, settings = training.rows, training.work.settings
    if "messages" in rows.column_names and "completion" not in rows.column_names:
        rows = rows.select_columns(["messages"]).map(
            lambda row: {"messages": with_system(row["messages"], settings["system"])}
        )
    else:
        need_columns(rows, ["prompt", "completion"], f"{training.where}.data")
        rows = render(rows, training.tokenizer, settings["template"], "", settings["system"])
        rows = rows.select_columns(["prompt", "completion"])
    return type("R1trlSFTTrainer", (Trimmed, SFTTrainer), {})(
        model=settings["model"],
        args=trl_config(
            training,
            dataset_num_proc=settings["args"].get("dataset_num_proc", processes_for(len(rows))),
            **batch_args(training),
        ),
        train_dataset=rows,
        processing_class=training.tokenizer,
        peft_config=adapter(settings),
    )


class Trimmed:
    """A mixin for TRL's SFTTrainer that computes no padding."""

    model: Any
    aux_loss_enabled: bool

    def compute_loss(self, model: Any, inputs: Any, *more: Any, **named: Any) -> Any:
        """Return the loss of a batch."""
        plain = inputs.keys() == {"input_ids", "attention_mask", "labels"} and self.model.training
        possible = plain and not self.aux_loss_enabled
        packs = possible and can_pack(model, inputs["input_ids"].device)
        passed = PackedModel(model) if packs else model
        return super().compute_loss(passed, inputs, *more, **named)  # type: ignore[misc]


def processes_for(rows: int) -> int | None:
    """Return how many processes tokenise so many rows; None: this one."""
    return cores() if rows >= MANY and cores() > 1 else None


def make_rl(training: Training) -> Any:
    """Make TRL's GRPOTrainer or RLOOTrainer, with r1trl's rewards and samplers in it."""
    import trl

    settings, plugins = training.work.settings, training.plugins
    need_columns(training.rows, ["prompt"], f"{training.where}.data")
    rows = render(
        training.rows,
        training.tokenizer,
        settings["template"],
        settings["prefill"],
        settings["system"],
    )
    refuse_hidden_options(rows.column_names, settings["rewards"], plugins, training.where)
    scorer = make_scorer(settings["rewards"], settings["scoring"], plugins)
    base = trl.GRPOTrainer if training.work.kind == "grpo" else trl.RLOOTrainer
    trainer = type(f"R1trl{base.__name__}", (RolloutMixin, base), {})(
        model=settings["model"],
        args=trl_config(
            training,
            reward_weights=[setting.weight for setting in scorer.settings],
            **rollout_args(training),
        ),
        train_dataset=rows,
        processing_class=training.tokenizer,
        reward_funcs=[PrecomputedReward(name) for name in scorer.names],
        peft_config=adapter(settings),
    )
    trainer.prepare(scorer, samplers_of(training, rows))
    return trainer


def samplers_of(training: Training, rows: Any) -> StageSamplers | None:
    """Make the samplers of a stage; None where it has none, and TRL shuffles the rows."""
    where, work, samplers = f"{training.where}.samplers", training.work, {}
    for name, options in work.settings["samplers"].items():
        if options is not None:
            with errors_named(f"{where}.{name}"):
                samplers[name] = training.plugins.find("sampler", name).bind(options)
    return StageSamplers(samplers, rows, work.own_seed, where) if samplers else None


def refuse_hidden_options(
    columns: list[str], rewards: Mapping[str, Any], plugins: Plugins, where: str
) -> None:
    """Refuse a column with the name of a reward's option: it would override the option."""
    for name, options in rewards.items():
        if options is None:
            continue
        for option in plugins.find("reward", options.get("reward", name)).options:
            if option in columns:
                raise StageError(
                    f"{where}.rewards.{name}: the data has a column '{option}', which would hide "
                    "the reward's option of that name; rename it with columns:"
                )
