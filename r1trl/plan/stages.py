"""What can be wrong with a stage, found before it starts; every problem carries its key."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from r1trl.config.arguments import CONFIG_OF, check_args
from r1trl.config.schema import REQUIRED, LaunchConfig, SourceConfig, StageConfig
from r1trl.errors import suggest, unknown
from r1trl.plan.choices import (
    active,
    check_filters,
    check_offer,
    check_offers,
    check_rewards,
    needing_groups,
)
from r1trl.plan.drawing import DRAWS, TRAINS_ON_ROLLOUTS, check_drawing, check_samplers
from r1trl.plugins.loading import Plugins
from r1trl.stage.files import STAGE_KINDS

ROLLS_OUT = (*TRAINS_ON_ROLLOUTS, *DRAWS)


@dataclass(frozen=True)
class StageCheck:
    """Everything about one stage that can be checked by itself."""

    name: str
    stage: StageConfig
    benchmarks: Mapping[str, SourceConfig]
    launch: LaunchConfig
    plugins: Plugins

    @property
    def where(self) -> str:
        """Return the key of the stage."""
        return f"stages.{self.name}"

    def problems(self) -> list[str]:
        """Return every problem of the stage."""
        stage, kind = self.stage, self.stage.kind
        if kind == REQUIRED:
            return []  # told already
        if kind not in STAGE_KINDS:
            return [f"{self.where}.kind: {unknown('kind', kind, STAGE_KINDS)}"]
        found = [f"{self.where}.{line}" for line in (*self._lacks(), *self._ignores())]
        found += [f"{self.where}.{line}" for line in self._adapter()]
        found += self._choices() + self._sources()
        found += check_rewards(self.where, stage, self.plugins)
        found += self._filters(stage.filters, f"{self.where}.filters")
        found += check_samplers(stage, self.where, self.plugins)
        found += check_drawing(stage, self.where)
        found += check_offers(
            self.plugins, "transition", stage.transitions, f"{self.where}.transitions"
        )
        if kind in CONFIG_OF:
            found += check_args(CONFIG_OF[kind], stage.args, f"{self.where}.args")
        if stage.batch is not None:
            found += [f"{self.where}.{line}" for line in self._batch(stage.batch)]
        if kind in TRAINS_ON_ROLLOUTS:
            found += [f"{self.where}.{line}" for line in self._rollout()]
        return found

    def _lacks(self) -> list[str]:
        """Say what the stage's kind needs and the stage has not."""
        stage, found = self.stage, []
        if stage.kind != "evaluate":
            if not stage.model:
                found.append("model: must be given: a folder, a Hub id or stage:<name>")
            if not stage.data:
                found.append("data: must name at least one source")
        else:
            if not stage.models:
                found.append("models: must name at least one model")
            if not self.benchmarks:
                found.append("benchmarks: there are none, here or in the run's benchmarks")
            if "correct" not in stage.measures:
                found.append("measures.correct: must name the reward of a right answer")
        if stage.kind in ROLLS_OUT and stage.kind != "sample" and not active(stage.rewards):
            found.append(f"rewards: a stage of kind {stage.kind} needs at least one")
        return found

    def _ignores(self) -> list[str]:
        """Say what the stage has and its kind would ignore."""
        stage, kind, found = self.stage, self.stage.kind, []
        if stage.rewards and kind not in ROLLS_OUT:
            trainer = CONFIG_OF[kind].replace("Config", "Trainer")
            found.append(f"rewards: {trainer} takes no rewards; {', '.join(ROLLS_OUT)} stages do")
        if stage.samplers and kind not in ROLLS_OUT:
            found.append(f"samplers: only {', '.join(ROLLS_OUT)} stages have samplers")
        if stage.endpoints and kind not in DRAWS:
            found.append(f"endpoints: only {', '.join(DRAWS)} stages draw from servers")
        if stage.args and kind not in CONFIG_OF:
            found.append(f"args: a stage of kind {kind} has no trainer; its settings are sampling")
        return found

    def _adapter(self) -> list[str]:
        """Say why no adapter can be trained, or what is missing for it."""
        stage, kinds = self.stage, ("sft", *TRAINS_ON_ROLLOUTS)
        if stage.adapter is None:
            return []
        if stage.kind not in kinds:
            return [f"adapter: only {', '.join(kinds)} stages train an adapter"]
        found = []
        if find_spec("peft") is None:
            found.append("adapter: needs the package peft: pip install 'r1trl[lora]'")
        if stage.args.get("sync_ref_model"):
            found.append(
                "adapter: the reference is the model without it, and cannot be replaced by the "
                "policy; set args.sync_ref_model=false"
            )
        if "merge_adapter" not in active(stage.transitions):
            found.append(
                "adapter: the next stages need a whole model; add transitions.merge_adapter={}"
            )
        return found

    def _choices(self) -> list[str]:
        stage, where = self.stage, self.where
        policies = ("mask", "zero", "raise")
        found = _one_of(stage.scoring.on_failure, policies, f"{where}.scoring.on_failure")
        found += _one_of(self.launch.how, ("local", "accelerate"), f"{where}.launch.how")
        if stage.kind == "reward_model":
            found += _one_of(stage.objective, ("pairwise", "pointwise"), f"{where}.objective")
            found += _one_of(stage.scored, ("summary", "response"), f"{where}.scored")
        return found

    def _sources(self) -> list[str]:
        evaluates, found = self.stage.kind == "evaluate", []
        group = "benchmarks" if evaluates else "data"
        sources = self.benchmarks if evaluates else self.stage.data
        for name, source in sources.items():
            where = f"{self.where}.{group}.{name}"
            if source.path and source.dataset:
                mend = f"set sources.{name}.dataset=null or sources.{name}.path=null"
                found.append(f"{where}: has both a path and a dataset; {mend}")
            elif not source.path and not source.dataset:
                what = f"a source called '{name}' in sources"
                found.append(f"{where}: needs either path or dataset, or {what}")
            elif source.dataset:
                key, place = f"{where}.options", f"{where}.dataset"
                found += check_offer(
                    self.plugins, "dataset", source.dataset, source.options, key, place
                )
            found += self._filters(source.filters, f"{where}.filters")
        return found

    def _filters(self, filters: Mapping[str, Any], where: str) -> list[str]:
        return check_filters(self.plugins, filters, self.benchmarks, where)

    def _batch(self, batch: int) -> list[str]:
        """Check that an update divides into micro-batches."""
        micro = _whole(self.stage.args, "per_device_train_batch_size", 8) * self.launch.processes
        if micro > 0 and batch % micro == 0:
            return []
        told = f"{batch} does not divide into micro-batches of {micro}"
        per = f"args.per_device_train_batch_size × {self.launch.processes} processes"
        return [f"batch: {told} ({per})"]

    def _rollout(self) -> list[str]:
        """Check that the numbers of a rollout divide."""
        rollout, args, found = self.stage.rollout, self.stage.args, []
        processes = self.launch.processes
        micro = _whole(args, "per_device_train_batch_size", 8) * processes
        group, save = _whole(args, "num_generations", 8), _whole(args, "save_steps", 0)
        numbers = {
            "rollout.outputs": rollout.outputs,
            "rollout.minibatches": rollout.minibatches,
            "args.num_generations": group,
            "args.per_device_train_batch_size × launch.processes": micro,
        }
        small = [f"{key}: {number} is less than 1" for key, number in numbers.items() if number < 1]
        if small:
            return small
        if rollout.outputs % (rollout.minibatches * micro):
            found.append(
                f"rollout.outputs: {rollout.outputs} in rollout.minibatches={rollout.minibatches} "
                f"updates does not divide into micro-batches of {micro} "
                f"(args.per_device_train_batch_size × {processes} processes)"
            )
        if rollout.outputs % group:
            told = f"is not a multiple of args.num_generations={group}"
            found.append(f"rollout.outputs: {rollout.outputs} {told}")
        if rollout.outputs % (processes * group):
            found += [
                f"rewards.{name}: compares the completions of a prompt, but rollout.outputs="
                f"{rollout.outputs} over {processes} processes does not divide into whole groups "
                f"of args.num_generations={group}"
                for name in needing_groups(self.stage.rewards, self.plugins)
            ]
        if save % rollout.minibatches:
            found.append(
                f"args.save_steps: {save} is not a multiple of rollout.minibatches="
                f"{rollout.minibatches}; a checkpoint within a rollout cannot be resumed exactly"
            )
        sampled = any(options is not None for options in self.stage.samplers.values())
        if sampled and _whole(args, "max_steps", -1) <= 0:
            found.append("args.max_steps: must be given where a sampler chooses the prompts")
        return found


def _whole(args: Mapping[str, Any], name: str, default: int) -> int:
    """Return a whole number among TRL's arguments; what is no number is reported elsewhere."""
    value = args.get(name)
    return value if isinstance(value, int) else default


def _one_of(value: Any, choices: tuple[str, ...], where: str) -> list[str]:
    if value in choices:
        return []
    hint = suggest(str(value), choices)
    return [f"{where}: '{value}' is not possible{hint}; choose one of: {', '.join(choices)}"]
