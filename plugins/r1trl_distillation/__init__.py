"""On-policy distillation (Agarwal et al., arXiv 2306.13649) as a kind of stage.

TRL's DistillationTrainer: the student generates completions, and learns at each of their tokens the
distribution that the teacher gives for the next one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import r1trl
from r1trl_distillation.fields import DISTILLATION_FIELDS, problems

INSTEAD = "or fine-tune on the teacher's answers with recipe=distill"


@dataclass
class DistillationSettings:
    """The model whose next-token distributions are learned: a folder, a Hub id or stage:<name>."""

    teacher: r1trl.Model


def run(work: r1trl.Work) -> Mapping[str, float]:
    """Train a student on its own completions towards a teacher with TRL's DistillationTrainer.

    A collective. The teacher's weights are loaded in the stage's `dtype`, as they are not trained;
    `args.teacher_model_init_kwargs` overrides it. Raises StageError if the teacher's tokens are not
    the student's. A resumed stage continues exactly: an update generates its completions from the
    random state in the checkpoint, and the rows are shuffled once, here, because TRL's sampler
    starts anew with the order of the first epoch.
    """
    from trl import DistillationConfig, DistillationTrainer

    stage = work.stage
    check_teacher(work)
    options: dict[str, Any] = {"dtype": stage.dtype, "device_map": None}  # whole on the device
    if stage.attn_implementation:
        options["attn_implementation"] = stage.attn_implementation
    options |= stage.args.get("teacher_model_init_kwargs") or {}
    rows = work.rendered(work.rows(), prefill=True).select_columns(["prompt"])
    fixed = {"teacher_model_init_kwargs": options, "shuffle_dataset": False}
    trainer = DistillationTrainer(
        model=stage.model,
        teacher_model=stage.teacher,
        args=work.arguments(DistillationConfig, **fixed),
        train_dataset=rows.shuffle(seed=work.seed),
        processing_class=work.tokenizer(),
        peft_config=work.adapter(),
    )
    return work.train(trainer)


def check_teacher(work: r1trl.Work) -> None:
    """Raise StageError if teacher and student differ in vocabulary, end token or logits.

    Every token of the student must have the same id in the teacher's vocabulary. Loads tokenizers
    and model configs, no weights.
    """
    from transformers import AutoConfig

    key, teacher = f"{work.key}.teacher", work.stage.teacher
    student_tokenizer, teacher_tokenizer = work.tokenizer(), work.tokenizer(teacher)
    ids, teacher_ids = student_tokenizer.get_vocab(), teacher_tokenizer.get_vocab()
    other = sorted(token for token, id_ in ids.items() if teacher_ids.get(token) != id_)
    if other:
        raise r1trl.StageError(
            f"{key}: {len(other)} of the student's {len(ids)} tokens, such as {other[0]!r}, have "
            f"another id or none in the vocabulary of {teacher}; choose a teacher with the "
            f"student's vocabulary, {INSTEAD}"
        )
    ends = student_tokenizer.eos_token, teacher_tokenizer.eos_token
    if ends[0] != ends[1]:
        raise r1trl.StageError(
            f"{key}: {teacher} ends its answers with {ends[1]!r}, the student with {ends[0]!r}, "
            "which it would learn to leave out; choose a teacher with the student's end token, "
            f"{INSTEAD}"
        )
    trusted = bool(work.stage.args.get("trust_remote_code"))
    student_size, teacher_size = (
        AutoConfig.from_pretrained(path, trust_remote_code=trusted).get_text_config().vocab_size
        for path in (work.stage.model, teacher)
    )
    if student_size != teacher_size:
        raise r1trl.StageError(
            f"{key}: {teacher} has {teacher_size} logits per position, the student {student_size}, "
            f"although their tokens agree; choose a teacher with as many, {INSTEAD}"
        )


@r1trl.hookimpl
def r1trl_kinds() -> Mapping[str, r1trl.Kind]:
    """Offer the kind `distillation`."""
    kind = r1trl.Kind(
        run=run,
        settings=DistillationSettings,
        trl_config="DistillationConfig",
        fields=DISTILLATION_FIELDS,
        draws="while training",
        takes=("batch", "adapter", "evaluate", "rewards"),
        columns=lambda stage: ("prompt",),
        problems=problems,
    )
    return {"distillation": kind}
