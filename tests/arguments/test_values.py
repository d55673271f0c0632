"""A wrong value of a TRL argument is refused by the plan, with its key and what is possible."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from one_step import SETTINGS, OneStep

from r1trl.arguments.source import fields
from r1trl.config.stage_parts import LaunchConfig

EVALUATE = "a stage evaluates by evaluate.every, with completions and verifiers, not by TRL"
NOT_EVALUATED = f"evaluation is all that reads it, and {EVALUATE}"
BY_DTYPE = "is set from the stage's dtype; set dtype=bfloat16, float16 or float32"
OWN_LOSS = "reaches nothing: this trainer has a loss of its own"
SCHEDULES = (
    "linear, cosine, cosine_with_restarts, cosine_with_min_lr, cosine_warmup_with_min_lr, "
    "polynomial, inverse_sqrt, constant, constant_with_warmup, warmup_stable_decay; "
    "reduce_lr_on_plateau and greedy need an evaluation, and there is none in training"
)
# By the kind's name in SETTINGS: arguments, and the beginning of the problem; its key is the first
# argument's, unless the problem names another.
WRONG: dict[str, list[tuple[dict[str, Any], str]]] = {
    # what all kinds share
    "sft": [
        ({"learning_rate": -1}, "-1 is not possible; it must be above 0"),
        ({"learning_rate": "0"}, "0 is not possible; it must be above 0"),
        ({"learning_rate": float("nan")}, "nan is not possible; it must be above 0"),
        ({"max_steps": -5}, "-5 is not possible; it must be at least 1 or -1"),
        ({"max_steps": 0}, "0 is not possible; it must be at least 1 or -1"),
        ({"num_train_epochs": 0}, "0 is not possible; it must be above 0"),
        ({"per_device_train_batch_size": 0}, "0 is not possible; it must be at least 1"),
        ({"warmup_steps": -1}, "-1 is not possible; it must be at least 0"),
        ({"weight_decay": -0.1}, "-0.1 is not possible; it must be at least 0"),
        ({"adam_beta1": 1.0}, "1 is not possible; it must be at least 0 and below 1"),
        ({"adam_beta2": "1.5"}, "1.5 is not possible; it must be at least 0 and below 1"),
        ({"adam_epsilon": 0}, "0 is not possible; it must be above 0"),
        ({"max_grad_norm": -1}, "-1 is not possible; it must be at least 0"),
        (
            {"label_smoothing_factor": 1.5},
            "1.5 is not possible; it must be at least 0 and at most 1",
        ),
        ({"neftune_noise_alpha": -5}, "-5 is not possible; it must be above 0"),
        ({"torch_empty_cache_steps": 0}, "0 is not possible; it must be at least 1"),
        ({"logging_steps": 0}, "0 is not possible; it must be above 0"),
        ({"logging_steps": 2.5}, "2.5 is not whole; only below 1 it is a share of all steps"),
        ({"save_steps": 0}, "0 is not possible; it must be above 0"),
        (
            {"save_steps": "1.5", "save_strategy": "steps"},
            "1.5 is not whole; only below 1 it is a share of all steps",
        ),
        ({"save_total_limit": 0}, "0 is not possible; it must be at least 1; null keeps all"),
        ({"dataloader_num_workers": -1}, "-1 is not possible; it must be at least 0"),
        ({"dataloader_prefetch_factor": 2}, "needs dataloader_num_workers above 0"),
        ({"dataloader_persistent_workers": True}, "needs dataloader_num_workers above 0"),
        ({"ddp_bucket_cap_mb": 0}, "0 is not possible; it must be at least 1"),
        ({"dataset_num_proc": 0}, "0 is not possible; it must be at least 1"),
        ({"max_length": 0}, "0 is not possible; it must be at least 1"),
        ({"pad_to_multiple_of": 0}, "0 is not possible; it must be at least 1"),
        (
            {"pad_to_multiple_of": "many"},
            "'many' is not possible; give a number, auto or null",
        ),
        ({"router_aux_loss_coef": -1}, "-1 is not possible; it must be at least 0"),
        (
            {"optim": "adamw_troch"},
            "'adamw_troch' is not possible (did you mean 'adamw_torch'?); choose one of: adamw_",
        ),
        ({"optim_args": "betas"}, "'betas' is no option; write name=value,name=value"),
        (
            {"optim": "galore_adamw"},
            "'galore_adamw' needs optim_target_modules, such as all-linear",
        ),
        (
            {"lr_scheduler_type": "reduce_lr_on_plateau"},
            f"'reduce_lr_on_plateau' is not possible; choose one of: {SCHEDULES}",
        ),
        ({"lr_scheduler_type": "greedy"}, f"'greedy' is not possible; choose one of: {SCHEDULES}"),
        (
            {"lr_scheduler_type": "linear", "lr_scheduler_kwargs": {"min_lr_rate": 0.1}},
            "lr_scheduler_kwargs: linear has no option 'min_lr_rate'; it has: none",
        ),
        (
            {"lr_scheduler_type": "cosine_with_min_lr"},
            "lr_scheduler_kwargs: cosine_with_min_lr needs either min_lr or min_lr_rate, and has ",
        ),
        (
            {
                "lr_scheduler_type": "cosine_with_min_lr",
                "lr_scheduler_kwargs": {"min_lr": "1e-6"},
            },
            "lr_scheduler_kwargs: min_lr: '1e-6' is a text; YAML's numbers have a point: 1.0e-6",
        ),
        (
            {"lr_scheduler_type": "warmup_stable_decay", "lr_scheduler_kwargs": {}},
            "lr_scheduler_kwargs: warmup_stable_decay needs num_decay_steps",
        ),
        (
            {"warmup_steps": 10, "lr_scheduler_type": "constant"},
            "reaches nothing with a constant schedule; use constant_with_warmup",
        ),
        (
            {"accelerator_config": {"split_batches": True}},
            "'split_batches' is not possible; choose one of: dispatch_batches, even_batches, ",
        ),
        (
            {
                "liger_kernel_config": {"fused_linear_cross_entropy": True},
                "use_liger_kernel": True,
            },
            "fused_linear_cross_entropy does not fit TRL's own fused head",
        ),
        ({"lr_scheduler_kwargs": "min_lr"}, "value 'min_lr' is not a mapping"),
        (
            {"log_level": "loud"},
            "'loud' is not possible; choose one of: detail, debug, info, warning, error, critical, "
            "passive",
        ),
        (
            {"include_num_input_tokens_seen": "some"},
            "'some' is not possible; choose one of: all, non_padding, no, true, false",
        ),
        (
            {"debug": "all"},
            "'all' is not possible; choose one of: underflow_overflow, tpu_metrics",
        ),
        (
            {"train_sampling_strategy": "shuffled"},
            "'shuffled' is not possible; choose one of: random, sequential, group_by_length, ",
        ),
        ({"eval_strategy": "steps"}, f"'steps' is not possible; choose one of: no; {EVALUATE}"),
        (
            {"load_best_model_at_end": True},
            f"'true' is not possible; choose one of: false; {EVALUATE}",
        ),
        (
            {"save_strategy": "best"},
            "'best' is not possible; choose one of: steps, epoch, no; best needs an evaluation",
        ),
        ({"per_device_eval_batch_size": 8}, NOT_EVALUATED),
        ({"metric_for_best_model": "loss"}, NOT_EVALUATED),
        ({"eval_steps": 5}, NOT_EVALUATED),
        ({"bf16_full_eval": True}, NOT_EVALUATED),
        ({"label_names": ["labels"]}, NOT_EVALUATED),
        ({"bf16": True}, BY_DTYPE),
        ({"fp16": False}, BY_DTYPE),
        ({"do_train": True}, "TRL's trainers do not read it; leave it out"),
        ({"local_rank": 0}, "is set by the launcher; see launch"),
        (
            {"parallelism_config": {"cp_size": 2}},
            "is an object, not a value; set parallelism_config in launch.config",
        ),
        (
            {"length_column_name": "length"},
            "no column of lengths reaches the trainer, which counts tokens",
        ),
        (
            {"auto_find_batch_size": True},
            "'true' is not possible; choose one of: false; an update would have fewer rows than "
            "batch or rollout say; lower per_device_train_batch_size",
        ),
        (
            {"save_only_model": True},
            "'true' is not possible; choose one of: false; without the optimizer, a stopped stage "
            "cannot continue",
        ),
        (
            {"ignore_data_skip": True},
            "'true' is not possible; choose one of: false; a stage that continues would read some "
            "rows twice, others never",
        ),
        (
            {"restore_callback_states_from_checkpoint": True},
            "'true' is not possible; choose one of: false; r1trl restores what it records; "
            "nothing else has a state",
        ),
        (
            {"enable_jit_checkpoint": True},
            "'true' is not possible; choose one of: false; r1trl itself saves and leaves on "
            "SIGTERM and SIGUSR1",
        ),
        (
            {"activation_checkpointing": False, "gradient_checkpointing": True},
            "gradient_checkpointing, its other name, has another value; give one of them",
        ),
        # its own
        (
            {"dataset_text_field": "text"},
            "rows have messages, or prompt and completion; map them with data.<source>.columns",
        ),
        (
            {"dataset_kwargs": {"skip_prepare_dataset": True}},
            "its one option skips the tokenisation, and r1trl's rows are texts",
        ),
        ({"eval_packing": True}, NOT_EVALUATED),
        (
            {"packing_strategy": "bfdd"},
            "'bfdd' is not possible (did you mean 'bfd'?); choose one of",
        ),
        (
            {"loss_type": "nonsense"},
            "'nonsense' is not possible; choose one of: nll, dft, chunked_nll",
        ),
        (
            {"loss_type": "dft", "label_smoothing_factor": 0.1},
            "label_smoothing_factor: reaches nothing with loss_type=dft; use nll",
        ),
        (
            {"padding_free": True},
            "needs packing=true or max_length=null: it does not truncate",
        ),
        (
            {"packing": True, "max_length": None},
            "needs max_length, the tokens of a packed row",
        ),
        (
            {"gradient_checkpointing_kwargs": {"selective": True}},
            "selective needs gradient_checkpointing=true",
        ),
    ],
    "grpo": [
        (
            {"loss_type": "nonsense"},
            "'nonsense' is not possible; choose one of: grpo, dr_grpo, dapo, bnpo, cispo, sapo, "
            "luspo, vespo",
        ),
        (
            {"vllm_importance_sampling_mode": "foo"},
            "'foo' is not possible; choose one of: token_truncate, token_mask, sequence_truncate, "
            "sequence_mask",
        ),
        (
            {"scale_rewards": "std"},
            "'std' is not possible; choose one of: group, batch, none, true, false",
        ),
        (
            {"importance_sampling_level": "seqence"},
            "'seqence' is not possible (did you mean 'sequence'?); choose one of: token, sequence",
        ),
        (
            {"multi_objective_aggregation": "sum"},
            "'sum' is not possible; choose one of: sum_then_normalize, normalize_then_sum",
        ),
        (
            {"vllm_mode": "local"},
            "'local' is not possible (did you mean 'colocate'?); choose one of: colocate, server",
        ),
        (
            {"vllm_model_impl": "hf"},
            "'hf' is not possible; choose one of: vllm, transformers, auto, terratorch",
        ),
        (
            {"cache_implementation": "dynamc"},
            "'dynamc' is not possible (did you mean 'dynamic'?); choose one of: dynamic, static, "
            "offloaded, offloaded_static, quantized",
        ),
        ({"temperature": -3}, "-3 is not possible; it must be above 0"),
        ({"temperature": 0}, "0 is not possible; it must be above 0"),
        ({"top_p": 95}, "95 is not possible; it must be above 0 and at most 1"),
        ({"top_p": 0}, "0 is not possible; it must be above 0 and at most 1"),
        ({"top_k": -1}, "-1 is not possible; it must be at least 0"),
        ({"min_p": 1.1}, "1.1 is not possible; it must be at least 0 and at most 1"),
        ({"repetition_penalty": 0}, "0 is not possible; it must be above 0"),
        (
            {"num_generations": 1},
            "1 is not possible; it must be at least 2; each is compared with the others of its "
            "prompt",
        ),
        ({"max_completion_length": 0}, "0 is not possible; it must be at least 1"),
        ({"max_completion_length": None}, "must be a number"),
        ({"beta": -0.1}, "-0.1 is not possible; it must be at least 0"),
        ({"num_iterations": 0}, "0 is not possible; it must be at least 1"),
        ({"epsilon": -0.2}, "-0.2 is not possible; it must be at least 0"),
        ({"epsilon_high": -0.2}, "-0.2 is not possible; it must be at least 0"),
        ({"delta": 0}, "0 is not possible; it must be above 0"),
        ({"sapo_temperature_pos": 0}, "0 is not possible; it must be above 0"),
        ({"vespo_lambda_neg": 0}, "0 is not possible; it must be above 0"),
        ({"vespo_k_pos": -1}, "-1 is not possible; it must be at least 0"),
        ({"off_policy_mask_threshold": 0}, "0 is not possible; it must be above 0"),
        ({"top_entropy_quantile": 20}, "20 is not possible; it must be at least 0 and at most 1"),
        ({"entropy_coef": -1}, "-1 is not possible; it must be at least 0"),
        (
            {"entropy_coef_min": 0.5, "entropy_coef_max": "1e-1"},
            "0.5 is above args.entropy_coef_max=0.1",
        ),
        ({"ref_model_mixup_alpha": 1.5}, "1.5 is not possible; it must be above 0 and at most 1"),
        ({"ref_model_sync_steps": 0}, "0 is not possible; it must be at least 1"),
        (
            {"sync_ref_model": True, "beta": "0"},
            "needs a reference model, and with args.beta=0 there is none; set one of them",
        ),
        (
            {"vllm_gpu_memory_utilization": 30},
            "30 is not possible; it must be above 0 and at most 1",
        ),
        ({"vllm_server_port": 0}, "0 is not possible; it must be at least 1 and at most 65535"),
        ({"vllm_server_timeout": 0}, "0 is not possible; it must be above 0"),
        ({"vllm_max_model_length": 0}, "0 is not possible; it must be at least 1"),
        ({"vllm_tensor_parallel_size": 0}, "0 is not possible; it must be at least 1"),
        (
            {"use_vllm": True, "vllm_tensor_parallel_size": 2},
            "vllm_tensor_parallel_size: 2 does not divide launch.nodes × launch.processes=1",
        ),
        (
            {"vllm_importance_sampling_clip_min": 4},
            "4 is not below args.vllm_importance_sampling_clip_max=3",
        ),
        (
            {
                "vllm_importance_sampling_mode": "token_truncate",
                "vllm_importance_sampling_clip_max": None,
            },
            "token_truncate needs vllm_importance_sampling_clip_min or "
            "vllm_importance_sampling_clip_max",
        ),
        (
            {"loss_type": "vespo", "use_vllm": True},
            "vllm_importance_sampling_mode: sequence_mask does not fit loss_type=vespo; choose one",
        ),
        ({"log_completions_hub_repo": "me/mine"}, "needs log_completions=true"),
        ({"num_completions_to_print": 0}, "0 is not possible; it must be at least 1"),
        ({"generation_kwargs": "top_k"}, "value 'top_k' is not a mapping"),
        (
            {"generation_kwargs": {"temperature": 0.5}},
            "'temperature' has a field of its own; set args.temperature",
        ),
        (
            {"generation_kwargs": {"max_new_tokens": 5}},
            "'max_new_tokens' has a field of its own; set args.max_completion_length",
        ),
        (
            {"use_transformers_continuous_batching": True, "use_vllm": True},
            "reaches nothing with use_vllm=true",
        ),
        ({"num_generations_eval": 2}, NOT_EVALUATED),
        (
            {"max_tool_calling_iterations": 3},
            "reaches nothing: r1trl's rollouts call no tools",
        ),
        ({"log_multimodal": False}, "reaches nothing: r1trl's prompts are texts"),
        ({"label_smoothing_factor": 0.1}, OWN_LOSS),
        (
            {"train_sampling_strategy": "sequential"},
            "reaches nothing: prompts are drawn in groups, by the seed; give the stage samplers",
        ),
        (
            {"chat_template_kwargs": {"enable_thinking": False}},
            "reaches nothing: r1trl renders the prompts before; set the stage's own "
            "chat_template_kwargs",
        ),
    ],
    "rloo": [
        ({"reward_clip_range": [1, -1]}, "1 is not below -1"),
        ({"reward_clip_range": [1]}, "value '[1]' is not a list of 2"),
        (
            {"sync_ref_model": True, "beta": 0},
            "needs a reference model, and with args.beta=0 there is none; set one of them",
        ),
    ],
    "pairwise": [
        ({"center_rewards_coefficient": -1}, "-1 is not possible; it must be at least 0"),
        (
            {"chat_template_path": "template.jinja"},
            "reaches nothing: r1trl renders the prompts before; give the stage a template",
        ),
        (
            {"train_sampling_strategy": "group_by_length"},
            "group_by_length sorts single texts, not pairs; use random",
        ),
    ],
    "pointwise": [
        (
            {"center_rewards_coefficient": 0.01},
            "reaches nothing with objective=pointwise: labels say where 0 is, pairs do not",
        ),
    ],
    "dpo": [
        (
            {"torch_compile_mode": "fast"},
            "'fast' is not possible; choose one of: default, reduce-overhead, max-autotune, "
            "max-autotune-no-cudagraphs, lite",
        ),
        (
            {"torch_compile_backend": "inductr"},
            "'inductr' is not possible (did you mean 'inductor'",
        ),
        (
            {"loss_type": ["sigmoid", "nonsense"]},
            "'nonsense' is not possible; choose one of: sigmoid, sigmoid_norm, hinge, ipo, ",
        ),
        ({"loss_type": "sigmoid"}, "value 'sigmoid' is not a list"),
        ({"loss_type": []}, "must name at least one loss"),
        (
            {"loss_weights": [1.0, 2.0]},
            "there are 2 for 1 of args.loss_type; give one weight for each loss",
        ),
        (
            {"f_divergence_type": "kl"},
            "'kl' is not possible; choose one of: reverse_kl, forward_kl, js_divergence, alpha_",
        ),
        (
            {"f_divergence_type": "forward_kl", "loss_type": ["hinge", "aot"]},
            "forward_kl does not fit loss_type=aot; it fits: sigmoid, sigmoid_norm, hinge, ipo, ",
        ),
        ({"beta": 0}, "0 is not possible; it must be above 0"),
        ({"ld_alpha": 1.5}, "1.5 is not possible; it must be at least 0 and at most 1"),
        ({"discopop_tau": 0}, "0 is not possible; it must be above 0"),
        ({"label_smoothing": 1}, "1 is not possible; it must be at least 0 and below 1"),
        (
            {"label_smoothing": "0.1"},
            "reaches nothing with this loss_type; it is read by: robust, exo_pair, aot, ",
        ),
        (
            {"label_smoothing": 0.5, "loss_type": ["robust"]},
            "0.5 is not below 0.5, as loss_type=robust needs",
        ),
        (
            {"loss_type": ["exo_pair"]},
            "label_smoothing: must be above 0 with loss_type=exo_pair, such as 1.0e-3",
        ),
        (
            {"use_weighting": True, "loss_type": ["aot"]},
            "does not fit loss_type=aot and aot_unpaired, which sort pairs",
        ),
        (
            {"precompute_ref_log_probs": True, "sync_ref_model": True},
            "is for a reference that stays the same, and args.sync_ref_model=true replaces it",
        ),
        (
            {"padding_free": True},
            "'true' is not possible; choose one of: false; TRL's DPOTrainer pads, whatever it says",
        ),
        (
            {"label_smoothing_factor": 0.1},
            f"{OWN_LOSS}; set label_smoothing, with loss_type=[robust]",
        ),
        ({"precompute_ref_batch_size": 0}, "0 is not possible; it must be at least 1"),
        (
            {"train_sampling_strategy": "group_by_length"},
            "'group_by_length' is not possible; choose one of: random, sequential; the others sort "
            "single texts, not pairs",
        ),
    ],
    "distillation": [
        ({"beta": 1.5}, "1.5 is not possible; it must be at least 0 and at most 1"),
        ({"temperature": 0}, "0 is not possible; it must be above 0"),
        ({"max_completion_length": None}, "must be a number"),
        (
            {"teacher_model_name_or_path": "gpt2"},
            "reaches nothing: the teacher is a key of the stage; set teacher",
        ),
        (
            {"max_tool_calling_iterations": 3},
            "reaches nothing: the student calls no tools",
        ),
        (
            {"use_vllm": True, "vllm_tensor_parallel_size": 2},
            "vllm_tensor_parallel_size: 2 does not divide launch.nodes × launch.processes=1",
        ),
    ],
}
RIGHT: dict[str, list[dict[str, Any]]] = {
    "sft": [
        {"learning_rate": "1e-6", "weight_decay": 0, "adam_beta1": 0, "max_grad_norm": 0},
        {"max_steps": -1, "num_train_epochs": "0.5"},
        {"warmup_steps": 0.1, "lr_scheduler_type": "linear"},
        {"logging_steps": 0.1, "save_steps": 0.5, "save_strategy": "steps"},
        {"logging_steps": 2.5, "logging_strategy": "epoch"},
        {"save_total_limit": None, "max_length": None, "pad_to_multiple_of": "auto"},
        {"pad_to_multiple_of": "8", "debug": ["underflow_overflow"]},
        {"include_num_input_tokens_seen": True, "eval_strategy": "no", "save_only_model": False},
        {"lr_scheduler_type": "polynomial", "lr_scheduler_kwargs": {"power": 2}},
        {"lr_scheduler_type": "constant", "lr_scheduler_kwargs": {"min_lr_rate": 0.1}},
        {"lr_scheduler_kwargs": '{"num_cycles": 1}', "lr_scheduler_type": "cosine"},
        {"dataloader_num_workers": 1, "dataloader_prefetch_factor": 2},
        {"gradient_checkpointing": True, "activation_checkpointing": True},
        {"padding_free": True, "max_length": None},
        {"warmup_steps": 10, "lr_scheduler_type": "constant_with_warmup"},
        {"accelerator_config": {"even_batches": False}},
        {"packing": True, "padding_free": True},
        {
            "optim": "galore_adamw",
            "optim_target_modules": ["q_proj"],
            "optim_args": "rank=4,scale=1",
        },
    ],
    "grpo": [
        {"top_p": 1, "top_k": 0, "min_p": 0, "epsilon": 10.0, "delta": None, "beta": 0},
        {"scale_rewards": True},
        {"scale_rewards": False},
        {"scale_rewards": "none", "use_vllm": True},
        {"beta": "1e-3", "sync_ref_model": True, "ref_model_mixup_alpha": 1.0},
        {"vllm_importance_sampling_clip_min": 3, "vllm_importance_sampling_clip_max": None},
        {
            "vllm_importance_sampling_correction": False,
            "vllm_importance_sampling_mode": "token_truncate",
            "vllm_importance_sampling_clip_max": None,
        },
        {"generation_kwargs": {"suppress_tokens": [3]}},
        {"use_vllm": True, "vllm_mode": "server", "vllm_tensor_parallel_size": 2},
    ],
    "rloo": [{"sync_ref_model": True}, {"reward_clip_range": [-1, "1"]}],
    "pairwise": [{"center_rewards_coefficient": 0.01, "disable_dropout": False}],
    "pointwise": [
        {"disable_dropout": False, "train_sampling_strategy": "group_by_length"},
        {"activation_offloading": True, "dataset_num_proc": 2, "pad_to_multiple_of": 64},
    ],
    "dpo": [
        {"loss_type": ["sigmoid", "sft"], "loss_weights": [1, "0.1"]},
        {"loss_type": ["robust"], "label_smoothing": 0.1},
        {"f_divergence_type": "js_divergence"},
    ],
    "distillation": [{"beta": 0}, {"beta": 1, "use_vllm": True}],
}


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, OneStep]:
    """Return a stage of each kind, whose model is not loaded."""
    folders = {name: tmp_path_factory.mktemp(name) for name in SETTINGS}
    return {name: OneStep(name, Path("model"), folder) for name, folder in folders.items()}


@pytest.mark.parametrize(
    ("name", "args", "expected"),
    [(name, args, expected) for name, rows in WRONG.items() for args, expected in rows],
)
def test_a_wrong_value_is_refused_with_its_key_and_what_is_possible(
    name: str, args: dict[str, Any], expected: str, stages: dict[str, OneStep]
) -> None:
    named = expected.partition(": ")[0] in fields(stages[name].config)
    expected = expected if named else f"{next(iter(args))}: {expected}"
    problems = [p.removeprefix("stages.x.args.") for p in stages[name].problems(args)]
    assert [problem[: len(expected)] for problem in problems] == [expected]


@pytest.mark.parametrize(
    ("name", "args"), [(name, args) for name, rows in RIGHT.items() for args in rows]
)
def test_a_right_value_is_not_refused(
    name: str, args: dict[str, Any], stages: dict[str, OneStep]
) -> None:
    assert stages[name].problems(args) == []


def test_a_backend_needs_several_processes(stages: dict[str, OneStep]) -> None:
    stage = replace(stages["sft"].stage({"ddp_backend": "gloo"}), launch=LaunchConfig())
    assert stages["sft"].problems_of(stage) == [
        "stages.x.args.ddp_backend: a local stage is one process, without a backend; "
        "set launch.how=accelerate"
    ]


@pytest.mark.parametrize("name", ["grpo", "rloo", "sft"])
def test_models_are_not_compiled_where_rows_are_packed(
    name: str, stages: dict[str, OneStep]
) -> None:
    reason = "a model is compiled for every new length"
    for args in (
        {"torch_compile": True},
        {"torch_compile_backend": "inductor"},
        {"torch_compile_mode": "default"},
    ):
        (problem,) = stages[name].problems(args)
        assert problem.startswith(f"stages.x.args.{next(iter(args))}: ") and reason in problem
    assert not stages[name].problems({"torch_compile": False})
    assert not stages["dpo"].problems({"torch_compile": True}), "passes are TRL's own"
