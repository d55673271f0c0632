"""Per field of TRL's configs a value to try, and what must be true of the weights then.

The weights are those of a tiny model after `BASE`, two steps of plain gradient descent; with a
trial they must be TRL's own, and other ones than without it, unless the trial says `silent`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

KINDS = ("grpo", "rloo", "sft", "pairwise", "dpo", "distillation")
DRAWING = ("grpo", "rloo", "distillation")
ROLLOUTS = ("grpo", "rloo")
BASE = {
    "max_steps": 2,
    "optim": "sgd",
    "learning_rate": 0.5,
    "max_grad_norm": 1e6,
    "lr_scheduler_type": "constant",
}
BASE_OF: Mapping[str, Mapping[str, Any]] = {kind: {"num_generations": 4} for kind in ROLLOUTS}


@dataclass(frozen=True)
class Trial:
    """A value of a field, and the arguments `beside` which it is tried.

    `silent` are the kinds whose weights it leaves alone; `model` is one of the fixture's models.
    """

    value: Any
    beside: Mapping[str, Any] = field(default_factory=dict)
    silent: tuple[str, ...] = ()
    model: str = "plain"


def silent(value: Any, **beside: Any) -> Trial:
    """Return a trial of a field that changes no weight of any kind."""
    return Trial(value, beside, KINDS)


ADAM = {"optim": "adamw_torch", "learning_rate": 0.05, "adam_epsilon": 0.01}
LINEAR = {"lr_scheduler_type": "linear"}
WORKER = {"dataloader_num_workers": 1}
SAVING = {"save_strategy": "steps", "save_steps": 1}
TWICE = {"num_iterations": 2, "learning_rate": 0.02}  # the second update is off-policy
GENTLY = {"num_iterations": 2, "learning_rate": 0.002}  # ratios are those of whole completions
SYNCED = {"sync_ref_model": True, "ref_model_sync_steps": 1}
ADAPTIVE = {"entropy_coef": 0.4, "use_adaptive_entropy": True, "entropy_target": 50.0}
PRINTED = {"log_completions": True}
TRIALS: Mapping[str, Trial] = {
    # how long, and how many rows at once
    "num_train_epochs": Trial(0.5, {"max_steps": -1}),
    "max_steps": Trial(1),
    "per_device_train_batch_size": Trial(2, silent=ROLLOUTS),
    # the optimizer
    "learning_rate": Trial(0.25),
    "lr_scheduler_type": Trial("linear"),
    "lr_scheduler_kwargs": Trial({"power": 3.0}, {"lr_scheduler_type": "polynomial"}),
    "warmup_steps": Trial(1, LINEAR),
    "optim": Trial("adamw_torch", {"learning_rate": 0.05, "adam_epsilon": 0.01}),
    "weight_decay": Trial(0.5),
    "adam_beta1": Trial(0.1, ADAM),
    "adam_beta2": Trial(0.1, ADAM),
    "adam_epsilon": Trial(0.1, ADAM),
    "max_grad_norm": Trial(0.001),
    "label_smoothing_factor": Trial(0.5),
    "neftune_noise_alpha": Trial(5.0),
    # precision and speed
    "gradient_checkpointing": silent(True),
    "gradient_checkpointing_kwargs": silent({"use_reentrant": True}, gradient_checkpointing=True),
    "activation_checkpointing": silent(True, gradient_checkpointing=True),
    "activation_checkpointing_kwargs": silent({"use_reentrant": True}, gradient_checkpointing=True),
    "torch_empty_cache_steps": silent(1),
    "tf32": silent(False),
    "use_cpu": silent(True),
    "use_cache": silent(True),
    "pad_to_multiple_of": silent(32),
    # records
    "logging_steps": silent(2),
    "logging_strategy": silent("epoch"),
    "logging_first_step": silent(True),
    "logging_nan_inf_filter": silent(False),
    "log_on_each_node": silent(False),
    "log_level": silent("error"),
    "log_level_replica": silent("error"),
    "disable_tqdm": silent(True),
    "skip_memory_metrics": silent(False),
    "include_num_input_tokens_seen": silent("all"),
    "debug": silent("underflow_overflow"),
    "log_completions": silent(True),
    "log_unique_prompts": silent(True, **PRINTED),
    "num_completions_to_print": silent(1, **PRINTED),
    # checkpoints
    "save_strategy": silent("epoch"),
    "save_steps": silent(2, **SAVING),
    "save_total_limit": silent(1, **SAVING),
    # rows on their way to the model
    "train_sampling_strategy": Trial("sequential"),
    "accelerator_config": silent({"non_blocking": True}),
    "dataloader_drop_last": Trial(True, {"per_device_train_batch_size": 3, "max_steps": 3}),
    "dataloader_num_workers": silent(1),
    "dataloader_prefetch_factor": silent(3, **WORKER),
    "dataloader_persistent_workers": silent(True, **WORKER),
    "dataloader_multiprocessing_context": silent("fork", **WORKER),
    "dataloader_in_order": silent(False, **WORKER),
    "dataloader_pin_memory": silent(False),
    "average_tokens_across_devices": silent(False),
    "dataset_num_proc": silent(1),
    "trust_remote_code": Trial(True, {"trust_remote_code": True}, KINDS, "own"),  # needs it
    # texts and tokens
    "max_length": Trial(9),
    "truncation_mode": Trial("keep_end", {"max_length": 9}),
    "pad_token": silent("a"),
    "eos_token": Trial("!"),
    "chat_template_path": silent("TEMPLATE"),  # the rows are texts
    "packing": Trial(True, {"max_length": 32}),
    "packing_strategy": Trial("wrapped", {"packing": True, "max_length": 16}),
    "padding_free": silent(True, max_length=None),
    "completion_only_loss": Trial(False),
    # completions
    "num_generations": Trial(2),
    "max_completion_length": Trial(5),
    "temperature": Trial(0.5),
    "top_p": Trial(0.5),
    "top_k": Trial(20),
    "min_p": Trial(0.5),
    "repetition_penalty": Trial(1.5),
    "generation_kwargs": Trial({"suppress_tokens": list(range(100, 200))}),
    "cache_implementation": silent("static"),
    "mask_truncated_completions": Trial(True),
    # the model and the loss
    "disable_dropout": Trial(True, model="dropout"),
    "router_aux_loss_coef": Trial(0.5, model="mixture"),
    "num_iterations": Trial(2, {"max_steps": 4}),
    "beta": Trial(0.5),
    "epsilon": Trial(1e-4, TWICE),
    "epsilon_high": Trial(1e-4, TWICE),
    "sync_ref_model": Trial(True, {"beta": 0.5, "ref_model_sync_steps": 1}),
    "ref_model_sync_steps": Trial(1, {"beta": 0.5, "sync_ref_model": True}),
    "ref_model_mixup_alpha": Trial(1.0, {"beta": 0.5, **SYNCED}),
    # GRPO
    "loss_type": Trial("luspo"),
    "importance_sampling_level": Trial("sequence", TWICE),
    "delta": Trial(0.5, TWICE),
    "sapo_temperature_neg": Trial(3.0, {"loss_type": "sapo", **TWICE}),
    "sapo_temperature_pos": Trial(3.0, {"loss_type": "sapo", **TWICE}),
    "vespo_k_pos": Trial(1.0, {"loss_type": "vespo", **TWICE}),
    "vespo_k_neg": Trial(1.0, {"loss_type": "vespo", **TWICE}),
    "vespo_lambda_pos": Trial(1.0, {"loss_type": "vespo", **TWICE}),
    "vespo_lambda_neg": Trial(1.0, {"loss_type": "vespo", **TWICE}),
    "off_policy_mask_threshold": Trial(1e-6, TWICE),
    "use_bias_correction_kl": Trial(False, {"beta": 0.5, **TWICE}),
    "cast_lm_head_to_fp32": silent(True),
    "scale_rewards": Trial("none"),
    "multi_objective_aggregation": silent("normalize_then_sum"),  # there is one reward
    "top_entropy_quantile": Trial(0.5),
    "entropy_coef": Trial(0.5),
    "use_adaptive_entropy": Trial(True, {"entropy_coef": 0.5}),
    "entropy_coef_min": silent(0.4, **ADAPTIVE),  # the entropy stays below the target
    "entropy_coef_max": Trial(0.1, ADAPTIVE),
    "entropy_coef_delta": Trial(0.5, ADAPTIVE),
    "entropy_target": Trial(0.1, ADAPTIVE),
    # RLOO
    "normalize_advantages": Trial(True),
    "reward_clip_range": Trial((-0.1, 0.1)),
    # reward models
    "center_rewards_coefficient": Trial(0.5),
    # DPO
    "precompute_ref_log_probs": silent(True),
    "precompute_ref_batch_size": silent(2, precompute_ref_log_probs=True),
    "loss_weights": Trial([1.0, 0.1], {"loss_type": ["sigmoid", "sft"]}),
    "ld_alpha": Trial(0.5),
    "f_divergence_type": Trial("js_divergence"),
    "f_alpha_divergence_coef": Trial(0.2, {"f_divergence_type": "alpha_divergence"}),
    "label_smoothing": Trial(0.1, {"loss_type": ["robust"]}),
    "use_weighting": Trial(True),
    "discopop_tau": Trial(1.0, {"loss_type": ["discopop"]}),
    # distillation
    "teacher_model_revision": silent("main"),
    "teacher_model_init_kwargs": silent({"attn_implementation": "eager"}),
}
OF_KIND: Mapping[tuple[str, str], Trial] = {
    **{(kind, "disable_dropout"): Trial(False, model="dropout") for kind in ("dpo", "pairwise")},
    **{(kind, "dataloader_drop_last"): silent(True) for kind in DRAWING},
    **{("rloo", name): Trial(1e-4, GENTLY) for name in ("epsilon", "epsilon_high")},
    ("sft", "loss_type"): Trial("dft"),
    ("pairwise", "trust_remote_code"): silent(True),
    ("pairwise", "max_length"): Trial(11),  # longer pairs are dropped
    ("dpo", "loss_type"): Trial(["hinge"]),
}
# What a CPU, one process and the packages of r1trl cannot show: the value reaches TRL as it is.
ELSEWHERE: Mapping[str, Any] = {
    # several processes
    "deepspeed": "zero.json",
    "fsdp": "full_shard",
    "fsdp_config": {"min_num_params": 10},
    "ddp_backend": "gloo",
    "ddp_broadcast_buffers": True,
    "ddp_bucket_cap_mb": 10,
    "ddp_find_unused_parameters": True,
    "ddp_static_graph": True,
    "ds3_gather_for_generation": False,
    # a GPU, or a package for one
    "activation_offloading": True,
    "full_determinism": True,
    "liger_kernel_config": {"rope": True},
    "optim_args": "rank=4",
    "optim_target_modules": "all-linear",
    "torch_compile": True,
    "torch_compile_backend": "eager",
    "torch_compile_mode": "default",
    "use_liger_kernel": True,
    "use_transformers_continuous_batching": True,
    "use_transformers_paged": True,
    "transformers_continuous_batching_config": {"max_memory_percent": 0.5},
    # the Hub
    "hub_always_push": True,
    "hub_model_id": "me/mine",
    "hub_private_repo": True,
    "hub_revision": "main",
    "hub_strategy": "end",
    "hub_token": "token",
    "log_completions_hub_repo": "me/mine",
    "push_to_hub": True,
    # rows with messages
    "assistant_only_loss": True,
    # vLLM
    "use_vllm": True,
    "vllm_enable_sleep_mode": True,
    "vllm_gpu_memory_utilization": 0.5,
    "vllm_group_port": 50000,
    "vllm_importance_sampling_cap": 2.0,
    "vllm_importance_sampling_clip_max": 2.0,
    "vllm_importance_sampling_clip_min": 0.5,
    "vllm_importance_sampling_correction": False,
    "vllm_importance_sampling_mode": "token_mask",
    "vllm_max_model_length": 100,
    "vllm_mode": "server",
    "vllm_model_impl": "transformers",
    "vllm_server_base_url": "http://localhost:8000",
    "vllm_server_host": "localhost",
    "vllm_server_port": 8001,
    "vllm_server_timeout": 10.0,
    "vllm_structured_outputs_regex": "[0-9]+",
    "vllm_tensor_parallel_size": 2,
}


def trial_of(kind: str, name: str) -> Trial | None:
    """Return the trial of a field with a kind; None if it is tried elsewhere."""
    return OF_KIND.get((kind, name)) or TRIALS.get(name)
