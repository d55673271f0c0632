"""The tables of values against TRL's code: every value trains, others do not, none is missing.

All of it trains in this process, one step a value, by the code that carries out stages.
"""

import inspect
import signal
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from one_step import OneStep, kind_of
from trl_literals import compared_literals

from r1trl.arguments import together, training
from r1trl.arguments.check import FIELDS, check_args
from r1trl.arguments.set_by_r1trl import SET_BY_R1TRL
from r1trl.arguments.shared import CACHES
from r1trl.arguments.source import fields
from r1trl.arguments.training import EVALUATION
from r1trl.fields import Field
from r1trl.kinds.reward_model import BY_LENGTH

long = [pytest.mark.slow, pytest.mark.long, pytest.mark.filterwarnings("ignore")]
NAMES = ("grpo", "rloo", "sft", "pairwise", "pointwise", "dpo", "distillation")
CONFIGS = sorted({str(kind_of(name).trl_config) for name in NAMES})
OF_TRANSFORMERS = set.intersection(*(set(fields(config)) for config in CONFIGS))
DIFFER = {"train_sampling_strategy"}  # fields of transformers with which the kinds differ


def values_of(name: str, field: str) -> tuple[Any, ...]:
    """Return the values that may be given for an enumerated field of a kind; () for others."""
    kind = kind_of(name)
    type_ = fields(str(kind.trl_config))[field]
    table = {**FIELDS, **kind.fields}.get(field, Field())
    if table.verdict == "refused":
        return ()
    values = table.choices or _literal(type_)
    return tuple(v for v in (*values, *table.also) if any(isinstance(w, str) for w in values))


def _literal(type_: Any) -> tuple[Any, ...]:
    """Return the values of a Literal, or of one in a list or beside None."""
    arguments = typing.get_args(type_)
    if typing.get_origin(type_) is typing.Literal:
        return arguments
    nested = () if str in arguments else arguments
    return next(filter(None, map(_literal, nested)), ())


def enumerated() -> Iterator[tuple[str, str, tuple[Any, ...]]]:
    """Yield (kind, field, values); the fields of transformers once, with sft."""
    for name in NAMES:
        for field in fields(str(kind_of(name).trl_config)):
            everywhere = field in OF_TRANSFORMERS - DIFFER and field not in kind_of(name).fields
            values = () if everywhere and name != "sft" else values_of(name, field)
            if name == "pairwise":
                values = tuple(value for value in values if value not in BY_LENGTH)
            if values:
                yield name, field, values


ENUMERATED = list(enumerated())
# What a value needs beside it.
BESIDE: dict[tuple[str, Any], dict[str, Any]] = {
    ("lr_scheduler_type", "cosine_with_min_lr"): {"lr_scheduler_kwargs": {"min_lr_rate": 0.1}},
    ("lr_scheduler_type", "cosine_warmup_with_min_lr"): {"lr_scheduler_kwargs": {"min_lr": 0.0}},
    ("lr_scheduler_type", "warmup_stable_decay"): {"lr_scheduler_kwargs": {"num_decay_steps": 1}},
    ("loss_type", "exo_pair"): {"label_smoothing": 0.1},
    ("dataloader_multiprocessing_context", None): {"dataloader_num_workers": 1},
    ("packing_strategy", None): {"packing": True},
    ("truncation_mode", None): {"max_length": 14},
    ("vllm_mode", None): {"use_vllm": True},
    ("vllm_model_impl", None): {"use_vllm": True},
    ("vllm_importance_sampling_mode", None): {"use_vllm": True},
}
# What a machine with a CPU and the packages of r1trl lacks, in the words of the error, and the
# values that need it.
LACKING: dict[str, tuple[str, str]] = {
    "bitsandbytes": (
        "optim",
        "adamw_bnb_8bit adamw_8bit ademamix ademamix_8bit lion_8bit lion_32bit paged_adamw_32bit "
        "paged_adamw_8bit paged_ademamix_32bit paged_ademamix_8bit paged_lion_32bit "
        "paged_lion_8bit rmsprop_bnb rmsprop_bnb_8bit rmsprop_bnb_32bit",
    ),
    "galore_torch": (
        "optim",
        "galore_adamw galore_adamw_8bit galore_adafactor galore_adamw_layerwise "
        "galore_adamw_8bit_layerwise galore_adafactor_layerwise",
    ),
    "apollo_torch": ("optim", "apollo_adamw apollo_adamw_layerwise"),
    "lomo_optim": ("optim", "lomo adalomo"),
    "torchao": ("optim", "adamw_torch_4bit adamw_torch_8bit"),
    "schedulefree": ("optim", "schedule_free_radam schedule_free_adamw schedule_free_sgd"),
    "torch_xla": ("optim", "adamw_torch_xla"),
    "torch_npu": ("optim", "adamw_torch_npu_fused"),
    "torchdistx": ("optim", "adamw_anyprecision"),
    "grokadamw": ("optim", "grokadamw"),
    "torch-optimi": ("optim", "stable_adamw"),
    "optimum-quanto": ("cache_implementation", "quantized"),
    "not compiled with CUDA": ("cache_implementation", "offloaded offloaded_static"),
    "Invalid backend": ("torch_compile_backend", "onnxrt tensorrt hpu_backend neuron"),
    "process group has not been": ("ddp_backend", "nccl gloo mpi xccl hccl cncl mccl nonsense"),
    "Please install vLLM": (
        "vllm_mode vllm_model_impl vllm_importance_sampling_mode",
        "colocate server vllm transformers auto terratorch token_truncate token_mask "
        "sequence_truncate sequence_mask nonsense",
    ),
}
# Fields whose unknown values TRL takes for another value.
TAKEN_FOR = {"train_sampling_strategy": "random", "include_num_input_tokens_seen": "all"}


@pytest.fixture(autouse=True)
def signals_and_logs_as_before() -> Iterator[None]:
    """Put back what a stage changes in its process."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def beside(field: str, value: Any) -> dict[str, Any]:
    """Return the arguments with a value, and with what it needs."""
    needed = BESIDE.get((field, value)) or BESIDE.get((field, None)) or {}
    if str(value).startswith(("galore", "apollo")):
        needed = {"optim_target_modules": "all-linear"}
    return {field: value, **needed}


def lacking(field: str, value: Any) -> str | None:
    """Return what this machine lacks for a value, in the words of the error."""
    for words, (names, values) in LACKING.items():
        if field in names.split() and str(value) in values.split():
            return words
    return None


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        pytest.param(name, field, value, marks=long)
        for name, field, values in ENUMERATED
        for value in values
    ],
)
def test_every_value_trains_or_says_what_this_machine_lacks(
    name: str, field: str, value: Any, tiny_model: Path, tmp_path: Path
) -> None:
    stage = OneStep(name, tiny_model, tmp_path)
    of_list = str(fields(stage.config)[field]).startswith("list")
    args = beside(field, value) | ({field: [value]} if of_list else {})
    assert stage.problems(args) == []
    try:
        stage.train(args)
    except Exception as error:
        words = lacking(field, value)
        if words is None or words not in str(error):
            raise


@pytest.mark.parametrize(
    ("name", "field"),
    [pytest.param(name, field, marks=long) for name, field, _ in ENUMERATED],
)
def test_an_unknown_value_is_refused_by_trl_or_taken_for_another(
    name: str, field: str, tiny_model: Path, tmp_path: Path
) -> None:
    stage = OneStep(name, tiny_model, tmp_path)
    of_list = str(fields(stage.config)[field]).startswith("list")
    args = beside(field, "nonsense") | ({field: ["nonsense"]} if of_list else {})
    assert any(p.startswith(f"stages.x.args.{field}: ") for p in stage.problems(args))
    if field not in TAKEN_FOR:
        with pytest.raises(Exception, match=f"(?i)nonsense|{lacking(field, 'nonsense')}"):
            stage.train(args, unchecked=True)
        return
    unknown = stage.train(args, unchecked=True), stage.weights()
    known = stage.train({field: TAKEN_FOR[field]}), stage.weights()
    assert unknown[1] == known[1]
    tokens = "num_input_tokens_seen"
    assert unknown[0].get(tokens) == known[0].get(tokens)


# Texts that TRL compares with and that may not be given.
LEFT_OUT = {"SFTConfig": {"packing_strategy": {"bfd-requeue"}}}  # the former name of bfd_split
FREE = {"pad_to_multiple_of": {"auto"}}  # a number, or one of these


@pytest.mark.parametrize("name", NAMES)
def test_the_tables_have_exactly_the_texts_that_trl_compares_with(name: str) -> None:
    config = str(kind_of(name).trl_config)
    found = compared_literals(config)
    compared = {field: texts for field, texts in found.items() if field not in SET_BY_R1TRL}
    assert compared, f"{config}: nothing is found, so TRL's source looks different now"
    for field, texts in compared.items():
        table = {v for v in values_of(name, field) if isinstance(v, str)}
        expected = texts - LEFT_OUT.get(config, {}).get(field, set())
        assert (table or FREE.get(field)) == expected, f"{config}.{field}"
        for text in texts:
            of_list = str(fields(config)[field]).startswith("list")
            args = {field: [text] if of_list else text}
            assert bool(check_args(config, args, "args", kind_of(name).fields)) == (
                text not in expected
            )


# Arguments that are right one by one; TRL raises when the config or the trainer is made, or in
# the first step.
REFUSED_TOGETHER: list[tuple[str, str, dict[str, Any]]] = [
    ("grpo", "num_generations", {"num_generations": None}),
    ("grpo", "sync_ref_model", {"sync_ref_model": True}),
    ("grpo", "sync_ref_model", {"sync_ref_model": True, "beta": "0.0"}),
    ("rloo", "sync_ref_model", {"sync_ref_model": True, "beta": 0}),
    (
        "grpo",
        "vllm_importance_sampling_clip_min",
        {"vllm_importance_sampling_clip_min": 3.0},
    ),
    (
        "grpo",
        "vllm_importance_sampling_clip_min",
        {"vllm_importance_sampling_clip_min": 1.0, "vllm_importance_sampling_cap": 0.5},
    ),
    (
        "grpo",
        "vllm_importance_sampling_mode",
        {
            "vllm_importance_sampling_mode": "token_truncate",
            "vllm_importance_sampling_clip_max": None,
        },
    ),
    ("grpo", "vllm_importance_sampling_mode", {"loss_type": "vespo", "use_vllm": True}),
    ("grpo", "log_completions_hub_repo", {"log_completions_hub_repo": "me/mine"}),
    ("sft", "padding_free", {"padding_free": True}),
    ("sft", "packing", {"packing": True, "max_length": None}),
    (
        "sft",
        "gradient_checkpointing_kwargs",
        {"gradient_checkpointing_kwargs": {"selective": True}},
    ),
    (
        "sft",
        "gradient_checkpointing_kwargs",
        {
            "gradient_checkpointing": True,
            "gradient_checkpointing_kwargs": {"selective": True, "use_reentrant": True},
        },
    ),
    ("pairwise", "train_sampling_strategy", {"train_sampling_strategy": "group_by_length"}),
    ("pairwise", "train_sampling_strategy", {"train_sampling_strategy": "batch_rebalance"}),
    ("dpo", "loss_type", {"loss_type": []}),
    ("dpo", "loss_weights", {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0]}),
    ("dpo", "f_divergence_type", {"f_divergence_type": "forward_kl", "loss_type": ["aot"]}),
    ("dpo", "use_weighting", {"use_weighting": True, "loss_type": ["sigmoid", "aot"]}),
    (
        "dpo",
        "precompute_ref_log_probs",
        {"sync_ref_model": True, "precompute_ref_log_probs": True},
    ),
    ("dpo", "label_smoothing", {"loss_type": ["exo_pair"]}),
    ("sft", "logging_steps", {"logging_steps": 2.5}),
    ("sft", "save_steps", {"save_strategy": "steps", "save_steps": 2.5}),
    ("sft", "optim_args", {"optim_args": "betas"}),
    ("sft", "pad_to_multiple_of", {"pad_to_multiple_of": "many"}),
    ("sft", "lr_scheduler_kwargs", {"lr_scheduler_type": "cosine_with_min_lr"}),
    (
        "sft",
        "lr_scheduler_kwargs",
        {
            "lr_scheduler_type": "cosine_with_min_lr",
            "lr_scheduler_kwargs": {"min_lr": 0.0, "min_lr_rate": 0.1},
        },
    ),
    (
        "sft",
        "lr_scheduler_kwargs",
        {"lr_scheduler_type": "linear", "lr_scheduler_kwargs": {"min_lr": 0.0}},
    ),
    (
        "sft",
        "lr_scheduler_kwargs",
        {
            "lr_scheduler_type": "cosine_with_min_lr",
            "lr_scheduler_kwargs": {"min_lr": "1e-6"},
        },
    ),
    ("sft", "lr_scheduler_kwargs", {"lr_scheduler_type": "warmup_stable_decay"}),
    (
        "sft",
        "lr_scheduler_kwargs",
        {
            "lr_scheduler_type": "warmup_stable_decay",
            "lr_scheduler_kwargs": {"num_decay_steps": 1, "decay_type": "nonsense"},
        },
    ),
    ("sft", "lr_scheduler_kwargs", {"lr_scheduler_type": "linear", "lr_scheduler_kwargs": "x"}),
    ("sft", "dataloader_prefetch_factor", {"dataloader_prefetch_factor": 2}),
    ("sft", "dataloader_persistent_workers", {"dataloader_persistent_workers": True}),
    ("sft", "dataloader_multiprocessing_context", {"dataloader_multiprocessing_context": "fork"}),
]


@pytest.mark.parametrize(
    ("name", "field", "args"), [pytest.param(*each, marks=long) for each in REFUSED_TOGETHER]
)
def test_what_the_plan_refuses_together_trl_refuses_too(
    name: str, field: str, args: dict[str, Any], tiny_model: Path, tmp_path: Path
) -> None:
    stage = OneStep(name, tiny_model, tmp_path)
    assert f"stages.x.args.{field}" in [p.partition(": ")[0] for p in stage.problems(args)]
    with pytest.raises(Exception, match=r"\S"):
        stage.train(args)


# Arguments that are refused because they reach nothing.
REACH_NOTHING: dict[str, dict[str, Any]] = {
    "grpo": {
        "train_sampling_strategy": "sequential",
        "chat_template_kwargs": {"enable_thinking": False},
        "label_smoothing_factor": 0.5,
        "average_tokens_across_devices": False,
        "include_num_input_tokens_seen": "all",
        "log_multimodal": False,
        "max_tool_calling_iterations": 1,
        "num_generations_eval": 2,
    },
    "sft": {
        "dataset_text_field": "nonsense",
        "eval_packing": True,
        "length_column_name": "nonsense",
        "per_device_eval_batch_size": 1,
        "eval_steps": 1,
        "eval_delay": 1,
        "eval_do_concat_batches": False,
        "eval_use_gather_object": True,
        "eval_accumulation_steps": 1,
        "prediction_loss_only": True,
        "batch_eval_metrics": True,
        "include_for_metrics": ["loss"],
        "label_names": ["nonsense"],
        "warmup_steps": 1,  # the schedule is constant
        "metric_for_best_model": "nonsense",
        "greater_is_better": True,
        "bf16_full_eval": True,
        "fp16_full_eval": True,
        "do_train": True,
        "do_eval": True,
        "do_predict": True,
        "local_rank": 3,
    },
    "pairwise": {"label_smoothing_factor": 0.5, "average_tokens_across_devices": False},
    "pointwise": {
        "center_rewards_coefficient": 0.5,
        "label_smoothing_factor": 0.5,
        "average_tokens_across_devices": False,
    },
    "dpo": {
        "padding_free": True,
        "label_smoothing": 0.3,
        "label_smoothing_factor": 0.5,
        "average_tokens_across_devices": False,
    },
    "distillation": {
        "teacher_model_name_or_path": "nonsense",
        "max_tool_calling_iterations": 1,
        "chat_template_kwargs": {"enable_thinking": False},
        "train_sampling_strategy": "sequential",
        "label_smoothing_factor": 0.5,
        "average_tokens_across_devices": False,
        "include_num_input_tokens_seen": "all",
    },
}
REACH_NOTHING["rloo"] = {
    n: v for n, v in REACH_NOTHING["grpo"].items() if n != "max_tool_calling_iterations"
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=long) for name in NAMES])
def test_what_is_refused_as_reaching_nothing_changes_no_weight(
    name: str, tiny_model: Path, tmp_path: Path
) -> None:
    stage = OneStep(name, tiny_model, tmp_path)
    stage.train({})
    weights = stage.weights()
    assert weights != (tiny_model / "model.safetensors").read_bytes()
    for field, value in REACH_NOTHING[name].items():
        problems = stage.problems({field: value})
        assert [p.partition(": ")[0] for p in problems] == [f"stages.x.args.{field}"]
        stage.train({field: value})
        assert stage.weights() == weights, field


def test_what_reaches_nothing_is_all_tried() -> None:
    tried = {field for fields_ in REACH_NOTHING.values() for field in fields_}
    assert tried >= set(EVALUATION) - {"eval_on_start"}, "that one raises"
    for name in NAMES:
        tables = kind_of(name).fields.items()
        wanted = {n for n, f in tables if f.verdict == "refused" and "reaches nothing" in f.reason}
        assert wanted - {"chat_template_path"} <= {*REACH_NOTHING[name], *EVALUATION}, name


@pytest.mark.parametrize("name", NAMES)
def test_the_table_of_a_kind_names_fields_of_its_config(name: str) -> None:
    assert set(kind_of(name).fields) <= set(fields(str(kind_of(name).trl_config)))


def test_the_tables_of_all_kinds_name_fields_of_some_config() -> None:
    known = {field for config in CONFIGS for field in fields(config)}
    assert set(FIELDS) <= known


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_tables_have_the_values_of_transformers_accelerate_and_torch() -> None:
    import torch
    from accelerate.utils import DynamoBackend
    from transformers import optimization
    from transformers.generation import configuration_utils
    from transformers.trainer_utils import SchedulerType
    from transformers.training_args import trainer_log_levels

    assert set(training.LOG_LEVELS) == set(trainer_log_levels)
    evaluating = {"reduce_lr_on_plateau", "greedy"}
    assert {*training.SCHEDULES, *evaluating} == {each.value for each in SchedulerType}
    assert set(training.MODES) == set(torch._inductor.list_mode_options())
    assert set(training.BACKENDS) < {each.value.lower() for each in DynamoBackend}
    assert set(CACHES) < set(configuration_utils.ALL_CACHE_IMPLEMENTATIONS)
    ours = {"optimizer", "num_warmup_steps", "num_training_steps", "last_epoch"}
    for name, options in together.SCHEDULE_KWARGS.items():
        function = optimization.TYPE_TO_SCHEDULER_FUNCTION[SchedulerType(name)]
        assert set(options) == set(inspect.signature(function).parameters) - ours, name
