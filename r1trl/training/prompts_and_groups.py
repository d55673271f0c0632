"""Which prompts are rolled out next, and which groups of completions are trained on.

Samplers are called on every process with equal arguments and return equal answers; their
`state_dict` is saved with the checkpoint.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from accelerate.utils import gather_object

from r1trl.errors import errors_named
from r1trl.packing.tokens import pad_to_widest
from r1trl.plugins.loading import Plugins
from r1trl.process.terminal import say
from r1trl.samplers import admission, chosen_rows, plain_state, rounds_of
from r1trl.stage.ranks import is_main
from r1trl.types import Group

if TYPE_CHECKING:
    from datasets import Dataset

Output = dict[str, Any]
ROUND_SEED = 1_000_003  # added to the seed in each round of replacements


class Part(NamedTuple):
    """The output of one rollout, and the numbers of its groups that are trained on."""

    output: Output
    groups: list[int]


class StageSamplers:
    """The samplers of a stage, put together; `key` is the config key of the samplers.

    Raises StageError, in every method, with the key of a sampler that fails, or that returns what
    it may not.
    """

    def __init__(self, samplers: Mapping[str, Any], rows: "Dataset", seed: int, key: str) -> None:
        self.samplers, self.rows, self.seed, self.key = samplers, rows, seed, key
        self.gates, self.observed = self._with("admit"), False
        self.rounds = max(
            (rounds_of(gate, f"{key}.{n}") for n, gate in self.gates.items()), default=0
        )

    def _with(self, method: str) -> dict[str, Any]:
        return {name: s for name, s in self.samplers.items() if hasattr(s, method)}

    def choose(self, count: int, step: int, replacing: int) -> list[int]:
        """Return `count` indices of the rows to roll out next; `replacing` counts earlier rounds.

        The first sampler with `choose` decides; without one, rows are drawn evenly.
        """
        seed = self.seed + ROUND_SEED * replacing
        for name, sampler in self._with("choose").items():
            with errors_named(f"{self.key}.{name}"):
                chosen = sampler.choose(self.rows, count, step, seed)
                return chosen_rows(chosen, count, len(self.rows))
        return draw_evenly(len(self.rows), count, step, seed)

    def observe(self, groups: Sequence[Group]) -> None:
        """Pass the scored groups of all processes to every sampler with `observe`."""
        for name, sampler in self._with("observe").items():
            with errors_named(f"{self.key}.{name}"):
                sampler.observe(groups)
        if not self.observed:
            self.state_dict()  # what cannot be saved is found after the first rollout
        self.observed = True

    def admits(self, group: Group) -> bool:
        """Return True if every sampler with `admit` lets a group be trained on."""
        for name, gate in self.gates.items():
            with errors_named(f"{self.key}.{name}"):
                if not admission(gate.admit(group)):
                    return False
        return True

    def state_dict(self) -> dict[str, Any]:
        """Return the states of the samplers by name: plain data."""
        states = {}
        for name, sampler in self._with("state_dict").items():
            with errors_named(f"{self.key}.{name}"):
                states[name] = plain_state(sampler.state_dict())
        return states

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load what `state_dict` returned; a sampler that was not there then begins anew."""
        stateful = self._with("load_state_dict")
        for name in sorted(stateful.keys() ^ state.keys()) if is_main() else ():
            say(f"{self.key}.{name}: differs from the checkpoint, and begins anew")
        for name in stateful.keys() & state.keys():
            with errors_named(f"{self.key}.{name}"):
                stateful[name].load_state_dict(state[name])


def bind_samplers(samplers: Mapping[str, Any], plugins: Plugins, key: str) -> dict[str, Any]:
    """Return the samplers of a stage with their options bound; `key` is their key."""
    bound = {}
    for name, options in samplers.items():
        if options is not None:
            with errors_named(f"{key}.{name}"):
                bound[name] = plugins.find("sampler", name).bind(options)
    return bound


def draw_evenly(rows: int, count: int, step: int, seed: int) -> list[int]:
    """Return `count` of `rows` indices at random, none twice unless there are too few."""
    generator, indices = random.Random(f"{seed} {step}"), list[int]()
    while len(indices) < count:
        indices += generator.sample(range(rows), min(rows, count - len(indices)))
    return indices


def refill_groups(trainer: Any, count: int, roll_out: Callable[[list[Any]], Output]) -> Output:
    """Return a rollout of `count` completions on this process, in the form of TRL's generation.

    `roll_out` generates and scores completions for rows, and leaves them in `trainer.rollout`.
    Groups that a sampler refuses are replaced by those of fresh prompts, for up to `rounds` rounds;
    then by repeated admitted ones, or by refused ones if there are none. Every process calls
    `roll_out` equally often: a collective.
    """
    samplers: StageSamplers = trainer.samplers
    size, step = trainer.num_generations, trainer.state.global_step
    wanted, processes = count // size, trainer.accelerator.num_processes
    parts: list[Part] = []
    kept, refused, generated, missing = 0, 0, 0, wanted
    for replacing in range(samplers.rounds + 1):
        chosen = samplers.choose(missing * processes, step, replacing)
        own = chosen[trainer.accelerator.process_index * missing :][:missing]
        output = roll_out([samplers.rows[index] for index in own for _ in range(size)])
        groups = _groups(trainer.rollout, own, size)
        samplers.observe(gather_object(groups))
        admitted = [i for i, group in enumerate(groups) if samplers.admits(group)]
        refused, generated = refused + missing - len(admitted), generated + missing
        parts.append(Part(output, admitted[: wanted - kept]))
        kept += len(parts[-1].groups)
        missing = max(gather_object([wanted - kept]))
        if missing == 0:
            break
    if samplers.gates:
        share = refused / generated
        _log(trainer, {"rounds": len(parts), "refused": share, "missing": wanted - kept})
    if len(parts) == 1 and missing == 0:  # in all processes alike
        return output
    return _joined(trainer, _filled(parts, wanted - kept, wanted), size)


def _groups(rollout: Any, indices: Sequence[int], size: int) -> list[Group]:
    """Return the scored groups of a rollout of this process; `indices` are their prompts' rows."""
    scores, ids = rollout.scores, rollout.columns["completion_ids"]
    slices = [slice(i * size, (i + 1) * size) for i in range(len(indices))]
    return [
        Group(
            index,
            scores.totals[rows],
            {name: values[rows] for name, values in scores.values.items()},
            [len(row) for row in ids[rows]],
        )
        for index, rows in zip(indices, slices, strict=True)
    ]


def _filled(parts: Sequence[Part], missing: int, wanted: int) -> list[Part]:
    """Return which groups of each part are trained on, `wanted` in all."""
    if not missing:
        return list(parts)
    admitted = [Part(output, [i]) for output, groups in parts for i in groups]
    if not admitted:
        return [Part(parts[0].output, list(range(wanted)))]
    return [*parts, *(admitted[i % len(admitted)] for i in range(missing))]


def _joined(trainer: Any, parts: Sequence[Part], size: int) -> Output:
    """Return the chosen groups of several rollouts as one: prompts padded left, others right."""
    used = [(output, _rows(groups, size)) for output, groups in parts if groups]
    padding, joined = trainer.processing_class.pad_token_id, dict[str, Any]()
    for key, first in used[0][0].items():
        if not isinstance(first, torch.Tensor) or first.dim() == 0:
            continue
        pieces = [output[key][rows.to(first.device)] for output, rows in used]
        fill, left = padding if key.endswith("_ids") else 0, key.startswith("prompt")
        joined[key] = torch.cat(pad_to_widest(pieces, fill, left=left))
    if "num_items_in_batch" in used[0][0]:
        tokens = joined["completion_mask"].sum()
        joined["num_items_in_batch"] = trainer.accelerator.gather(tokens).sum()
    return joined


def _rows(groups: Sequence[int], size: int) -> torch.Tensor:
    return torch.tensor([group * size + i for group in groups for i in range(size)])


def _log(trainer: Any, metrics: Mapping[str, float]) -> None:
    """Log rounds, the share of groups refused, and groups that were missing at the end."""
    for name, value in metrics.items():
        trainer._metrics["train"][f"sampling/groups/{name}"].append(float(value))
