"""What is given and reaches nothing: it is refused, with its key and what to do instead."""

from collections.abc import Iterator, Mapping

from r1trl.config.checked import Composed
from r1trl.config.keys import concerns
from r1trl.config.kinds import models_of, reads_benchmarks, scores_held_out_rows_alone
from r1trl.config.schema import ONLY_REFERRED_TO, SourceConfig, StageConfig
from r1trl.config.stage_parts import POLICY, LaunchConfig, ScoringConfig
from r1trl.errors import suggest
from r1trl.kind import Kind, NoSettings
from r1trl.plan.choices import active
from r1trl.watch.leaving import seconds_of

OF_ENGINES = {"setup": ("slurm", "ray"), "sbatch": ("slurm",), "srun": ("slurm",)}
OF_ENGINES |= {"requeues": ("slurm",), "address": ("ray",), "resources": ("ray",)}
OF_THE_JOB = ("sbatch", "requeues")
OF_LOADED_WEIGHTS = ("dtype", "attn_implementation", "sampling.batch_size")


def unread_keys(run: Composed) -> list[tuple[str, str]]:
    """Return the keys of the command line that no stage reads, each with a sentence."""
    found, given = list[tuple[str, str]](), run.given
    read = {name for stage in run.config.stages.values() for name in stage.data}
    for key in sorted(given.keys):
        root, name = (*key.split("."), "")[:2]
        if any(concerns(key, other) for other in given.referred_to):
            continue
        if root in ONLY_REFERRED_TO:
            close = suggest(key, [k for k in given.referred_to if k.partition(".")[0] == root])
            found.append((key, f"{key}: nothing in this run refers to ${{{key}}}{close}"))
        elif root == "sources" and name and name not in read:
            found.append((key, f"{key}: no stage reads the source '{name}'{suggest(name, read)}"))
    for name, stage in run.config.stages.items():
        found += [
            (f"stages.{name}.launch.{part}", f"stages.{name}.launch.{part}: {text}")
            for part, text in _of_the_job(stage, run.config.launch)
        ]
    return found


def unread_by_run(run: Composed) -> Iterator[str]:
    """Yield what is set for the whole run and has no effect."""
    yield from _of_benchmarks(run.config.benchmarks)
    yield from (f"launch.{line}" for line in _launch(run.config.launch))
    of_wandb = () if run.config.wandb.enabled else ("project", "entity", "mode")
    for key in sorted(run.given.keys & {f"wandb.{name}" for name in of_wandb}):
        yield f"{key}: nothing reads it; set wandb.enabled=true, or trackers.{key}"
    try:
        seconds_of(run.config.time_limit)
    except ValueError as error:
        yield f"time_limit: {error}"


def unread(key: str, stage: StageConfig, kind: Kind, run: Composed) -> Iterator[str]:
    """Yield what a stage sets and nothing of it reads, by keys relative to the stage's, `key`.

    `stage` is as in the recipe, its launch and benchmarks not filled in.
    """
    yield from (f"launch.{line}" for line in _launch(stage.launch or LaunchConfig()))
    for part, text in _of_the_job(stage, run.config.launch):
        at = f"{key}.launch.{part}"
        if any(given == at or given.startswith(f"{at}.") for given in run.given.keys):
            yield f"launch.{part}: {text}"
    if f"{key}.launch.gpu" in run.given.keys:
        yield "launch.gpu: only the run's is read, by generation.vllm; set args.use_vllm"
    keys = (*kind.needs, *kind.takes)
    yield from _of_evaluations(key, stage, kind, run)
    if stage.benchmarks and not reads_benchmarks(kind, stage):
        yield f"benchmarks: a stage of kind {stage.kind} is not run on benchmarks"
    yield from _of_benchmarks(stage.benchmarks)
    yield from _of_variants(key, stage, kind)
    if stage.filters and kind.settings is NoSettings and not {"data", "benchmarks"} & set(keys):
        yield f"filters: a stage of kind {stage.kind} reads no rows"
    if stage.scoring != ScoringConfig() and not active(stage.rewards):
        yield "scoring: the stage has no rewards to score"
    if stage.prefill and kind.draws == "nothing" and stage.evaluate.every is None:
        yield f"prefill: a stage of kind {stage.kind} generates no completions"
    if models_of(stage):
        for name in ("template", "prefill"):
            if getattr(stage, name):
                yield f"{name}: each model has its own: models.<name>.{name}"
    yield from _steps(stage, kind)
    yield from _of_a_loaded_model(key, stage, run)


def _of_benchmarks(benchmarks: Mapping[str, SourceConfig]) -> Iterator[str]:
    """Yield what benchmarks set and nothing reads, whoever's they are."""
    for name, source in benchmarks.items():
        if source.weight is not None:
            yield f"benchmarks.{name}.weight: benchmarks are not mixed"
        if active(source.variants):
            yield (
                f"benchmarks.{name}.variants: are for rows that are trained on; an evaluate stage "
                "asks a benchmark in every form of its own: stages.<stage>.variants"
            )


def _of_variants(key: str, stage: StageConfig, kind: Kind) -> Iterator[str]:
    """Yield the sources with variants of a stage that draws no completions."""
    if kind.draws != "nothing":
        return
    for name, source in stage.data.items():
        if active(source.variants):
            yield (
                f"data.{name}.variants: a stage of kind {stage.kind} learns from answers that were "
                "given to the questions as they are; variants are for stages that draw "
                f"completions of their own; {key}.data.{name}.variants={{}} leaves them out here"
            )


def _of_evaluations(key: str, stage: StageConfig, kind: Kind, run: Composed) -> Iterator[str]:
    """Yield what is read by evaluations alone, if there are none."""
    if stage.evaluate.every is not None or "evaluate" not in kind.takes:
        return
    for given in sorted(run.given.keys):
        if given.startswith(f"{key}.evaluate.") and given != f"{key}.evaluate.every":
            yield f"{given.removeprefix(f'{key}.')}: nothing is evaluated; set evaluate.every too"
    if scores_held_out_rows_alone(kind) and active(stage.rewards):
        yield "rewards: score held-out rows alone, and there are none; set evaluate.every"


def _launch(launch: LaunchConfig) -> Iterator[str]:
    """Yield what a launch does not read."""
    if launch.how == "local" and launch.processes != 1:
        yield "processes: how=local starts one process; give how=accelerate too"
    if launch.how == "local" and launch.config:
        yield "config: how=local does not use accelerate; give how=accelerate too"
    if launch.how in ("local", "accelerate") and launch.nodes != 1:
        yield f"nodes: how={launch.how} starts on this machine; give how=slurm or how=ray too"
    for name, amount in launch.resources.items():
        if not isinstance(amount, int | float) or isinstance(amount, bool) or amount <= 0:
            yield f"resources.{name}: {amount!r} is no number of a resource; give one above 0"
    for name, engines in OF_ENGINES.items():
        if getattr(launch, name) != getattr(LaunchConfig(), name) and launch.how not in engines:
            does = " or ".join(f"how={engine}" for engine in engines)
            yield f"{name}: how={launch.how} does not read it; {does} does"


def _of_the_job(stage: StageConfig, launch: LaunchConfig) -> Iterator[tuple[str, str]]:
    """Yield what a stage's launch by Slurm says of the job, which is the whole run's, otherwise."""
    if stage.launch and stage.launch.how == "slurm":
        also = "" if launch.how == "slurm" else ", and launch=slurm"
        for part in OF_THE_JOB:
            if getattr(stage.launch, part) != getattr(launch, part):
                yield part, f"the stages of a run are steps of one job; set launch.{part}{also}"


def _steps(stage: StageConfig, kind: Kind) -> Iterator[str]:
    """Yield the steps of rewards in a stage that has none."""
    for reward, options in active(stage.rewards).items() if kind.draws == "rows" else ():
        for name in ("from_step", "until_step"):
            if options.get(name) is not None:
                yield f"rewards.{reward}.{name}: a stage of kind {stage.kind} has no steps"


def _of_a_loaded_model(key: str, stage: StageConfig, run: Composed) -> Iterator[str]:
    """Yield what says how weights are loaded or used, if servers have them."""
    models, served = models_of(stage).values(), POLICY in stage.serve
    if not (stage.endpoints or served or (models and all(model.endpoints for model in models))):
        return
    given = {name for name in OF_LOADED_WEIGHTS if f"{key}.{name}" in run.given.keys}
    given |= {"attn_implementation"} if stage.attn_implementation else set()
    where = f"server loads the model; set it in serve.{POLICY}.args"
    where = where if served else "servers of endpoints load the model; set it there"
    for name in sorted(given - ({"dtype"} if served else set())):
        yield f"{name}: the {where}"
