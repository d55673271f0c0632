"""Direct preference optimization (Rafailov et al., arXiv 2305.18290) as a kind of stage.

TRL's DPOTrainer on prompts with a chosen and a rejected response. The reference model is the model
that the stage starts from, or, with an adapter, that model without the adapter.
"""

from collections.abc import Mapping
from typing import Any

import r1trl
from r1trl_dpo.fields import DPO_FIELDS, problems

COLUMNS = ("prompt", "chosen", "rejected")


def run(work: r1trl.Work) -> Mapping[str, float]:
    """Train a policy on preference pairs with TRL's DPOTrainer.

    A collective. TRL loads the reference model from `stage.model` whenever the trainer is made, so
    that of a resumed stage is the same one; with `args.sync_ref_model`, `work.train` restores it
    from the checkpoint.
    """
    from trl import DPOConfig, DPOTrainer

    trainer = DPOTrainer(
        model=work.stage.model,
        args=work.arguments(DPOConfig),
        train_dataset=pairs(work),
        processing_class=work.tokenizer(),
        peft_config=work.adapter(),
    )
    return work.train(trainer)


def pairs(work: r1trl.Work) -> Any:
    """Return the rows as TRL wants them, without pairs that nothing can be learned from.

    Those have equal responses, none that is chosen, or a missing one. Raises StageError if no other
    is left.
    """
    rows = work.rendered(work.rows()).select_columns(list(COLUMNS))
    kept = rows.filter(teaches)
    left_out = f"of {len(rows)} pairs have equal responses, an empty chosen or a missing one"
    if not len(kept):
        all_of_them = f"{len(rows)} {left_out}, and nothing can be learned from them"
        raise r1trl.StageError(f"{work.key}.data: {all_of_them}")
    if len(kept) < len(rows) and work.is_main:
        print(f"{work.key}.data: {len(rows) - len(kept)} {left_out}, and are left out", flush=True)
    return kept


def teaches(row: Mapping[str, Any]) -> bool:
    """Return True if a row has a chosen response that is not empty, and another, rejected one."""
    chosen, rejected = row["chosen"], row["rejected"]
    empty = not (chosen.strip() if isinstance(chosen, str) else chosen)
    return not empty and rejected is not None and bool(chosen != rejected)


@r1trl.hookimpl
def r1trl_kinds() -> Mapping[str, r1trl.Kind]:
    """Offer the kind `dpo`."""
    kind = r1trl.Kind(
        run=run,
        trl_config="DPOConfig",
        fields=DPO_FIELDS,
        takes=("batch", "adapter", "evaluate", "rewards"),
        columns=lambda stage: COLUMNS,
        problems=problems,
    )
    return {"dpo": kind}
