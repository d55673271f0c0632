"""A stage's settings made small: few rows, few tokens, one step, on a CPU.

Everything goes by the names of keys, never by the kind of stage; a kind may add `Kind.small`.
"""

from collections.abc import Mapping
from typing import Any

from r1trl.arguments.source import fields
from r1trl.kind import Kind

ROWS, BENCHMARK_ROWS = 32, 4  # of each source
TOKENS, LONGEST_ROW = 8, 1024
STEPS, SAMPLES, GROUPS, BATCH = 2, 2, 2, 2  # one step, and one more from its checkpoint
# TRL's arguments: given or not, they become these.
ARGS: Mapping[str, Any] = {
    "max_completion_length": TOKENS,
    "logging_strategy": "steps",
    "logging_steps": 1,
    "save_strategy": "steps",
    "save_steps": 1,
}
# What a CPU cannot do, or what is not worth its time, is replaced where it is given.
REPLACED: Mapping[str, Any] = {
    "ref_model_sync_steps": 1,
    "num_iterations": 1,  # the checkpoint after one step lies between rollouts
    "dataset_num_proc": None,
    "dataloader_num_workers": 0,
    "dataloader_prefetch_factor": None,
    "dataloader_persistent_workers": False,
    "use_vllm": False,
    "use_transformers_continuous_batching": False,
    "tf32": None,
    "torch_compile": False,
    "torch_compile_backend": None,
    "torch_compile_mode": None,
    "use_liger_kernel": False,
    "activation_offloading": False,
    "deepspeed": None,
    "fsdp": None,
    "fsdp_config": None,
    "parallelism_config": None,
    "push_to_hub": False,
}
CPU_OPTIMIZERS = ("adamw_torch", "adafactor", "sgd", "adagrad", "rmsprop")
CPU_ATTENTIONS = ("eager", "sdpa")


def small_stage(settings: Mapping[str, Any], kind: Kind) -> dict[str, Any]:
    """Return a stage's settings, nested mappings as in stage.yaml, in miniature."""
    small = dict(settings)
    evaluates = "benchmarks" in kind.needs
    small["data"] = {n: small_source(s, ROWS) for n, s in small["data"].items()}
    small["benchmarks"] = {
        n: small_source(s, BENCHMARK_ROWS if evaluates else ROWS)
        for n, s in small["benchmarks"].items()
    }
    small |= {"dtype": "float32", "endpoints": None, "serve": {}}
    small["launch"] = _local(small["launch"])
    if small["adapter"] is not None:
        small["adapter"] = {**small["adapter"], "quantize": None}
    small["attn_implementation"] = _attention(small["attn_implementation"])
    for name, model in (small.get("models") or {}).items():
        small["models"] = {**small["models"], name: {**model, "endpoints": None}}
    if "sampling" in kind.takes:
        small["sampling"] = _sampling(small["sampling"])
    if small["evaluate"]["every"] is not None:
        sampling = _sampling(small["evaluate"]["sampling"])
        own = {"every": 1, "rows": BENCHMARK_ROWS, "max_share": 1.0, "sampling": sampling}
        small["evaluate"] = {**small["evaluate"], **own}
    if kind.trl_config:
        small["args"] = small_args(settings["args"], kind.trl_config)
        small["args"]["max_steps"] = STEPS
        small["args"]["per_device_train_batch_size"] = BATCH
    if small["batch"] is not None:
        small["batch"] = BATCH
    if "rollout" in kind.takes:
        group = int(small["args"].get("num_generations") or 8)
        small["rollout"] = {"outputs": GROUPS * group, "minibatches": 1}
        small["args"]["per_device_train_batch_size"] = group
    return dict(kind.small(small))


def small_source(source: Mapping[str, Any], rows: int) -> dict[str, Any]:
    """Return a source of which only the first rows are read."""
    small = {**source, "take": min(source["take"] or rows, rows)}
    if source["sample_rows"] is not None:
        small["sample_rows"] = min(source["sample_rows"], rows)
    if source["split"]:
        small["split"] = source["split"].partition("[")[0]  # a slice cannot be streamed
    return small


def small_args(args: Mapping[str, Any], config: str) -> dict[str, Any]:
    """Return TRL's arguments for one step on a CPU; `config` names TRL's config class."""
    small = {**args, **{n: v for n, v in ARGS.items() if n in fields(config)}}
    small |= {n: v for n, v in REPLACED.items() if n in args}
    if args.get("max_length") is not None:
        small["max_length"] = min(int(args["max_length"]), LONGEST_ROW)
    if str(args.get("optim", CPU_OPTIMIZERS[0])) not in CPU_OPTIMIZERS:
        small["optim"] = CPU_OPTIMIZERS[0]
    for name, value in args.items():  # such as teacher_model_init_kwargs
        if isinstance(value, Mapping) and "attn_implementation" in value:
            own = _attention(value["attn_implementation"])
            small[name] = {**value, "attn_implementation": own}
    return small


def _attention(name: str | None) -> str | None:
    return name if name in CPU_ATTENTIONS else None


def _local(launch: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the launch of one process here; the environment stays, as plugins may read it."""
    environment = dict((launch or {}).get("environment") or {})
    return {"how": "local", "processes": 1, "config": {}, "environment": environment}


def _sampling(sampling: Mapping[str, Any]) -> dict[str, Any]:
    n = SAMPLES  # a gold completion, and one that is not
    small = {"n": n, "max_tokens": TOKENS, "batch_size": min(sampling["batch_size"], ROWS)}
    if sampling["stop_after_correct"] is not None:
        small |= {"stop_after_correct": 1, "max_n": n + 1}
    return {**sampling, **small}
