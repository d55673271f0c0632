"""Training with TRL alone: its trainers on the rows and arguments of `one_step`, without r1trl."""

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from one_step import ARGS, OWN_ARGS, ROWS, VARIED, OneStep

Weights = Mapping[str, Any]
COLUMNS = {
    "sft": ("prompt", "completion"),
    "pairwise": ("chosen", "rejected"),
    "dpo": ("prompt", "chosen", "rejected"),
}
CONFIGS = {
    "grpo": "GRPO",
    "rloo": "RLOO",
    "sft": "SFT",
    "pairwise": "Reward",
    "dpo": "DPO",
    "distillation": "Distillation",
}
OUTPUTS = 4  # completions in a rollout of one_step


@dataclass
class Bare:
    """Trainings like those of a stage of `one_step`; each set of arguments is trained once."""

    stage: OneStep
    done: dict[str, Weights] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return the name of the kind in `one_step`."""
        return self.stage.name

    def weights(self, args: Mapping[str, Any]) -> Weights:
        """Return the weights after a training with these arguments."""
        key = str(sorted(args.items()))
        if key not in self.done:
            self.done[key] = self._train(args)
        return self.done[key]

    def _train(self, args: Mapping[str, Any]) -> Weights:
        import trl
        from transformers import AutoTokenizer

        given = {**ARGS, **OWN_ARGS.get(self.name, {}), **args}
        fixed = {
            "output_dir": str(self.stage.folder / "bare"),
            "report_to": "none",
            "seed": 1,
            "bf16": False,
            "model_init_kwargs": {"dtype": "float32"},
        }
        if self.name in ("grpo", "rloo"):
            steps = OUTPUTS // given["per_device_train_batch_size"]
            fixed |= {"generation_batch_size": OUTPUTS, "gradient_accumulation_steps": steps}
        if self.name == "distillation":
            fixed["shuffle_dataset"] = False
        config = getattr(trl, f"{CONFIGS[self.name]}Config")
        trainer_class = getattr(trl, f"{CONFIGS[self.name]}Trainer")
        if self.name in ("grpo", "rloo"):
            trainer_class = type(trainer_class.__name__, (LongestFirst, trainer_class), {})
        trainer = trainer_class(
            model=str(self.stage.model),
            args=config(**{"use_cpu": True, **given, **fixed}),
            train_dataset=self.rows(),
            processing_class=AutoTokenizer.from_pretrained(self.stage.model),
            **self._more(),
        )
        with drawn_by_inverse_cdf():
            trainer.train()
        return {name: part.clone() for name, part in trainer.model.state_dict().items()}

    def rows(self) -> Any:
        """Return the rows as TRL takes them; a reward model reads the prompt with the response."""
        from datasets import Dataset

        rows = Dataset.from_list(ROWS)
        if self.name == "pairwise":
            rows = rows.map(lambda row: {c: row["prompt"] + row[c] for c in COLUMNS["pairwise"]})
        if self.name == "distillation":
            rows = rows.shuffle(seed=1)  # as the stage does: the sampler's order is not resumable
        return rows.select_columns(list(COLUMNS.get(self.name, ("prompt",))))

    def _more(self) -> dict[str, Any]:
        if self.name in ("grpo", "rloo"):
            return {"reward_funcs": [varied()]}
        if self.name == "distillation":
            self.stage.make_teacher()
            return {"teacher_model": str(self.stage.folder / "teacher")}
        return {}


class LongestFirst:
    """Before TRL's trainers: completions are drawn in the order in which r1trl draws them."""

    def _generate_single_turn(self, prompts: Any, *more: Any) -> Any:
        order = sorted(range(len(prompts)), key=lambda i: (-len(prompts[i]), prompts[i]))
        turn = super()._generate_single_turn([prompts[i] for i in order], *more)  # type: ignore
        ids, *logps = turn if isinstance(turn, tuple) else (turn,)
        back = [ids[order.index(i)] for i in range(len(ids))]
        return (back, *logps) if logps else back


@contextmanager
def drawn_by_inverse_cdf() -> Iterator[None]:
    """Draw tokens from the same random numbers as r1trl: by torch.rand, not torch.multinomial."""
    import torch

    def draw(probabilities: Any, num_samples: int) -> Any:
        assert num_samples == 1
        cdf = probabilities.double().cumsum(-1)
        draws = torch.rand(len(cdf), 1, dtype=torch.double)
        return torch.searchsorted(cdf, draws * cdf[:, -1:], right=True)

    multinomial, torch.multinomial = torch.multinomial, draw
    try:
        yield
    finally:
        torch.multinomial = multinomial


@functools.cache
def varied() -> Any:
    """Return the reward of `one_step`."""
    space: dict[str, Any] = {}
    exec(VARIED, space)
    return space["varied"]
