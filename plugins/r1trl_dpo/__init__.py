"""Direct preference optimization (Rafailov et al., arXiv 2305.18290) as a kind of stage.

TRL's DPOTrainer on prompts with a chosen and a rejected response. The reference model is the model
that the stage starts from, or, with an adapter, that model without the adapter.
"""

from collections.abc import Mapping

import r1trl
from r1trl_dpo.fields import DPO_FIELDS, problems

COLUMNS = ("prompt", "chosen", "rejected")


def run(work: r1trl.Work) -> Mapping[str, float]:
    """Train a policy on preference pairs with TRL's DPOTrainer.

    A collective. TRL loads the reference model from `stage.model` whenever the trainer is made, so
    that of a resumed stage is the same one; with `args.sync_ref_model`, `work.train` restores it
    from the checkpoint. `num_tokens` counts anew on resume.
    """
    from trl import DPOConfig, DPOTrainer

    trainer = DPOTrainer(
        model=work.stage.model,
        args=work.arguments(DPOConfig),
        train_dataset=work.rendered(work.rows()).select_columns(list(COLUMNS)),
        processing_class=work.tokenizer(),
        peft_config=work.adapter(),
    )
    return work.train(trainer)


@r1trl.hookimpl
def r1trl_kinds() -> Mapping[str, r1trl.Kind]:
    """Offer the kind `dpo`."""
    kind = r1trl.Kind(
        run=run,
        trl_config="DPOConfig",
        fields=DPO_FIELDS,
        takes=("batch", "adapter"),
        columns=lambda stage: COLUMNS,
        problems=problems,
    )
    return {"dpo": kind}
