"""Parts of a stage's settings: how completions are batched, drawn and scored, and adapters.

What stands in a field's metadata is said in config/schema.py.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from r1trl.fields import Field
from r1trl.types import Model


def number(default: float | None, alias: str = "", **bounds: Any) -> Any:
    """Return a dataclass field for a number with bounds, which are those of `r1trl.Field`."""
    former = {"alias": alias} if alias else {}
    return field(default=default, metadata={"field": Field(**bounds), **former})


@dataclass
class RolloutConfig:
    """How completions are batched: `outputs` generated at once, learned from in `minibatches`."""

    outputs: int = number(512, at_least=1)
    minibatches: int = number(1, at_least=1)


@dataclass
class SamplingConfig:
    """How completions are generated outside training."""

    n: int = number(1, at_least=1)  # completions per prompt
    temperature: float = number(1.0, at_least=0)
    top_p: float = number(1.0, above=0, at_most=1)
    top_k: int = number(0, at_least=0)
    min_p: float | None = number(None, at_least=0, at_most=1)
    repetition_penalty: float = number(1.0, above=0)
    max_tokens: int = number(2048, at_least=1)
    batch_size: int = number(32, at_least=1)
    # Right answers (by metrics.correct) after which a prompt gets no more completions.
    stop_after_correct: int | None = number(None, alias="enough", at_least=1)
    # The most completions per prompt then; they come n at a time.
    max_n: int | None = number(None, at_least=1)
    shard_size: int = number(256, at_least=1)  # prompts in one file of shards/


@dataclass
class EvaluateConfig:
    """How held-out rows are answered while a stage trains: the metrics `eval/<benchmark>/…`."""

    every: int | None = number(None, at_least=1)  # optimizer steps; None: never
    benchmarks: list[str] = field(default_factory=list)  # those of the stage or the run; empty: all
    rows: int = number(64, at_least=1)  # of each benchmark, drawn by the run's seed
    # Share of the stage's time; while evaluations have taken more, those that are due are left out.
    max_share: float = number(0.1, above=0, at_most=1)
    # For each metric the reward of the stage whose mean it is; `correct` is that of a right answer.
    metrics: dict[str, str] = field(default_factory=dict)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)


@dataclass
class ScoringConfig:
    """How rewards are computed, and what happens to a sample that gets no verdict."""

    deadline: float = number(10.0, above=0)  # seconds that a sample runs or sleeps
    # Seconds on the clock; None: 6 x deadline for a sample, 50 x for a reward of a whole batch.
    patience: float | None = number(None, above=0)
    processes: int | None = number(None, at_least=1)  # None: this rank's share of the cores
    on_failure: Literal["mask", "zero", "raise"] = "mask"
    # Share of a batch; above it: stop.
    max_failure_rate: float = number(0.5, alias="failure_limit", at_least=0, at_most=1)


@dataclass
class EndpointsConfig:
    """Servers with OpenAI's completions API that a model is sampled from, in place of loading it.

    `model` of the stage is then read for its tokenizer alone.
    """

    urls: list[str] = field(default_factory=list)  # such as http://node1:8000/v1
    model: str | None = None  # the name it is served by; None: the stage's model
    # What requests may say. vllm, and SGLang: all of sampling, and the end tokens; openai: no
    # top_k, min_p, repetition_penalty and stop_token_ids, which OpenAI's own servers refuse.
    api: Literal["vllm", "openai"] = "vllm"
    # Variable that holds the key.
    api_key_env: str = field(default="OPENAI_API_KEY", metadata={"alias": "key_variable"})
    concurrency: int = number(64, at_least=1)  # requests at once, per server
    timeout: float = number(600.0, alias="seconds", above=0)  # until a request is sent again
    # Seconds without a reply of any server after which the stage fails.
    patience: float = number(600.0, above=0)


POLICY = "policy"  # among a stage's servers: that of its own model


@dataclass
class ServeConfig:
    """A model that the stage's launcher serves by vLLM while the stage runs.

    The server `policy` has the stage's own model, or its models one after another.
    """

    model: Model | None = None  # a folder, a Hub id, or stage:<name>; of `policy` None
    tensor_parallel: int = number(1, at_least=1)  # GPUs of one replica
    replicas: int | None = number(None, at_least=1)  # on each node; None: as many as fit
    gpus: int | None = number(None, at_least=1)  # the last ones of each node; None: the rest
    nodes: int | None = number(None, at_least=1)  # whole ones, after those of launch.nodes
    command: list[str] = field(default_factory=lambda: ["vllm", "serve"])
    args: dict[str, Any] = field(default_factory=dict)  # of the command, by their long names
    ready: float = number(600.0, above=0)  # seconds until it answers; then the stage fails
    restarts: int = number(3, at_least=0)  # of a replica that has died; then the stage fails


@dataclass
class AdapterConfig:
    """A LoRA adapter (arXiv 2106.09685) that is trained in place of the whole model."""

    rank: int = number(16, at_least=1)
    alpha: float = number(32.0, above=0)
    dropout: float = number(0.0, at_least=0, below=1)
    # Names of linear layers; empty: all of them.
    target_modules: list[str] = field(default_factory=list, metadata={"alias": "layers"})
    # The frozen weights in 4 bits (QLoRA, arXiv 2305.14314), on a GPU; the merged model is whole.
    quantize: Literal["4bit"] | None = None


@dataclass
class LaunchConfig:
    """How a stage's worker is started.

    `how`: in one process here; in several here by accelerate; or in several on each of some nodes,
    by accelerate in a step of a Slurm job or in tasks of a Ray cluster.
    """

    how: Literal["local", "accelerate", "slurm", "ray"] = "local"
    nodes: int = number(1, at_least=1)
    processes: int = number(1, at_least=1)  # on each node
    gpu: bool = False  # of each process; the run's is the default of generation.vllm
    config: dict[str, Any] = field(default_factory=dict)  # accelerate's own configuration file
    environment: dict[str, str] = field(default_factory=dict)
    grace: float = number(60.0, at_least=0)  # seconds to leave in; then all processes are killed
    # Seconds without progress of any process after which a stage is hung; of a collective, too.
    timeout: float = number(600.0, above=0)
    setup: list[str] = field(default_factory=list)  # lines of shell before anything, on each node
    # Options of sbatch and srun by their long names; true gives one without a value, null none.
    sbatch: dict[str, Any] = field(default_factory=dict)
    srun: dict[str, Any] = field(default_factory=dict)
    requeues: int = number(3, at_least=0)  # how often a Slurm job that was ended early is continued
    address: str = "auto"  # of the Ray cluster
    resources: dict[str, Any] = field(default_factory=dict)  # Ray's, on each node

    @property
    def world(self) -> int:
        """Return the number of processes on all nodes."""
        return self.nodes * self.processes if self.how != "local" else 1


@dataclass
class HardwareConfig:
    """What an estimate assumes of a GPU, or of a machine without one; conf/hardware has some."""

    name: str = "a GPU"
    device: Literal["gpu", "cpu"] = "gpu"
    memory: float = number(80.0, above=0)  # GiB of one GPU; of a CPU's machine, for all processes
    tflops: float = number(989.0, above=0)  # dense, in bfloat16, as in the data sheet
    bandwidth: float = number(3350.0, above=0)  # GB/s of its memory
    # Share of `tflops` that training reaches, and of `bandwidth` that vLLM's decoding does.
    mfu: float = number(0.35, above=0, at_most=1)
    mbu: float = number(0.5, above=0, at_most=1)
    # Milliseconds of a layer for one token of all rows, at least: of r1trl's own decoding, where
    # Python starts each kernel, and of vLLM, which replays them.
    layer_ms: float = number(1.0, above=0)
    vllm_layer_ms: float = number(0.2, above=0)


@dataclass
class WatchdogConfig:
    """When a process that says nothing counts as dead or stopped."""

    # Seconds without a sign of life, which comes every 5 s. Of the driver: its workers leave.
    seconds: float = number(30.0, at_least=10)
