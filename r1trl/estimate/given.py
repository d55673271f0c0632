"""What is estimated: a stage with the sizes of its models, and the machine that is assumed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from r1trl.arguments.source import defaults, fields
from r1trl.config.schema import StageConfig
from r1trl.config.stage_parts import POLICY, HardwareConfig, LaunchConfig, ServeConfig
from r1trl.kind import Kind
from r1trl.models.shape import Shape

GIB = 2**30
PROMPT = 512  # tokens of a prompt, or as many as a completion may have: no row is read
PAIR = {"chosen", "rejected"}  # columns of rows with two texts, which are passed together


@dataclass(frozen=True)
class Given:
    """A stage; `models` has the sizes of those that it trains or draws from, by name.

    `frozen` has the sizes of a teacher, `scorers` those of models in rewards. `rows` are those that
    the stage reads, None if that is not known. `hardware` None: a GPU without limits.
    """

    name: str
    stage: StageConfig
    kind: Kind
    models: Mapping[str, Shape]
    frozen: tuple[Shape, ...] = ()
    scorers: tuple[Shape, ...] = ()
    rows: int | None = None
    hardware: HardwareConfig | None = None

    @property
    def launch(self) -> LaunchConfig:
        """Return how the stage is launched."""
        assert self.stage.launch
        return self.stage.launch

    @property
    def server(self) -> ServeConfig | None:
        """Return the server of the stage's own model, if r1trl starts one."""
        return self.stage.serve.get(POLICY)

    @property
    def gpus(self) -> int:
        """Return how many GPUs, or processes on a CPU, have the stage's model."""
        if (server := self.server) is None:
            return self.launch.world
        own = server.gpus or (server.replicas or 0) * server.tensor_parallel
        beside = self.launch.processes if self.launch.how != "local" else 1
        return (server.nodes or self.launch.nodes) * (own or max(beside, server.tensor_parallel))

    @property
    def gpu(self) -> bool:
        """Return True if a GPU is assumed."""
        return self.hardware is None or self.hardware.device == "gpu"

    @property
    def trains(self) -> bool:
        """Return True if the stage has a trainer."""
        return self.kind.trl_config is not None

    @property
    def draws_in_training(self) -> bool:
        """Return True if completions are generated while the stage trains."""
        return self.kind.draws == "while training"

    @property
    def largest(self) -> Shape:
        """Return the sizes of the largest of the stage's models."""
        return max(self.models.values(), key=lambda shape: shape.parameters)

    @property
    def number_size(self) -> int:
        """Return the bytes of a number in the stage's `dtype`."""
        return 4 if self.stage.dtype == "float32" else 2

    def arg(self, name: str, default: Any = None) -> Any:
        """Return an argument of TRL's, as given or as TRL's default is."""
        own = self.stage.args.get(name)
        if own is not None or not self.kind.trl_config:
            return default if own is None else own
        value = defaults(self.kind.trl_config).get(name)
        return default if value is None else value

    @property
    def checkpointing(self) -> bool:
        """Return True if activations are computed again in the backward pass."""
        return bool(self.arg("gradient_checkpointing", True))

    @property
    def vllm(self) -> str:
        """Return where vLLM is, colocate or server; empty if it draws nothing."""
        return str(self.arg("vllm_mode", "colocate")) if self.arg("use_vllm") else ""

    @property
    def has_reference(self) -> bool:
        """Return True if a reference model has weights of its own."""
        config = self.kind.trl_config
        knows = config is not None and "sync_ref_model" in fields(config)
        return knows and self.arg("beta", 0.0) != 0.0 and self.stage.adapter is None

    @property
    def completion(self) -> int:
        """Return the most tokens of a completion that is drawn; 0 if none is."""
        if self.draws_in_training:
            return int(self.arg("max_completion_length", 256))
        return 0 if self.trains else self.stage.sampling.max_tokens

    @property
    def prompt(self) -> int:
        """Return the tokens of a prompt, as they are assumed."""
        return min(PROMPT, self.completion)

    @property
    def longest(self) -> int:
        """Return the most tokens of a row: the prompt's and the completion's."""
        return (
            self.prompt + self.completion if self.completion else int(self.arg("max_length", 1024))
        )

    @property
    def texts(self) -> int:
        """Return how many texts a row has that are passed."""
        return 2 if set(self.kind.columns(self.stage)) >= PAIR else 1

    @property
    def passed_at_once(self) -> int:
        """Return the most tokens of a micro-batch; a prompt of several completions counts once."""
        if "rollout" not in self.kind.takes:
            return self.micro_batch * self.texts * self.longest
        prompts = -(-self.micro_batch // int(self.arg("num_generations", 8)))
        return prompts * self.prompt + self.micro_batch * self.completion

    @property
    def micro_batch(self) -> int:
        """Return the rows of a process's micro-batch."""
        return int(self.arg("per_device_train_batch_size", 8))

    @property
    def update(self) -> int:
        """Return the rows of an update, over all processes."""
        if "rollout" in self.kind.takes:
            return self.stage.rollout.outputs // self.stage.rollout.minibatches
        own = self.micro_batch * self.launch.world * int(self.arg("gradient_accumulation_steps", 1))
        return self.stage.batch or own

    @property
    def drawn_at_once(self) -> int:
        """Return the completions of a rollout, or all of a stage that trains nothing.

        Over all processes; 0 if the rows are not known.
        """
        if not self.trains:
            return (self.rows or 0) * self.stage.sampling.n * len(self.models)
        return self.stage.rollout.outputs if "rollout" in self.kind.takes else self.update

    @property
    def accumulates(self) -> bool:
        """Return True if an update is of several micro-batches."""
        return self.update > self.micro_batch * self.launch.world
