"""The schema of a run: what may stand in a recipe, with its type. The values live in conf/.

A field that is None or empty is not used; '???' must be given. What belongs to a plugin (its
options) or to TRL (its arguments) is a mapping here; the plan checks it against the plugin's
signature or TRL's dataclass.
"""

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from r1trl.config.values import convert
from r1trl.errors import suggest

REQUIRED = "???"
WRONG: Any = object()


@dataclass
class ModelConfig:
    """A model to start from."""

    path: str = REQUIRED  # a folder or a Hub id
    dtype: str = "bfloat16"
    distill_learning_rate: float = 1e-4


@dataclass
class SourceConfig:
    """Where rows come from; in a stage, what is set here overrides the source of the same name."""

    path: str | None = None  # a Hub id, a file, a folder, or stage:<name>
    name: str | None = None  # the Hub dataset's configuration
    split: str | None = None
    dataset: str | None = None  # the name of a plugin's dataset, in place of path
    options: dict[str, Any] = field(default_factory=dict)  # of the plugin's dataset
    columns: dict[str, str] = field(default_factory=dict)  # new name: old name or Jinja template
    filters: dict[str, Any] = field(default_factory=dict)  # for this source's rows alone
    limit: int | None = None  # rows drawn at random, after the filters
    weight: float | None = None  # share of the mixture, next to the other sources' weights
    stream: int | None = None  # rows read from the head, for a set too large to load


@dataclass
class RolloutConfig:
    """How completions are batched: `outputs` drawn at once, learned from in `minibatches`."""

    outputs: int = 512
    minibatches: int = 1


@dataclass
class SamplingConfig:
    """How completions are drawn outside training."""

    n: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float | None = None
    repetition_penalty: float = 1.0
    max_tokens: int = 2048
    batch_size: int = 32
    enough: int | None = None  # right answers after which a prompt is done, by measures.correct
    max_n: int | None = None  # until then n more are drawn, up to so many
    shard_size: int = 256  # prompts that are written down together


@dataclass
class ScoringConfig:
    """How rewards are computed, and what happens to a sample that gets no verdict."""

    deadline: float = 10.0  # seconds per sample
    processes: int | None = None  # None: this rank's share of the cores
    on_failure: str = "mask"  # mask | zero | raise
    failure_limit: float = 0.5  # share of a batch above which the stage stops


@dataclass
class EndpointsConfig:
    """Servers with OpenAI's completions API that a model is sampled from, in place of loading it.

    `model` of the stage is then read for its tokenizer alone.
    """

    urls: list[str] = field(default_factory=list)  # such as http://node1:8000/v1
    model: str | None = None  # the name it is served by; None: the stage's model
    key_variable: str = "OPENAI_API_KEY"  # the environment variable with the key, if one is needed
    concurrency: int = 64  # requests at once, per server
    seconds: float = 600.0  # after which a request is given up and sent again
    patience: float = 600.0  # seconds without a reply of any server after which the stage fails


@dataclass
class AdapterConfig:
    """A LoRA adapter (arXiv 2106.09685) that is trained in place of the whole model."""

    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.0
    layers: list[str] = field(default_factory=list)  # names of linear layers; empty: all of them


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
class EvaluatedModel:
    """A model of an evaluate stage, and the prompt it was trained to read."""

    path: str = REQUIRED
    template: str | None = None
    prefill: str = ""
    system: str | None = None
    samplers: dict[str, Any] = field(default_factory=dict)  # in place of the stage's
    endpoints: EndpointsConfig | None = None


@dataclass
class StageConfig:
    """One unit of work."""

    kind: str = REQUIRED
    model: str | None = None  # where the weights start: a folder, a Hub id, or stage:<name>
    models: dict[str, EvaluatedModel] = field(default_factory=dict)  # of an evaluate stage
    dtype: str = "bfloat16"
    attention: str | None = None  # transformers' attn_implementation
    template: str | None = None  # raw prompt with {{ prompt }}; None: the tokenizer's chat template
    prefill: str = ""  # put in the assistant's mouth, such as "<think>\n"
    system: str | None = None  # the system prompt, for a chat template
    data: dict[str, SourceConfig] = field(default_factory=dict)
    benchmarks: dict[str, SourceConfig] = field(default_factory=dict)  # empty: the run's
    filters: dict[str, Any] = field(default_factory=dict)
    rewards: dict[str, Any] = field(default_factory=dict)
    samplers: dict[str, Any] = field(default_factory=dict)
    transitions: dict[str, Any] = field(default_factory=dict)
    measures: dict[str, str] = field(
        default_factory=dict
    )  # of evaluate and sample: metric -> reward
    endpoints: EndpointsConfig | None = None  # of evaluate and sample: servers that have the model
    batch: int | None = None  # of sft and reward_model: rows per update, over all processes
    rollout: RolloutConfig = field(default_factory=RolloutConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    scoring: ScoringConfig = field(default_factory=ScoringConfig)
    objective: str | None = None  # of a reward_model stage: pairwise | pointwise
    scored: str | None = None  # of a reward_model stage: summary | response
    adapter: AdapterConfig | None = None  # of sft, grpo and rloo; None: all weights are trained
    launch: LaunchConfig | None = None  # None: the run's own
    args: dict[str, Any] = field(default_factory=dict)  # TRL's


@dataclass
class RunConfig:
    """A whole run."""

    name: str = REQUIRED
    seed: int = 1
    runs_dir: str = "runs"
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


def build(class_: Any, values: Mapping[str, Any], where: str = "") -> tuple[Any, list[str]]:
    """Make a config of nested mappings; return it and every problem, each with its key.

    What is wrong is left at its default.
    """
    hints, known = typing.get_type_hints(class_), {f.name for f in dataclasses.fields(class_)}
    made, problems = {}, []
    for name, value in values.items():
        key = f"{where}{name}"
        if name not in known:
            there = ", ".join(sorted(known))
            problems.append(
                f"{key}: there is no such key{suggest(name, known)}; there are: {there}"
            )
            continue
        if value is None and dataclasses.is_dataclass(hints[name]):
            continue
        built, more = _build_value(hints[name], value, key)
        problems += more
        if built is not WRONG:
            made[name] = built
    missing = {f.name for f in dataclasses.fields(class_) if f.default == REQUIRED}
    problems += [
        f"{where}{name}: must be given" for name in missing if made.get(name, REQUIRED) == REQUIRED
    ]
    return class_(**made), sorted(problems)


def _build_value(hint: Any, value: Any, key: str) -> tuple[Any, list[str]]:
    """Make one value, which may be a config or a mapping of configs."""
    arguments = typing.get_args(hint)
    inner = next((a for a in (hint, *arguments) if dataclasses.is_dataclass(a)), None)
    if inner is None or value is None:
        try:
            return convert(value, hint), []
        except ValueError as error:
            return WRONG, [f"{key}: {error}"]
    if not isinstance(value, Mapping):
        return WRONG, [f"{key}: value '{value}' is not a mapping"]
    if typing.get_origin(hint) is not dict:
        return build(inner, value, f"{key}.")
    made: dict[str, Any] = {}
    problems: list[str] = []
    for name, item in value.items():
        if item is not None:
            built, more = _build_value(inner, item, f"{key}.{name}")
            problems += more
            made |= {name: built} if built is not WRONG else {}
    return made, problems
