"""The trainer of a stage that learns from completions of its own, with its rewards and samplers."""

from collections.abc import Mapping, Sequence
from typing import Any

from r1trl.data.checks import need_rows
from r1trl.errors import StageError
from r1trl.evaluation.verdicts import Verdicts
from r1trl.plugins.loading import Plugins
from r1trl.training.arguments import rollout_arguments
from r1trl.training.prompts_and_groups import StageSamplers, bind_samplers
from r1trl.training.trainers import with_rollouts


def rollout_trainer(
    work: Any, trainer_class: Any, config_class: Any, fixed: Mapping[str, Any]
) -> Any:
    """Return a GRPO or RLOO trainer, or a subclass's; see `Work.rollouts`.

    `work` is a `StageWork`.
    """
    stage, key = work.stage, f"{work.key}.samplers"
    rows = work.rendered(work.rows(), prefill=True)
    refuse_hidden_options(rows.column_names, stage.rewards, work.plugins, work.key)
    need_rows(len(rows), stage, work.key)
    samplers = bind_samplers(stage.samplers, work.plugins, key)
    weights = [reward.weight for reward in work.scorer.rewards]
    options = {**fixed, "reward_weights": weights, **rollout_arguments(stage, work.key)}
    trainer = with_rollouts(trainer_class)(
        model=stage.model,
        args=work.arguments(config_class, **options),
        train_dataset=rows,
        processing_class=work.tokenizer(),
        peft_config=work.adapter(),
        scorer=work.scorer,
        samplers=StageSamplers(samplers, rows, work.seed, key) if samplers else None,
    )
    if correct := reward_of_right(stage):
        trainer.add_callback(Verdicts(trainer, work.folder, correct))
    return trainer


def reward_of_right(stage: Any) -> str | None:
    """Return the stage's reward that is 1 for a right completion; None if it has none.

    That is `metrics.correct`, of a kind that has the setting, else `evaluate.metrics.correct`.
    """
    given = getattr(getattr(stage, "metrics", None), "correct", None)
    named = given or stage.evaluate.metrics.get("correct")
    return named if stage.rewards.get(named) is not None else None


def refuse_hidden_options(
    columns: Sequence[str], rewards: Mapping[str, Any], plugins: Plugins, key: str
) -> None:
    """Raise StageError if a column has the name of a reward's option: it would hide the option.

    `rewards` are a stage's, `key` is the stage's key.
    """
    for name, options in rewards.items():
        if options is None:
            continue
        for option in plugins.find("reward", options.get("reward", name)).options:
            if option in columns:
                raise StageError(
                    f"{key}.rewards.{name}: the data has a column '{option}', which would hide "
                    "the reward's option of that name; rename it with columns:"
                )
