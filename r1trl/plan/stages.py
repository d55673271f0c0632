"""What can be wrong with a stage, found before it starts; every problem carries its key."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

from r1trl.arguments.check import check_args, possible_args
from r1trl.config.schema import LaunchConfig, SourceConfig, StageConfig
from r1trl.errors import ConfigError, suggest
from r1trl.kind import OPTIONAL_KEYS, Kind
from r1trl.plan.choices import active, check_filters, check_offer, check_offers, check_rewards
from r1trl.plan.drawing import check_drawing, check_samplers
from r1trl.plan.sizes import check_batch, check_rollout
from r1trl.plugins.loading import Plugins

MISSING = {
    "model": "must be given: a folder, a Hub id or stage:<name>",
    "data": "must name at least one source",
    "benchmarks": "there are none, here or in the run's benchmarks",
}


@dataclass(frozen=True)
class StageCheck:
    """The checks of one stage by itself.

    `stage` has the run's launch and benchmarks filled in; `benchmarks` are the run's names.
    """

    name: str
    stage: StageConfig
    benchmarks: Iterable[str]
    plugins: Plugins

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
        read = [name for name in groups if name in (*self.kind.needs, *self.kind.takes, *read)]
        return {f"{group}.{n}": source for group in read for n, source in groups[group].items()}

    def problems(self) -> list[str]:
        """Return every problem of the stage; none if its kind is unknown, which is reported."""
        if self.stage.kind not in self.plugins.offers["kind"]:
            return []
        stage, key, plugins = self.stage, self.key, self.plugins
        problems = [
            f"{key}.{line}" for line in (*self._missing(), *self._unused(), *self._adapter())
        ]
        problems += [*self._choices(), *self._sources()]
        problems += check_rewards(key, stage, plugins)
        problems += self._filters(stage.filters, f"{key}.filters")
        problems += check_samplers(stage, key, plugins)
        problems += check_drawing(stage, key)
        problems += check_offers(plugins, "transition", stage.transitions, f"{key}.transitions")
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

    def _adapter(self) -> Iterator[str]:
        """Yield what is missing for an adapter to be trained."""
        stage = self.stage
        if stage.adapter is None or "adapter" not in self.kind.takes:
            return
        if find_spec("peft") is None:
            yield "adapter: needs the package peft: pip install 'r1trl[lora]'"
        if stage.args.get("sync_ref_model"):
            yield (
                "adapter: the reference is the model without it, and cannot be replaced by the "
                "policy; set args.sync_ref_model=false"
            )
        if "merge_adapter" not in active(stage.transitions):
            yield "adapter: the next stages need a whole model; add transitions.merge_adapter={}"

    def _choices(self) -> list[str]:
        policies = ("mask", "zero", "raise")
        problems = one_of(self.stage.scoring.on_failure, policies, f"{self.key}.scoring.on_failure")
        return problems + one_of(self.launch.how, ("local", "accelerate"), f"{self.key}.launch.how")

    def _sources(self) -> list[str]:
        problems = []
        for at, source in self.sources.items():
            key, name = f"{self.key}.{at}", at.partition(".")[2]
            if source.path and source.dataset:
                fix = f"set sources.{name}.dataset=null or sources.{name}.path=null"
                problems.append(f"{key}: has both a path and a dataset; {fix}")
            elif not source.path and not source.dataset:
                what = f"a source called '{name}' in sources"
                problems.append(f"{key}: needs either path or dataset, or {what}")
            elif source.dataset:
                problems += check_offer(
                    self.plugins,
                    "dataset",
                    source.dataset,
                    source.options,
                    f"{key}.options",
                    f"{key}.dataset",
                )
            problems += self._filters(source.filters, f"{key}.filters")
        return problems

    def _filters(self, filters: Mapping[str, Any], key: str) -> list[str]:
        return check_filters(self.plugins, filters, self.benchmarks, key)


def one_of(value: Any, choices: tuple[str, ...], key: str) -> list[str]:
    """Return why a value is none of the choices, or nothing."""
    if value in choices:
        return []
    hint = suggest(str(value), choices)
    return [f"{key}: '{value}' is not possible{hint}; choose one of: {', '.join(choices)}"]
