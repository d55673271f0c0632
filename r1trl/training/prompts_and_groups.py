"""Which prompts are rolled out next, and which groups of completions are trained on.

Samplers are asked on every process with the same arguments and answer the same. What they have
seen is in their `state_dict`, which is saved with the checkpoint.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from accelerate.utils import gather_object

from r1trl.errors import errors_named
from r1trl.types import Group

if TYPE_CHECKING:
    from datasets import Dataset

Output = dict[str, Any]
ROUNDS = 3
ANOTHER_ROUND = 1_000_003  # is added to the seed for the prompts that replace refused ones


class StageSamplers:
    """The samplers of a stage, put together."""

    def __init__(self, samplers: Mapping[str, Any], rows: "Dataset", seed: int, where: str) -> None:
        self.samplers, self.rows, self.seed, self.where = samplers, rows, seed, where
        self.gates = self._with("admit")
        self.rounds = max((getattr(g, "rounds", ROUNDS) for g in self.gates.values()), default=0)

    def _with(self, verb: str) -> dict[str, Any]:
        return {name: s for name, s in self.samplers.items() if hasattr(s, verb)}

    def prompts(self, count: int, step: int, replacing: int) -> list[int]:
        """Return the indices of the rows that come next; `replacing` counts the rounds before.

        The first sampler that chooses is asked; where none does, rows are drawn evenly.
        """
        seed = self.seed + ANOTHER_ROUND * replacing
        for name, sampler in self._with("choose").items():
            with errors_named(f"{self.where}.{name}"):
                return list(sampler.choose(self.rows, count, step, seed))
        return draw(self.rows, count, step, seed)

    def observe(self, groups: Sequence[Group]) -> None:
        """Tell every sampler that wants to know what the groups of all processes scored."""
        for name, sampler in self._with("observe").items():
            with errors_named(f"{self.where}.{name}"):
                sampler.observe(groups)

    def admits(self, group: Group) -> bool:
        """Tell whether every gate lets a group be trained on."""
        for name, gate in self.gates.items():
            with errors_named(f"{self.where}.{name}"):
                if not gate.admit(group):
                    return False
        return True

    def state_dict(self) -> dict[str, Any]:
        """Return what the samplers have seen."""
        return {name: s.state_dict() for name, s in self._with("state_dict").items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what the samplers had seen."""
        for name, own in state.items():
            self.samplers[name].load_state_dict(own)


def draw(rows: "Dataset", count: int, step: int, seed: int) -> list[int]:
    """Draw rows evenly, without one twice unless there are too few."""
    source, drawn = random.Random(f"{seed} {step}"), list[int]()
    while len(drawn) < count:
        drawn += source.sample(range(len(rows)), min(len(rows), count - len(drawn)))
    return drawn


def roll_out(trainer: Any, count: int, generate: Callable[[list[Any]], Output]) -> Output:
    """Return a rollout of `count` completions on this process, as TRL's generation gives it.

    Groups that a gate refuses are replaced by those of fresh prompts, for up to `rounds` rounds;
    then by repeating admitted ones, or where there is none by refused ones. Every process
    generates equally often.
    """
    sampling: StageSamplers = trainer.sampling
    size, step = trainer.num_generations, trainer.state.global_step
    wanted, processes = count // size, trainer.accelerator.num_processes
    parts: list[tuple[Output, list[int]]] = []
    kept, refused, generated, missing = 0, 0, 0, wanted
    for replacing in range(sampling.rounds + 1):
        chosen = sampling.prompts(missing * processes, step, replacing)
        own = chosen[trainer.accelerator.process_index * missing :][:missing]
        output = generate([sampling.rows[index] for index in own for _ in range(size)])
        groups = _groups(trainer, own, size)
        sampling.observe(gather_object(groups))
        good = [i for i, group in enumerate(groups) if sampling.admits(group)]
        refused, generated = refused + missing - len(good), generated + missing
        parts.append((output, good[: wanted - kept]))
        kept += len(parts[-1][1])
        missing = max(gather_object([wanted - kept]))
        if missing == 0:
            break
    if sampling.gates:
        _log(
            trainer, {"rounds": len(parts), "refused": refused / generated, "short": wanted - kept}
        )
    if len(parts) == 1 and kept == wanted:
        return output
    return _joined(trainer, _filled(parts, wanted - kept, wanted), size)


def _groups(trainer: Any, indices: Sequence[int], size: int) -> list[Group]:
    """Return the groups that were scored last on this process."""
    scores, ids = trainer.scores, trainer.batch["completion_ids"]
    spans = [slice(i * size, (i + 1) * size) for i in range(len(indices))]
    return [
        Group(
            index,
            scores.totals[span],
            {name: values[span] for name, values in scores.values.items()},
            [len(row) for row in ids[span]],
        )
        for index, span in zip(indices, spans, strict=True)
    ]


def _filled(
    parts: Sequence[tuple[Output, list[int]]], short: int, wanted: int
) -> list[tuple[Output, list[int]]]:
    """Return which groups of each part are trained on, as many as are wanted."""
    if not short:
        return list(parts)
    admitted = [(output, i) for output, good in parts for i in good]
    if not admitted:
        return [(parts[0][0], list(range(wanted)))]
    again = [admitted[i % len(admitted)] for i in range(short)]
    return [*parts, *((output, [i]) for output, i in again)]


def _joined(trainer: Any, parts: Sequence[tuple[Output, list[int]]], size: int) -> Output:
    """Put the chosen groups of several generations into one, padded alike."""
    used = [(output, _rows(good, size)) for output, good in parts if good]
    padding = trainer.processing_class.pad_token_id
    joined: Output = {}
    for key, first in used[0][0].items():
        if not isinstance(first, torch.Tensor) or first.dim() == 0:
            continue
        pieces = [output[key][rows.to(first.device)] for output, rows in used]
        fill = padding if key.endswith("_ids") else 0
        joined[key] = torch.cat(_padded(pieces, fill, left=key.startswith("prompt")))
    if "num_items_in_batch" in used[0][0]:
        tokens = joined["completion_mask"].sum()
        joined["num_items_in_batch"] = trainer.accelerator.gather(tokens).sum()
    return joined


def _rows(groups: Sequence[int], size: int) -> torch.Tensor:
    return torch.tensor([group * size + i for group in groups for i in range(size)])


def _padded(pieces: Sequence[torch.Tensor], fill: int, left: bool) -> list[torch.Tensor]:
    """Pad matrices to the width of the widest; what has one dimension stays."""
    if pieces[0].dim() == 1:
        return list(pieces)
    width = max(piece.shape[1] for piece in pieces)
    sides = [(width - p.shape[1], 0) if left else (0, width - p.shape[1]) for p in pieces]
    pairs = zip(pieces, sides, strict=True)
    return [torch.nn.functional.pad(piece, side, value=fill) for piece, side in pairs]


def _log(trainer: Any, metrics: Mapping[str, float]) -> None:
    """Log what the gates cost: rounds, the share of groups refused, groups that were missing."""
    for name, value in metrics.items():
        trainer._metrics["train"][f"sampling/groups/{name}"].append(float(value))
