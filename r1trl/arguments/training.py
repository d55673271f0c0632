"""What may be given for the fields that all of TRL's configs have: transformers' own.

A kind's table, `Kind.fields`, goes before this one. The values of enums are read from transformers'
source and do not stand here.
"""

from collections.abc import Mapping

from r1trl.fields import Field

SET_BY_R1TRL = (
    "output_dir",
    "logging_dir",
    "report_to",
    "run_name",
    "resume_from_checkpoint",
    "reward_weights",
    "generation_batch_size",
    "steps_per_generation",
    "gradient_accumulation_steps",
    "shuffle_dataset",
    "model_init_kwargs",
    "seed",
    "data_seed",
    "remove_unused_columns",
)

NO_EVALUATION = "r1trl's training stages evaluate nothing; add a stage of kind evaluate"
BY_DTYPE = "is set from the stage's dtype; set dtype=bfloat16, float16 or float32"

TRAINING_FIELDS: Mapping[str, Field] = {
    "bf16": Field(verdict="refused", reason=BY_DTYPE),
    "fp16": Field(verdict="refused", reason=BY_DTYPE),
    "per_device_eval_batch_size": Field(verdict="refused", reason=NO_EVALUATION),
    "eval_strategy": Field(choices=("no",), reason=NO_EVALUATION),
    "learning_rate": Field(above=0),
    "max_steps": Field(at_least=1, also=(-1,)),
}
