"""What may be given for the fields that all of TRL's configs have: transformers' own.

A kind's table, `Kind.fields`, goes before this one. The values of enums are read from transformers'
source and do not stand here.
"""

from collections.abc import Mapping

from r1trl.fields import Field, equal

NO_EVALUATION = "a stage evaluates by evaluate.every, with completions and verifiers, not by TRL"
NOTHING_EVALUATED = Field(
    verdict="refused", reason=f"evaluation is all that reads it, and {NO_EVALUATION}"
)
BY_DTYPE = Field(
    verdict="refused",
    reason="is set from the stage's dtype; set dtype=bfloat16, float16 or float32",
)
NEVER = Field(verdict="refused", reason="TRL's trainers do not read it; leave it out")
NOT_TRACKED = Field(
    verdict="refused", reason="reaches nothing: metrics go to a file, and to trackers; set trackers"
)
TRACKING = ("project", "trackio_space_id", "trackio_bucket_id", "trackio_static_space_id")
EVALUATION = (
    "per_device_eval_batch_size",
    "eval_steps",
    "eval_delay",
    "eval_on_start",
    "eval_do_concat_batches",
    "eval_use_gather_object",
    "eval_accumulation_steps",
    "prediction_loss_only",
    "batch_eval_metrics",
    "include_for_metrics",
    "label_names",
    "metric_for_best_model",
    "greater_is_better",
    "bf16_full_eval",
    "fp16_full_eval",
)
SCHEDULES = (
    "linear",
    "cosine",
    "cosine_with_restarts",
    "cosine_with_min_lr",
    "cosine_warmup_with_min_lr",
    "polynomial",
    "inverse_sqrt",
    "constant",
    "constant_with_warmup",
    "warmup_stable_decay",
)
LOG_LEVELS = ("detail", "debug", "info", "warning", "error", "critical", "passive")
BACKENDS = (  # those that accelerate and torch 2.6 or later, or a package for a device, have
    "inductor",
    "eager",
    "aot_eager",
    "cudagraphs",
    "onnxrt",
    "tensorrt",
    "tvm",
    "hpu_backend",
    "neuron",
)
MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs", "lite")

TRAINING_FIELDS: Mapping[str, Field] = {
    # how long, and how many rows at once
    "num_train_epochs": Field(above=0),
    "max_steps": Field(at_least=1, also=(-1,)),
    "per_device_train_batch_size": Field(at_least=1),
    "auto_find_batch_size": Field(
        choices=(False,),
        reason="an update would have fewer rows than batch or rollout say; lower "
        "per_device_train_batch_size",
    ),
    # the optimizer
    **equal("optim optim_args optim_target_modules lr_scheduler_kwargs"),
    "learning_rate": Field(above=0),
    "lr_scheduler_type": Field(
        choices=SCHEDULES,
        reason="reduce_lr_on_plateau and greedy need an evaluation, and there is none in training",
    ),
    "warmup_steps": Field(at_least=0),  # below 1: a share of all steps
    "weight_decay": Field(at_least=0),
    "adam_beta1": Field(at_least=0, below=1),
    "adam_beta2": Field(at_least=0, below=1),
    "adam_epsilon": Field(above=0),
    "max_grad_norm": Field(at_least=0),  # 0: gradients are not clipped
    "label_smoothing_factor": Field(at_least=0, at_most=1),
    "neftune_noise_alpha": Field(above=0),
    # precision and speed
    **equal("gradient_checkpointing gradient_checkpointing_kwargs tf32 use_cpu use_cache"),
    **equal("activation_checkpointing activation_checkpointing_kwargs full_determinism"),
    **equal("torch_compile use_liger_kernel liger_kernel_config"),
    "bf16": BY_DTYPE,
    "fp16": BY_DTYPE,
    "torch_compile_backend": Field(choices=BACKENDS),
    "torch_compile_mode": Field(choices=MODES),
    "torch_empty_cache_steps": Field(at_least=1),
    "parallelism_config": Field(
        verdict="refused",
        reason="is an object, not a value; set parallelism_config in launch.config",
    ),
    # records
    **equal("logging_strategy logging_first_step logging_nan_inf_filter log_on_each_node"),
    **equal("disable_tqdm skip_memory_metrics"),
    **dict.fromkeys(TRACKING, NOT_TRACKED),
    "logging_steps": Field(above=0),  # below 1: a share of all steps
    "log_level": Field(choices=LOG_LEVELS),
    "log_level_replica": Field(choices=LOG_LEVELS),
    "include_num_input_tokens_seen": Field(choices=("all", "non_padding", "no", True, False)),
    "debug": Field(choices=("underflow_overflow", "tpu_metrics_debug"), also=("",)),
    # checkpoints
    "ignore_data_skip": Field(
        choices=(False,), reason="a stage that continues would read some rows twice, others never"
    ),
    "restore_callback_states_from_checkpoint": Field(
        choices=(False,), reason="r1trl restores what it records; nothing else has a state"
    ),
    **equal("push_to_hub hub_always_push hub_model_id hub_private_repo hub_revision"),
    **equal("hub_strategy hub_token"),
    "save_strategy": Field(choices=("steps", "epoch", "no"), reason="best needs an evaluation"),
    "save_steps": Field(above=0),  # below 1: a share of all steps
    "save_total_limit": Field(at_least=1, reason="null keeps all"),
    "save_only_model": Field(
        choices=(False,), reason="without the optimizer, a stopped stage cannot continue"
    ),
    "save_on_each_node": Field(
        choices=(False,), reason="a stage has one folder, which all nodes see"
    ),
    "enable_jit_checkpoint": Field(
        choices=(False,), reason="r1trl itself saves and leaves on SIGTERM and SIGUSR1"
    ),
    # models and rows on their way to them
    **equal("trust_remote_code train_sampling_strategy accelerator_config"),
    **equal("dataloader_drop_last dataloader_in_order dataloader_pin_memory"),
    **equal("dataloader_persistent_workers dataloader_multiprocessing_context"),
    "dataloader_num_workers": Field(at_least=0),
    "dataloader_prefetch_factor": Field(at_least=1),
    "length_column_name": Field(
        verdict="refused", reason="no column of lengths reaches the trainer, which counts tokens"
    ),
    # several processes
    **equal("deepspeed fsdp fsdp_config average_tokens_across_devices ddp_backend"),
    **equal("ddp_broadcast_buffers ddp_find_unused_parameters ddp_static_graph"),
    "ddp_bucket_cap_mb": Field(at_least=1),
    "local_rank": Field(verdict="refused", reason="is set by the launcher; see launch"),
    # evaluation
    "eval_strategy": Field(choices=("no",), reason=NO_EVALUATION),
    "load_best_model_at_end": Field(choices=(False,), reason=NO_EVALUATION),
    **dict.fromkeys(EVALUATION, NOTHING_EVALUATED),
    **dict.fromkeys(("do_train", "do_eval", "do_predict"), NEVER),
}
