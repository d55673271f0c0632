"""The schema of a run: what may stand in a recipe, with its type. The values live in conf/.

A field that is None or empty is not used; '???' must be given. What belongs to a plugin (its
options) or to TRL (its arguments) is a mapping here; the plan checks it against the plugin's
signature or TRL's dataclass. What a kind of stage adds to `StageConfig` is in config/kinds.py.

A field's metadata may have `field`, an `r1trl.Field` with the values that are possible;
`spellings`, other ways to write them; `alias`, a former name that is still accepted, with a note;
or `formerly`, one that is refused with a hint.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from r1trl.config.stage_parts import (
    AdapterConfig,
    EndpointsConfig,
    EvaluateConfig,
    HardwareConfig,
    LaunchConfig,
    RolloutConfig,
    SamplingConfig,
    ScoringConfig,
    ServeConfig,
    WatchdogConfig,
    number,
)
from r1trl.types import Model, Rows

REQUIRED = "???"
ONLY_REFERRED_TO = (
    "model",
    "student",
    "students",
    "teacher",
    "template",
    "scale",
    "generation",
)  # by ${key}, from stages
Dtype = Literal["bfloat16", "float16", "float32"]
DTYPES = {
    **dict.fromkeys(("bf16", "torch.bfloat16"), "bfloat16"),
    **dict.fromkeys(("fp16", "half", "torch.float16", "torch.half"), "float16"),
    **dict.fromkeys(("fp32", "float", "full", "torch.float32", "torch.float"), "float32"),
}


@dataclass
class ModelConfig:
    """A model to start from."""

    path: str = REQUIRED  # a folder or a Hub id
    dtype: Dtype = field(default="bfloat16", metadata={"spellings": DTYPES})
    distill_learning_rate: float = number(1e-4, above=0)
    eos_token: str | None = None  # ends a turn, if the tokenizer's own does not; SFT sets it
    max_position_embeddings: int | None = number(None, at_least=1)  # in place of the config's


@dataclass
class SourceConfig:
    """Where rows come from; in a stage, what is set here overrides the source of the same name."""

    path: Rows | None = None  # a Hub id, a file, a folder, or stage:<name>
    name: str | None = None  # the Hub dataset's configuration
    split: str | None = None
    dataset: str | None = None  # the name of a plugin's dataset, in place of path
    options: dict[str, Any] = field(default_factory=dict)  # of the plugin's dataset
    columns: dict[str, str] = field(default_factory=dict)  # new name: old name or Jinja template
    filters: dict[str, Any] = field(default_factory=dict)  # for this source's rows alone
    sample_rows: int | None = number(None, alias="limit", at_least=1)  # at random, after filters
    weight: float | None = number(None, above=0)  # share of the mixture, next to the others'
    take: int | None = number(None, alias="stream", at_least=1)  # rows read, from the head
    variants: dict[str, Any] = field(default_factory=dict)  # forms of questions to train on
    # Share of rows that get a form; None: each form is as likely as the row as it is.
    varied: float | None = number(None, above=0, at_most=1)


@dataclass
class PluginsConfig:
    """What is loaded besides the installed plugins, and what is not."""

    load: list[str] = field(default_factory=list)  # modules, packages or files
    block: list[str] = field(default_factory=list)  # names of installed plugins


@dataclass
class WandbConfig:
    """Weights & Biases, in short: `enabled` adds the tracker wandb, with these options."""

    enabled: bool = False
    project: str = "r1trl"
    entity: str | None = None
    mode: Literal["online", "offline"] = "online"
    completions: int = number(16, at_least=0)  # of each logging step, also without W&B


@dataclass
class ReportConfig:
    """report.html of a run."""

    completions: int = number(2000, at_least=0)  # of each stage, to read and to search


@dataclass
class ProgressConfig:
    """What a run says of its progress where its output is no terminal."""

    seconds: float = number(30.0, above=0)  # between two lines on the stage at work


@dataclass
class GenerationConfig:
    """What draws the completions of stages that train on their own, and of stages that do not."""

    vllm: bool = False  # TRL's use_vllm; launches on GPUs say true
    serve: dict[str, Any] = field(default_factory=dict)  # servers of stages that do not train


@dataclass
class StageConfig:
    """One unit of work: the keys that are common to all kinds."""

    kind: str = REQUIRED
    model: Model | None = None  # where the weights start: a folder, a Hub id, or stage:<name>
    # What training computes in, its weights being float32; what other stages load weights in.
    dtype: Dtype = field(default="bfloat16", metadata={"spellings": DTYPES})
    # Transformers' own, or a kernel on the Hub.
    attn_implementation: str | None = field(default=None, metadata={"alias": "attention"})
    # In place of that of the model's config; the model that is made keeps it.
    max_position_embeddings: int | None = number(None, at_least=1)
    template: str | None = None  # raw prompt with {{ prompt }}; None: the tokenizer's chat template
    prefill: str = ""  # the beginning of every completion, such as "<think>\n"
    system: str | None = None  # the system prompt, for a chat template
    # Of the chat template, such as {enable_thinking: false}.
    chat_template_kwargs: dict[str, Any] = field(default_factory=dict)
    data: dict[str, SourceConfig] = field(default_factory=dict)
    benchmarks: dict[str, SourceConfig] = field(default_factory=dict)  # empty: the run's
    filters: dict[str, Any] = field(default_factory=dict)
    rewards: dict[str, Any] = field(default_factory=dict)
    samplers: dict[str, Any] = field(default_factory=dict)
    transitions: dict[str, Any] = field(default_factory=dict)
    variants: dict[str, Any] = field(default_factory=dict)  # other forms of the rows' questions
    endpoints: EndpointsConfig | None = None  # servers that have the model, outside training
    serve: dict[str, ServeConfig] = field(default_factory=dict)  # servers of the stage, by name
    # Rows per update over all processes, if it trains on given rows.
    batch: int | None = number(None, at_least=1)
    rollout: RolloutConfig = field(default_factory=RolloutConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    scoring: ScoringConfig = field(default_factory=ScoringConfig)
    # Of the model on benchmarks while it trains.
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    adapter: AdapterConfig | None = None  # None: all weights are trained
    # Which checkpoints stay when the stage is finished; with keep also shards/.
    checkpoints: Literal["keep", "last", "none"] = "none"
    launch: LaunchConfig | None = None  # None: the run's own
    args: dict[str, Any] = field(default_factory=dict)  # TRL's


@dataclass
class RunConfig:
    """A whole run."""

    name: str = REQUIRED  # <recipe>-<scale> if it is not given
    seed: int = number(1, at_least=0)
    runs_dir: str = "runs"
    preflight: bool = True  # whether a run begins with it
    until: str | None = None  # the last stage of this command
    redo: list[str] = field(default_factory=list)  # stages to carry out again; one needs no list
    keep: list[str] = field(default_factory=list)  # stages to use though they would be others now
    model: ModelConfig = field(default_factory=ModelConfig)
    student: ModelConfig = field(default_factory=ModelConfig)
    students: dict[str, ModelConfig] = field(default_factory=dict)  # of recipe=distill_family
    teacher: str | None = None  # of a distillation: a model, or stage:<name>
    generation: GenerationConfig = field(default_factory=GenerationConfig)
    template: dict[str, Any] = field(default_factory=dict)  # prompt templates, by name
    scale: dict[str, Any] = field(default_factory=dict)  # the sizes that recipes refer to
    sources: dict[str, SourceConfig] = field(default_factory=dict)
    benchmarks: dict[str, SourceConfig] = field(default_factory=dict)
    stages: dict[str, StageConfig] = field(default_factory=dict)
    launch: LaunchConfig = field(default_factory=LaunchConfig)
    hardware: HardwareConfig | None = None  # what plans assume; None: nothing is refused by it
    watchdog: WatchdogConfig = field(default_factory=WatchdogConfig)
    # The command's time on the clock, in seconds, or as 3:50:00 or 3h50m: it has left by then.
    time_limit: float | str | None = number(None, above=0)
    plugins: PluginsConfig = field(default_factory=PluginsConfig)
    trackers: dict[str, Any] = field(default_factory=dict)  # of plugins, by name
    wandb: WandbConfig = field(default_factory=WandbConfig)
    report: ReportConfig = field(default_factory=ReportConfig)
    progress: ProgressConfig = field(default_factory=ProgressConfig)
