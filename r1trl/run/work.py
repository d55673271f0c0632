"""What a kind works with, in the worker: rows, models, trainers, rollouts. See `r1trl.Work`."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1trl.config.kinds import EvaluatedModel
from r1trl.config.schema import SourceConfig, StageConfig
from r1trl.data.checks import refuse_taken_names
from r1trl.data.filters import OnEmpty
from r1trl.data.prompts import need_columns, render_for, variation_of
from r1trl.data.rows import load_stage_rows
from r1trl.errors import Interrupted, StageError, errors_named
from r1trl.evaluation.of_stage import evaluations
from r1trl.files.once import made_once
from r1trl.kind import Kind
from r1trl.plugins.loading import Plugins
from r1trl.process.terminal import say
from r1trl.rewards.scorer import Scorer, make_scorer
from r1trl.run.drawing import KeptGenerator, row_generator, write_rollouts
from r1trl.run.readable import check_context, refuse_rows, stage_tokenizer, vllm_arguments
from r1trl.run.transitions import StageTransitions
from r1trl.stage.ranks import is_main
from r1trl.tracking.tracking import Tracking
from r1trl.types import Rows

if TYPE_CHECKING:
    from datasets import Dataset

    from r1trl.generation.answers import RowGenerator


@dataclass
class StageWork:
    """The work of one stage; implements `r1trl.Work`, which documents the methods."""

    stage: StageConfig
    name: str
    kind: Kind
    folder: Path
    run_seed: int
    seed: int
    plugins: Plugins
    tracking: Tracking
    transitions: StageTransitions
    identity: Mapping[str, Any] = field(default_factory=dict)  # of the stage's result
    on_empty: OnEmpty | None = None  # called if filters leave no row; None: the stage fails
    _trained: bool = False
    _prompts: "Dataset | None" = None  # as rendered
    _kept: KeptGenerator = field(default_factory=KeptGenerator)

    @property
    def key(self) -> str:
        """Return the key of the stage."""
        return f"stages.{self.name}"

    @property
    def is_main(self) -> bool:
        """Return True on rank 0."""
        return is_main()

    @functools.cached_property
    def scorer(self) -> Scorer:
        """Return the scorer of the stage's rewards."""
        return make_scorer(self.stage.rewards, self.stage.scoring, self.plugins, self.key)

    def rows(self, sources: Mapping[str, SourceConfig | str] | None = None) -> "Dataset":
        """Return the stage's rows; those of other `sources` have a folder of their own in data/."""
        if self.kind.draws == "rows":
            self.scorer.warm()  # its processes start while the rows are loaded
        chosen: Mapping[str, Any] = self.stage.data if sources is None else sources
        named = sources is not None and sources.keys() <= self.stage.benchmarks.keys()
        group, needed = "benchmarks" if named else "data", self.kind.columns(self.stage)
        folder = self.folder / "data" / ("-".join(sources or ()))
        rows = load_stage_rows(
            {n: SourceConfig(path=Rows(s)) if isinstance(s, str) else s for n, s in chosen.items()},
            *(self.stage.filters, self.plugins, self.run_seed, self.key, folder),
            *(group, self.on_empty, needed, self.seed),
        )
        need_columns(rows, needed, f"{self.key}.{group}")
        refuse_taken_names(rows.column_names, self.stage, f"{self.key}.{group}")
        if self.kind.trl_config and self.stage.model:
            refuse_rows(rows, self.tokenizer(), self.stage.model, f"{self.key}.{group}")
        return rows

    def rendered(self, rows: "Dataset", *, prefill: bool = False) -> "Dataset":
        """Return rows with `prompt` as the text that the model reads; a collective."""
        tokenizer = self.tokenizer()

        def made() -> "Dataset":
            with errors_named(f"{self.key}.template"):
                asked = variation_of(self.stage, None, self.plugins, self.key, self.seed)
                answered = not prefill
                return render_for(self.stage, rows, tokenizer, answered=answered, variation=asked)

        self._prompts = texts = made_once("rendered", made, self.folder / "data")
        if self.kind.draws == "while training":
            check_context(texts, tokenizer, self.stage, self.kind, self.key)
        return texts

    def tokenizer(self, model: str | None = None) -> Any:
        """Return the tokenizer of a model."""
        return self._tokenizer if model is None else stage_tokenizer(self.stage, self.key, model)

    @functools.cached_property
    def _tokenizer(self) -> Any:
        return stage_tokenizer(self.stage, self.key, self._own_model())

    def _own_model(self) -> str:
        if self.stage.model is None:
            kind = self.stage.kind
            raise StageError(f"{self.key}.model: must be given, as kind '{kind}' uses it")
        return self.stage.model

    def model(
        self,
        model: str | None = None,
        *,
        auto_class: str = "AutoModelForCausalLM",
        **options: Any,
    ) -> Any:
        """Load a model as training does."""
        from r1trl.training.arguments import load_model, model_options

        options = {**model_options(self.stage), **options}
        with errors_named(self.key):
            return load_model(model or self._own_model(), auto_class, self.seed, options)

    def arguments(self, config_class: Any, **fixed: Any) -> Any:
        """Return TRL's config for the stage."""
        from r1trl.training.arguments import batch_arguments, refuse_dtype, trl_arguments

        refuse_dtype(self.stage, self.key)
        if "batch" in self.kind.takes:
            fixed = batch_arguments(self.stage, self.key) | fixed
        if self.stage.args.get("use_vllm"):
            own = self.stage, self.kind, self.tokenizer(), self._prompts, self.key
            fixed = vllm_arguments(*own) | fixed
        return config_class(**trl_arguments(self.stage, self.folder, self.seed, fixed))

    def adapter(self, task: str = "CAUSAL_LM") -> Any:
        """Return peft's LoraConfig, or None."""
        from r1trl.training.arguments import lora_config

        return lora_config(self.stage, self.key, task)

    def rollouts(self, trainer_class: Any, config_class: Any, **fixed: Any) -> Any:
        """Return a trainer with the stage's rewards and samplers."""
        from r1trl.run.rollout_trainer import rollout_trainer

        return rollout_trainer(self, trainer_class, config_class, fixed)

    def train(self, trainer: Any) -> dict[str, float]:
        """Train, or continue; raise Interrupted if a signal ends it."""
        from r1trl.training.trainer import train

        if self._trained:
            raise StageError(f"{self.key}: trains twice; a kind trains once in a stage")
        self._trained = True
        own = self.folder, self.tracking, self.key, self.transitions, (self.identity,)
        with evaluations(self) as evaluate:
            outcome = train(trainer, *own, evaluate)
        if outcome.signal:
            raise Interrupted(outcome.signal)
        if outcome.reason:
            say(f"ended early: {outcome.reason}")
        return outcome.metrics

    def draw(
        self,
        rows: "Dataset",
        name: str = "model",
        *,
        model: EvaluatedModel | None = None,
        correct: str | None = None,
        variant: str | None = None,
        seed_offset: int = 0,
    ) -> "Dataset | None":
        """Generate and score completions for rows."""
        from r1trl.generation.shards import generate_shards

        seed = self.seed + seed_offset
        generator = self._kept.get(self.stage, model, correct, self.generator)
        variation = variation_of(self.stage, variant, self.plugins, self.key, self.seed)
        return generate_shards(generator, rows, self.folder, name, seed, self.identity, variation)

    def generator(self, stage: StageConfig, correct: str | None) -> "RowGenerator":
        """Return what generates completions with a model of the stage."""
        return row_generator(stage, self.scorer, self.plugins, self.key, self.folder, correct)

    def write_rows(self, parts: "Sequence[Dataset | None]") -> None:
        """Write rollouts.parquet, whole or not at all; close the scoring processes."""
        self._kept.forget()
        self.scorer.close(self.folder if self.is_main else None)
        write_rollouts(self.folder, parts if self.is_main else ())
