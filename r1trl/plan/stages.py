"""What can be wrong with a stage, found before it starts; every problem carries its key."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

from r1trl.arguments.check import check_args, possible_args
from r1trl.arguments.source import attention_implementations
from r1trl.config.checked import Composed
from r1trl.config.kinds import reads_benchmarks
from r1trl.config.schema import REQUIRED, SourceConfig, StageConfig
from r1trl.config.stage_parts import LaunchConfig
from r1trl.errors import ConfigError, suggest
from r1trl.kind import OPTIONAL_KEYS, Kind
from r1trl.plan.choices import active, check_filters, check_rewards
from r1trl.plan.drawing import check_drawing, check_evaluation, check_samplers, check_variants
from r1trl.plan.reach import unread
from r1trl.plan.sizes import check_batch, check_rollout, check_scoring, check_transitions
from r1trl.plan.sources import check_columns, check_source
from r1trl.plugins.loading import Plugins
from r1trl.serve.problems import serve_problems
from r1trl.stage.devices import has_gpu

MISSING = {
    "model": "must be given: a folder, a Hub id or stage:<name>",
    "data": "must name at least one source",
    "benchmarks": "there are none, here or in the run's benchmarks",
}


@dataclass(frozen=True)
class StageCheck:
    """The checks of one stage of a run; `stage` has the run's launch and benchmarks filled in."""

    name: str
    stage: StageConfig
    run: Composed

    @property
    def plugins(self) -> Plugins:
        """Return the plugins of the run."""
        return self.run.plugins

    @property
    def key(self) -> str:
        """Return the key of the stage."""
        return f"stages.{self.name}"

    @property
    def launch(self) -> LaunchConfig:
        """Return how the stage is launched."""
        assert self.stage.launch
        return self.stage.launch

    @property
    def kind(self) -> Kind:
        """Return the kind of the stage."""
        return self.plugins.kind(self.stage.kind)

    @property
    def sources(self) -> Mapping[str, SourceConfig]:
        """Return the sources that the stage's kind reads, by their keys."""
        groups = {"data": self.stage.data, "benchmarks": self.stage.benchmarks}
        read = ["data"] if "benchmarks" not in self.kind.needs else []
        read += ["benchmarks"] if reads_benchmarks(self.kind, self.stage) else []
        read = [name for name in groups if name in (*self.kind.needs, *self.kind.takes, *read)]
        return {f"{group}.{n}": source for group in read for n, source in groups[group].items()}

    def problems(self) -> list[str]:
        """Return every problem of the stage; none if its kind is unknown, which is reported."""
        if self.stage.kind not in self.plugins.offers["kind"]:
            return []
        stage, key, plugins, kind = self.stage, self.key, self.plugins, self.kind
        own = (*self._missing(), *self._unused(), *self._adapter(), *self._attention())
        config = self.run.config
        own += (*serve_problems(stage, kind, self.launch), *check_evaluation(stage, kind))
        own += (*check_scoring(stage), *unread(key, config.stages[self.name], kind, self.run))
        problems = [f"{key}.{line}" for line in own]
        problems += self._sources()
        names = [at.partition(".")[2] for at in self.sources]
        problems += check_rewards(key, stage, plugins, names, "benchmarks" in kind.needs)
        problems += check_filters(plugins, stage.filters, config.benchmarks, f"{key}.filters")
        problems += check_samplers(stage, key, plugins)
        problems += check_variants(stage.variants, f"{key}.variants", plugins)
        problems += check_drawing(stage, key, self.run.config.template)
        problems += check_transitions(stage, key, plugins)
        args, wrong = self._args()
        problems += wrong
        if stage.batch is not None and "batch" in self.kind.takes:
            problems += [f"{key}.{line}" for line in check_batch(stage, self.launch)]
        if "rollout" in self.kind.takes:
            problems += [f"{key}.{line}" for line in check_rollout(stage, self.launch, plugins)]
        return problems + self._of_kind(replace(stage, args=args))

    def _args(self) -> tuple[dict[str, Any], list[str]]:
        """Return TRL's arguments that are possible, converted, and what is wrong.

        That is with the others, or with the class that the kind names.
        """
        config, args, table = self.kind.trl_config, self.stage.args, self.kind.fields
        if not config:
            return {}, []
        try:
            problems = check_args(config, args, f"{self.key}.args", table)
            if args.get("ddp_backend") and self.launch.how == "local":
                needs = "a local stage is one process, without a backend; set launch.how=accelerate"
                problems.append(f"{self.key}.args.ddp_backend: {needs}")
            return possible_args(config, args, table), problems
        except ConfigError as error:
            offer = self.plugins.find("kind", self.stage.kind)
            label = f"plugin '{offer.plugin}': kind '{offer.name}': trl_config"
            return {}, [f"{self.key}.kind: {label}: {problem}" for problem in error.problems]

    def _of_kind(self, stage: StageConfig) -> list[str]:
        """Return the problems that the stage's kind finds; `stage.args` are possible ones."""
        try:
            return [f"{self.key}.{name}: {text}" for name, text in self.kind.problems(stage)]
        except Exception as error:  # noqa: BLE001 - whatever a kind raises is the reason
            failed = f"{type(error).__name__}: {error}"
            return [f"{self.key}: problems of kind '{self.stage.kind}' failed: {failed}"]

    def _missing(self) -> Iterator[str]:
        """Yield the keys that the stage's kind needs and the stage has not."""
        for name in self.kind.needs:
            value = getattr(self.stage, name)
            if not (active(value) if name == "rewards" else value):
                needs = f"a stage of kind {self.stage.kind} needs at least one"
                yield f"{name}: {MISSING.get(name, needs)}"

    def _unused(self) -> Iterator[str]:
        """Yield the keys that the stage sets and its kind ignores."""
        kind, plain = self.kind, StageConfig()
        subject = f"a stage of kind {self.stage.kind}"
        if kind.trl_config:
            subject = kind.trl_config.replace("Config", "Trainer")
        elif self.stage.args:
            instead = "; its settings are sampling" if kind.draws == "rows" else ""
            yield f"args: {subject} has no trainer{instead}"
        for name in (*OPTIONAL_KEYS, "model", "data"):
            value = getattr(self.stage, name)
            if value == getattr(plain, name) or name in (*kind.takes, *kind.needs):
                continue
            kinds = self.plugins.offers["kind"].items()
            users = [n for n, o in kinds if name in (*o.target.takes, *o.target.needs)]
            yield f"{name}: {subject} takes no {name}; {', '.join(users)} stages do"

    def _attention(self) -> Iterator[str]:
        """Yield why transformers has no such attention; a name with a / is a kernel on the Hub."""
        name, there = self.stage.attn_implementation, attention_implementations()
        if name is not None and name not in there and "/" not in name:
            close = f"'{name}' is not possible{suggest(name, there)}"
            yield f"attn_implementation: {close}; choose one of: {', '.join(there)}"

    def _adapter(self) -> Iterator[str]:
        """Yield what is missing for an adapter to be trained."""
        stage, adapter = self.stage, self.stage.adapter
        if adapter is None or "adapter" not in self.kind.takes:
            return
        if find_spec("peft") is None:
            yield "adapter: needs the package peft: pip install 'r1trl[lora]'"
        if stage.args.get("sync_ref_model"):
            yield (
                "adapter: the reference is the model without it, and cannot be replaced by the "
                "policy; set args.sync_ref_model=false"
            )
        if adapter.quantize and find_spec("bitsandbytes") is None:
            yield "adapter.quantize: needs the package bitsandbytes: pip install 'r1trl[qlora]'"
        environment = {**os.environ, **self.launch.environment}
        if adapter.quantize and not has_gpu(environment, stage.args):
            yield "adapter.quantize: 4 bits are for GPUs, and the stage is on a CPU; leave it out"

    def _sources(self) -> list[str]:
        """Return what is wrong with the sources; what is wrong in the run's has the run's key."""
        config, problems = self.run.config, list[str]()
        groups = {
            "data": ("sources", config.sources),
            "benchmarks": ("benchmarks", config.benchmarks),
        }
        for at, source in self.sources.items():
            group, _, name = at.partition(".")
            run_key, shared = groups[group]
            others = [other for other in shared if other != name]
            of_run = self._source(shared[name], name, others, group) if name in shared else []
            for line in self._source(source, name, others, group):
                key = f"{run_key}.{name}" if line in of_run else f"{self.key}.{at}"
                problems.append(f"{key}{line}")
        return problems

    def _source(
        self, source: SourceConfig, name: str, others: Iterable[str], group: str
    ) -> list[str]:
        problems = check_source(source, name, others, self.run.config.benchmarks, self.plugins)
        whole = REQUIRED not in vars(self.stage).values()  # else the kind cannot say
        held_out = group == "benchmarks" and "benchmarks" not in self.kind.needs
        needed = ("prompt",) if held_out else self.kind.columns(self.stage) if whole else ()
        return problems or check_columns(source, needed)
