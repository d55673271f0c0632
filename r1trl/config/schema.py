"""The schema of a run: what may stand in a recipe, with its type. The values live in conf/.

A field that is None or empty is not used; '???' must be given. What belongs to a plugin (its
options) or to TRL (its arguments) is a mapping here; the plan checks it against the plugin's
signature or TRL's dataclass. What a kind of stage adds to `StageConfig` is in config/kinds.py.

A field's metadata may have `alias`, a former name that is still accepted, with a note, or
`formerly`, one that is refused with a hint.
"""

from dataclasses import dataclass, field
from typing import Any

from r1trl.types import Model, Rows

REQUIRED = "???"


@dataclass
class ModelConfig:
    """A model to start from."""

    path: str = REQUIRED  # a folder or a Hub id
    dtype: str = "bfloat16"
    distill_learning_rate: float = 1e-4
    # Ends a turn in the chat template, if that is not the tokenizer's end token; SFT makes it that.
    eos_token: str | None = None


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
    # Rows drawn at random, after the filters.
    sample_rows: int | None = field(default=None, metadata={"alias": "limit"})
    weight: float | None = None  # share of the mixture, next to the other sources' weights
    # Rows read from the head, if the set is too large to load.
    take: int | None = field(default=None, metadata={"alias": "stream"})


@dataclass
class RolloutConfig:
    """How completions are batched: `outputs` generated at once, learned from in `minibatches`."""

    outputs: int = 512
    minibatches: int = 1


@dataclass
class SamplingConfig:
    """How completions are generated outside training."""

    n: int = 1  # completions per prompt
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float | None = None
    repetition_penalty: float = 1.0
    max_tokens: int = 2048
    batch_size: int = 32
    # Right answers (by metrics.correct) after which a prompt gets no more completions.
    stop_after_correct: int | None = field(default=None, metadata={"alias": "enough"})
    max_n: int | None = None  # the most completions per prompt then; they come n at a time
    shard_size: int = 256  # prompts in one file of shards/


@dataclass
class ScoringConfig:
    """How rewards are computed, and what happens to a sample that gets no verdict."""

    deadline: float = 10.0  # seconds per sample
    processes: int | None = None  # None: this rank's share of the cores
    on_failure: str = "mask"  # mask | zero | raise
    # Share of a batch; above it: stop.
    max_failure_rate: float = field(default=0.5, metadata={"alias": "failure_limit"})


@dataclass
class EndpointsConfig:
    """Servers with OpenAI's completions API that a model is sampled from, in place of loading it.

    `model` of the stage is then read for its tokenizer alone.
    """

    urls: list[str] = field(default_factory=list)  # such as http://node1:8000/v1
    model: str | None = None  # the name it is served by; None: the stage's model
    # Variable that holds the key.
    api_key_env: str = field(default="OPENAI_API_KEY", metadata={"alias": "key_variable"})
    concurrency: int = 64  # requests at once, per server
    # Seconds until a request is sent again.
    timeout: float = field(default=600.0, metadata={"alias": "seconds"})
    patience: float = 600.0  # seconds without a reply of any server after which the stage fails


@dataclass
class AdapterConfig:
    """A LoRA adapter (arXiv 2106.09685) that is trained in place of the whole model."""

    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.0
    # Names of linear layers; empty: all of them.
    target_modules: list[str] = field(default_factory=list, metadata={"alias": "layers"})


@dataclass
class LaunchConfig:
    """How a stage's worker is started."""

    how: str = "local"  # local | accelerate
    processes: int = 1  # on this machine
    config: dict[str, Any] = field(default_factory=dict)  # accelerate's own configuration file
    environment: dict[str, str] = field(default_factory=dict)


@dataclass
class PluginsConfig:
    """What is loaded besides the installed plugins, and what is not."""

    load: list[str] = field(default_factory=list)  # modules, packages or files
    block: list[str] = field(default_factory=list)  # names of installed plugins


@dataclass
class WandbConfig:
    """Weights & Biases: one group per run, one W&B run per stage."""

    enabled: bool = False
    project: str = "r1trl"
    entity: str | None = None
    mode: str = "online"  # online | offline
    completions: int = 16  # rows of each completions table


@dataclass
class StageConfig:
    """One unit of work: the keys that are common to all kinds."""

    kind: str = REQUIRED
    model: Model | None = None  # where the weights start: a folder, a Hub id, or stage:<name>
    dtype: str = "bfloat16"
    # Transformers' own.
    attn_implementation: str | None = field(default=None, metadata={"alias": "attention"})
    template: str | None = None  # raw prompt with {{ prompt }}; None: the tokenizer's chat template
    prefill: str = ""  # the beginning of every completion, such as "<think>\n"
    system: str | None = None  # the system prompt, for a chat template
    data: dict[str, SourceConfig] = field(default_factory=dict)
    benchmarks: dict[str, SourceConfig] = field(default_factory=dict)  # empty: the run's
    filters: dict[str, Any] = field(default_factory=dict)
    rewards: dict[str, Any] = field(default_factory=dict)
    samplers: dict[str, Any] = field(default_factory=dict)
    transitions: dict[str, Any] = field(default_factory=dict)
    endpoints: EndpointsConfig | None = None  # servers that have the model, outside training
    batch: int | None = None  # rows per update over all processes, if it trains on given rows
    rollout: RolloutConfig = field(default_factory=RolloutConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    scoring: ScoringConfig = field(default_factory=ScoringConfig)
    adapter: AdapterConfig | None = None  # None: all weights are trained
    launch: LaunchConfig | None = None  # None: the run's own
    args: dict[str, Any] = field(default_factory=dict)  # TRL's


@dataclass
class RunConfig:
    """A whole run."""

    name: str = REQUIRED
    seed: int = 1
    runs_dir: str = "runs"
    preflight: bool = True  # whether a run begins with it
    model: ModelConfig = field(default_factory=ModelConfig)
    student: ModelConfig = field(default_factory=ModelConfig)
    teacher: str | None = None  # of a distillation: a model, or stage:<name>
    template: dict[str, Any] = field(default_factory=dict)  # prompt templates, by name
    scale: dict[str, Any] = field(default_factory=dict)  # the sizes that recipes refer to
    sources: dict[str, SourceConfig] = field(default_factory=dict)
    benchmarks: dict[str, SourceConfig] = field(default_factory=dict)
    stages: dict[str, StageConfig] = field(default_factory=dict)
    launch: LaunchConfig = field(default_factory=LaunchConfig)
    plugins: PluginsConfig = field(default_factory=PluginsConfig)
    wandb: WandbConfig = field(default_factory=WandbConfig)
