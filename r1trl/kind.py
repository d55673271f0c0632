"""What a kind of stage is, and what it works with.

A kind is data about a stage (its settings, what it needs and makes) and one function, `run`. The
function gets a `Work` and returns metrics; everything else, from loading rows to checkpoints and
the hand-over, is called through the work. Kinds import torch and TRL inside `run` only, because the
plan loads them on machines that have neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from r1trl.fields import Field

if TYPE_CHECKING:
    from datasets import Dataset


# Common keys of a stage that not every kind reads; a kind lists its own in `takes`.
OPTIONAL_KEYS = (
    *("rewards", "samplers", "variants", "endpoints", "adapter", "batch", "rollout", "sampling"),
    "evaluate",  # by a kind whose model answers prompts, in the form of a causal language model
)


@dataclass
class NoSettings:
    """The settings of a kind that has none of its own."""


def no_problems(stage: Any) -> Iterable[tuple[str, str]]:
    """Find nothing wrong with a stage."""
    return ()


def as_it_is(settings: Any) -> Any:
    """Return a stage's small settings unchanged."""
    return settings


def steps_or_epochs(stage: Any) -> str:
    """Return the length of a training stage in words; empty for a stage without `args`."""
    if not stage.args:
        return ""
    steps = stage.args.get("max_steps", -1)
    return f"{steps} steps" if steps > 0 else f"{stage.args.get('num_train_epochs', 3)} epochs"


class Work(Protocol):
    """What `Kind.run` works with. Every process of a stage has its own and makes the same calls.

    `stage` holds the stage's settings, typed: the common keys (`stage.model`, `stage.args`, …) and
    the kind's own. References among them are paths by now. `name` is the stage's, `key` is
    `stages.<name>`, for messages; `folder` is the stage's folder; `seed` is the stage's own;
    `is_main` is True on rank 0, which writes files.
    """

    stage: Any
    name: str
    key: str
    folder: Path
    seed: int
    is_main: bool

    def rows(self, sources: Mapping[str, Any] | None = None) -> Dataset:
        """Return the stage's rows: loaded, mapped, filtered and mixed; a collective.

        `sources` (default: `stage.data`) maps names to sources, such as some of `stage.benchmarks`,
        or to the value of a setting of the type `Rows`; the stage's filters apply to them too.
        Rows of a source with variants have the column `variant`, and their prompts as they are:
        `rendered` and `draw` ask them in that form.
        Raises StageError if the rows lack one of the kind's columns, or none is left.
        """
        ...

    def rendered(self, rows: Dataset, *, prefill: bool = False) -> Dataset:
        """Return rows with `prompt` as the text that the model reads, by template or chat template.

        A collective. `prefill`: append the stage's prefill to each prompt, for completions that are
        to come. Otherwise those that the rows have (`completion`, `chosen`, `rejected`; texts or
        messages) become texts that continue the prompt, their thinking opened once.
        """
        ...

    def tokenizer(self, model: str | None = None) -> Any:
        """Return the tokenizer of a model (default: `stage.model`), with a padding token."""
        ...

    def model(
        self,
        model: str | None = None,
        *,
        auto_class: str = "AutoModelForCausalLM",
        **options: Any,
    ) -> Any:
        """Load a model (default: `stage.model`) as training does: float32, the stage's attention.

        `auto_class` names a class of transformers; `options` go to its `from_pretrained`. Weights
        that the checkpoint lacks, such as a new head, are initialised by the stage's seed.
        """
        ...

    def arguments(self, config_class: Any, **fixed: Any) -> Any:
        """Return TRL's config for the stage: `stage.args`, then r1trl's own, then `fixed`.

        `batch`, if given, becomes accumulation steps. Raises StageError if it does not divide.
        """
        ...

    def adapter(self, task: str = "CAUSAL_LM") -> Any:
        """Return peft's LoraConfig if the stage trains an adapter, else None.

        `task` is peft's task type: SEQ_CLS of a model with a new head, which is trained whole.
        """
        ...

    def rollouts(self, trainer_class: Any, config_class: Any, **fixed: Any) -> Any:
        """Return a GRPO or RLOO trainer, or a subclass's, with the stage's rewards and samplers.

        `fixed` goes to the config, below batch sizes and reward weights. Raises StageError if
        `rollout` does not divide.
        """
        ...

    def train(self, trainer: Any) -> dict[str, float]:
        """Train, or continue; write metrics, checkpoints and the model; return the last metrics.

        A collective, once in a stage. Resumes from the newest whole checkpoint; saves and leaves on
        a signal; ends early if a transition gives a reason.
        """
        ...

    def draw(
        self,
        rows: Dataset,
        name: str = "model",
        *,
        model: Any = None,
        correct: str | None = None,
        variant: str | None = None,
        seed_offset: int = 0,
    ) -> Dataset | None:
        """Generate and score `sampling.n` completions for each row, in shards; a collective.

        `name` tells the shards of several calls apart; `model` is an entry of the stage's `models`,
        in place of its `model`, and stays loaded while calls name it; `correct` names the reward
        for `sampling.stop_after_correct`; `variant` is a key of the stage's `variants`: the rows
        are asked in that form; `seed_offset` is added to the stage's seed. Returns the rollouts on
        rank 0, None on the others.
        """
        ...

    def write_rows(self, parts: Sequence[Dataset | None]) -> None:
        """Write the dataset that the stage makes, rollouts.parquet, from parts; rank 0 writes.

        Closes the scoring processes. A None among the parts, as `draw` returns it, is left out.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of stage.

    `run` carries a stage out and returns its metrics, numbers by name; rank 0's count. `settings`
    is a dataclass of the stage's own keys; a field of the type `r1trl.Model` or `r1trl.Rows` is a
    reference. `makes` is what `run` must leave for later stages: model/ or rollouts.parquet.
    `draws` says when completions are generated: never, while training, or for rows. `trl_config`
    names TRL's config class, which `args` are checked against; None: no `args`. `fields` says for
    fields of that class what may be given, and what becomes of it; of others the types are checked,
    and what r1trl says of the fields that several of TRL's configs have.

    `needs` names common keys that must be given, `takes` the OPTIONAL_KEYS that it reads; the plan
    refuses others. A kind that needs `benchmarks` is run on those in place of `data`.
    `columns(stage)` returns the columns that its rows must have. `scores`: its metrics are
    `<model>/<benchmark>/<metric>` and feed the scoreboard. `problems(stage)` yields (key, sentence)
    for what is wrong with a stage; `size(stage)` says in a few words how much it does. Both get the
    stage's settings, with the run's launch and benchmarks filled in; for `problems`, `stage.args`
    are of the types of TRL's config, without those that are refused by themselves.
    `small(settings)` gets the settings that a rehearsal has made small, as nested mappings, and
    returns them with what of the kind's own must be small too.
    """

    run: Callable[[Any], Mapping[str, float]]
    settings: type[Any] = NoSettings
    makes: Literal["model", "dataset"] = "model"
    draws: Literal["nothing", "while training", "rows"] = "nothing"
    trl_config: str | None = None
    fields: Mapping[str, Field] = field(default_factory=dict)
    needs: Sequence[str] = ("model", "data")
    takes: Sequence[str] = ()
    columns: Callable[[Any], Sequence[str]] = lambda stage: ()
    scores: bool = False
    problems: Callable[[Any], Iterable[tuple[str, str]]] = no_problems
    size: Callable[[Any], str] = steps_or_epochs
    small: Callable[[dict[str, Any]], dict[str, Any]] = as_it_is
