"""What can be wrong with the servers of a stage, before it starts."""

import os
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

from r1trl.config.kinds import models_of
from r1trl.config.schema import StageConfig
from r1trl.config.stage_parts import POLICY, LaunchConfig, ServeConfig
from r1trl.errors import R1trlError, unknown
from r1trl.kind import Kind
from r1trl.serve.clients import PREFIX, named_servers
from r1trl.serve.layout import places
from r1trl.stage.devices import driver_gpus, runs_a_model, visible_gpus, wants_cpu

# Arguments of the command that r1trl gives, and the key that sets them, if one does.
OF_R1TRL = {"host": "", "port": "", "served-model-name": ""}
OF_R1TRL |= {"tensor-parallel-size": "tensor_parallel", "data-parallel-size": "replicas"}
HERE = ("local", "accelerate")


def serve_problems(stage: StageConfig, kind: Kind, launch: LaunchConfig) -> Iterator[str]:
    """Yield what is wrong with a stage's servers, and with what refers to them."""
    asked = named_servers([stage.rewards, stage.filters, *_filters(stage)])
    for name in sorted(asked - stage.serve.keys()):
        yield f"serve: {PREFIX}{name}: {unknown('server of this stage', name, stage.serve)}"
    for name, server in stage.serve.items():
        yield from (f"serve.{name}{line}" for line in _server(name, server, launch))
        if name == POLICY:
            yield from (f"serve.{POLICY}{line}" for line in _policy(stage, kind))
        elif server.model is None:
            yield f"serve.{name}.model: must be given: a folder, a Hub id or stage:<name>"
        elif name not in asked:
            yield f"serve.{name}: nobody asks it; a reward or a filter does with url={PREFIX}{name}"
    if launch.how in HERE and stage.serve:
        yield from _here(stage, launch)


def missing_programs(stage: StageConfig) -> list[str]:
    """Return the programs of a stage's servers that this machine does not have, by key."""
    return [
        f"serve.{name}.command: there is no program '{server.command[0]}' here; pip install "
        "'r1trl[vllm]', or name that of another environment: [/path/to/bin/vllm, serve]"
        for name, server in stage.serve.items()
        if server.command and shutil.which(server.command[0]) is None
    ]


def _filters(stage: StageConfig) -> list[Any]:
    sources = [*stage.data.values(), *stage.benchmarks.values()]
    return [source.filters for source in sources]


def _server(name: str, server: ServeConfig, launch: LaunchConfig) -> Iterator[str]:
    if not server.command:
        yield ".command: is empty; it starts the server, such as [vllm, serve]"
    if server.nodes and launch.how in HERE:
        yield f".nodes: how={launch.how} has this machine alone; give gpus, or launch=slurm or ray"
    if server.nodes and server.gpus:
        yield ".gpus: a server with nodes has all of their GPUs; leave one of them out"
    for argument in server.args:
        key = argument.lstrip("-").replace("_", "-")
        if key in OF_R1TRL:
            instead = f"; set serve.{name}.{OF_R1TRL[key]}" if OF_R1TRL[key] else ""
            yield f".args.{argument}: r1trl sets it{instead}"
        elif key != argument:
            yield f".args.{argument}: is called '{key}'"
    if server.gpus and server.gpus < server.tensor_parallel * (server.replicas or 1):
        yield (
            f".gpus: {server.gpus} are too few for replicas={server.replicas or 1} × "
            f"tensor_parallel={server.tensor_parallel}"
        )


def _policy(stage: StageConfig, kind: Kind) -> Iterator[str]:
    """Yield what is wrong with the server of the stage's own model."""
    if kind.draws != "rows":
        instead = "; set args.use_vllm" if "rollout" in kind.takes else ""
        yield f": a stage of kind {stage.kind} does not draw from a server{instead}"
    if stage.serve[POLICY].model is not None:
        yield ".model: it is the stage's own; leave it out"
    longest, room = stage.sampling.max_tokens, stage.serve[POLICY].args.get("max-model-len")
    if isinstance(room, int) and room <= longest:  # vLLM would cut completions, and say nothing
        needs = f"a prompt and sampling.max_tokens={longest}"
        yield f".args.max-model-len: {room} has no room for {needs}"
    changed: Mapping[str, Any] = {"": stage, **models_of(stage)}
    for name, one in changed.items():
        if one.max_position_embeddings is not None:
            at = f"models.{name}.max_position_embeddings" if name else "max_position_embeddings"
            yield f".args: {at} reaches no server; set hf-overrides here"


def _here(stage: StageConfig, launch: LaunchConfig) -> Iterator[str]:
    """Yield what does not fit on this machine, as its nodes would say."""
    environment = {**os.environ, **launch.environment}
    cpu = wants_cpu(environment) or stage.args.get("use_cpu")
    visible = [] if cpu else visible_gpus(environment, driver_gpus().number)
    try:
        places(stage.serve, visible, launch.processes if runs_a_model(stage) else 0, "serve")
    except R1trlError as error:
        yield str(error)
