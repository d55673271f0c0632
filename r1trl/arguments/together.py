"""Arguments that are possible one by one and not together, in any of TRL's configs.

What concerns one kind stands in its `Kind.problems`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Args = Mapping[str, Any]
Problems = Iterator[tuple[str, str]]

MAPPINGS = (  # TRL takes a text for them too, but only one that is JSON
    "lr_scheduler_kwargs",
    "gradient_checkpointing_kwargs",
    "activation_checkpointing_kwargs",
    "generation_kwargs",
    "teacher_model_init_kwargs",
    "transformers_continuous_batching_config",
)
WORKERS = (
    "dataloader_prefetch_factor",
    "dataloader_persistent_workers",
    "dataloader_multiprocessing_context",
)
# What has a field of its own, by its names in generation_kwargs.
OWN_FIELDS = {
    "max_new_tokens": "max_completion_length",
    "max_tokens": "max_completion_length",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "repetition_penalty": "repetition_penalty",
    "cache_implementation": "cache_implementation",
}
ACCELERATOR_OPTIONS = (
    "dispatch_batches",
    "even_batches",
    "use_seedable_sampler",
    "non_blocking",
    "gradient_accumulation_kwargs",
)
SHAPES = ("linear", "cosine", "1-sqrt")
MIN_LR = ("min_lr", "min_lr_rate")
# What lr_scheduler_kwargs may have; the constant schedules ignore it.
SCHEDULE_KWARGS: Mapping[str, tuple[str, ...]] = {
    "linear": (),
    "cosine": ("num_cycles",),
    "cosine_with_restarts": ("num_cycles",),
    "cosine_with_min_lr": ("num_cycles", *MIN_LR),
    "cosine_warmup_with_min_lr": ("num_cycles", *MIN_LR, "warmup_lr_rate"),
    "polynomial": ("lr_end", "power"),
    "inverse_sqrt": ("timescale",),
    "warmup_stable_decay": (
        "num_decay_steps",
        "num_stable_steps",
        "warmup_type",
        "decay_type",
        "min_lr_ratio",
        "num_cycles",
    ),
}


def problems_together(args: Args) -> Problems:
    """Yield (name, sentence) for what does not go together; `args` are of their types."""
    yield from _texts(args)
    yield from _schedule(args)
    yield from _workers(args)
    yield from _checkpointing(args)
    yield from _mappings(args)
    optim = str(args.get("optim"))
    if optim.startswith(("galore", "apollo")) and not args.get("optim_target_modules"):
        yield "optim", f"'{optim}' needs optim_target_modules, such as all-linear"
    if args.get("log_completions_hub_repo") and not args.get("log_completions"):
        yield "log_completions_hub_repo", "needs log_completions=true"
    if args.get("use_vllm") and args.get("use_transformers_continuous_batching"):
        yield "use_transformers_continuous_batching", "reaches nothing with use_vllm=true"


def _texts(args: Args) -> Problems:
    """Yield texts that are no mappings, padding or options; numbers of steps that are not whole."""
    for name in MAPPINGS:
        if isinstance(args.get(name), str) and not args[name].startswith("{"):
            yield name, f"value '{args[name]}' is not a mapping"
    padding = args.get("pad_to_multiple_of")
    if isinstance(padding, str) and not (padding == "auto" or _is_count(padding)):
        yield "pad_to_multiple_of", f"'{padding}' is not possible; give a number, auto or null"
    for option in (args.get("optim_args") or "").split(","):
        if args.get("optim_args") and option.count("=") != 1:
            yield "optim_args", f"'{option}' is no option; write name=value,name=value"
    for name, strategy in (("logging_steps", "logging_strategy"), ("save_steps", "save_strategy")):
        steps = args.get(name, 1)
        if args.get(strategy, "steps") == "steps" and steps > 1 and steps != int(steps):
            yield name, f"{steps:g} is not whole; only below 1 it is a share of all steps"


def _is_count(text: str) -> bool:
    return text.isdigit() and int(text) > 0


def _schedule(args: Args) -> Problems:
    """Yield what a learning rate schedule lacks, or has no use for."""
    schedule, given = args.get("lr_scheduler_type", "linear"), args.get("lr_scheduler_kwargs") or {}
    if schedule == "constant" and args.get("warmup_steps"):
        yield "warmup_steps", "reaches nothing with a constant schedule; use constant_with_warmup"
    if schedule not in SCHEDULE_KWARGS or not isinstance(given, Mapping):
        return
    known, problems = SCHEDULE_KWARGS[schedule], []
    for option, value in given.items():
        if option not in known:
            there = ", ".join(known) or "none"
            problems.append(f"{schedule} has no option '{option}'; it has: {there}")
        elif option.endswith("_type"):
            if value not in SHAPES:
                problems.append(f"{option}: choose one of: {', '.join(SHAPES)}")
        elif isinstance(value, str):
            problems.append(f"{option}: '{value}' is a text; YAML's numbers have a point: 1.0e-6")
    bounds = [name for name in MIN_LR if given.get(name) is not None]
    if "min_lr" in known and len(bounds) != 1:
        has = "both" if bounds else "none"
        problems.append(f"{schedule} needs either min_lr or min_lr_rate, and has {has}")
    if schedule == "warmup_stable_decay" and "num_decay_steps" not in given:
        problems.append(f"{schedule} needs num_decay_steps")
    yield from (("lr_scheduler_kwargs", problem) for problem in problems)


def _mappings(args: Args) -> Problems:
    """Yield options in mappings that break the stage, or belong somewhere else."""
    generation, accelerator, liger = (
        value if isinstance(value := args.get(name), Mapping) else {}
        for name in ("generation_kwargs", "accelerator_config", "liger_kernel_config")
    )
    for option in generation:
        if option in OWN_FIELDS:
            own = OWN_FIELDS[option]
            yield "generation_kwargs", f"'{option}' has a field of its own; set args.{own}"
    for option in accelerator:
        if option not in ACCELERATOR_OPTIONS:
            there = ", ".join(ACCELERATOR_OPTIONS)
            yield "accelerator_config", f"'{option}' is not possible; choose one of: {there}"
    if args.get("use_liger_kernel") and liger.get("fused_linear_cross_entropy"):
        yield "liger_kernel_config", "fused_linear_cross_entropy does not fit TRL's own fused head"


def _workers(args: Args) -> Problems:
    """Yield what only data-loading processes have."""
    for name in WORKERS:
        if args.get(name) and not args.get("dataloader_num_workers"):
            yield name, "needs dataloader_num_workers above 0"


def _checkpointing(args: Args) -> Problems:
    """Yield what is ignored because another name of it is given too."""
    for suffix in ("", "_kwargs"):
        old, new = f"gradient_checkpointing{suffix}", f"activation_checkpointing{suffix}"
        if args.get(new) is not None and old in args and args[old] != args[new]:
            yield new, f"{old}, its other name, has another value; give one of them"
