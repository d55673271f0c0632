"""Beam search over steps of reasoning, guided by a reward."""

from collections.abc import Sequence
from dataclasses import dataclass

import r1trl
from r1trl import Completion, Policy, RewardName
from r1trl_search.candidates import at_least_one, copies, score_or_minus_inf, with_cost
from r1trl_search.steps import Steps, is_done


@dataclass(frozen=True)
class Beam:
    """A completion that is kept, its score, and whether it is at its end."""

    completion: Completion
    score: float
    done: bool


@r1trl.describe(aliases={"width": "beam_width", "ends": "step_ends", "tokens": "max_step_tokens"})
class BeamSearch:
    """Generate completions step by step and keep the `beam_width` best after every step.

    Each kept completion gets `branches` next steps. `reward` scores completions, finished or not: a
    process reward, or an outcome reward used as one (arXiv 2408.03314, section 5.2). A step ends
    with one of `step_ends`, or after `max_step_tokens` tokens. After `steps` steps at most, the
    completion with the highest score is generated to its end and returned.
    """

    def __init__(
        self,
        *,
        reward: RewardName,
        beam_width: int = 4,
        branches: int = 2,
        step_ends: list[str] = ["\n"],  # noqa: B006 - shown to users, never changed
        max_step_tokens: int | None = None,
        steps: int = 64,
    ) -> None:
        self.reward, self.beam_width = reward, at_least_one("beam_width", beam_width)
        self.branches = at_least_one("branches", branches)
        self.max_steps = at_least_one("steps", steps)
        self.steps = Steps(step_ends, max_step_tokens)

    def generate(self, completions: Sequence[Completion], policy: Policy) -> list[Completion]:
        """Return the best completion found for each one given, with the cost of the search."""
        beams = [[Beam(each, 0.0, False)] for each in copies(completions, 1)]
        costs = [0] * len(completions)
        for step in range(self.max_steps):
            active = [i for i, own in enumerate(beams) if not all(beam.done for beam in own)]
            if not active:
                break
            branches = self.beam_width * self.branches if step == 0 else self.branches
            self._expand(beams, active, costs, branches, policy)
        best = [max(own, key=lambda beam: beam.score).completion for own in beams]
        whole = policy.generate(best)
        return [
            with_cost(end, before, cost + end.generated_tokens - start.generated_tokens)
            for end, start, before, cost in zip(whole, best, completions, costs, strict=True)
        ]

    def _expand(
        self,
        beams: list[list[Beam]],
        active: list[int],
        costs: list[int],
        branches: int,
        policy: Policy,
    ) -> None:
        """Take one step in all active problems; update their beams and costs in place.

        One call generates and one call scores the steps of all problems.
        """
        parents = [
            (i, beam.completion)
            for i in active
            for beam in beams[i]
            if not beam.done
            for _ in range(branches)
        ]
        generated = self.steps.generate([parent for _, parent in parents], policy)
        scores = policy.score(generated, self.reward)
        candidates = {i: [beam for beam in beams[i] if beam.done] for i in active}
        for (i, before), after, score in zip(parents, generated, scores, strict=True):
            costs[i] += after.generated_tokens - before.generated_tokens
            candidates[i].append(Beam(after, score_or_minus_inf(score), is_done(before, after)))
        for i, own in candidates.items():
            distinct = {beam.completion.token_ids: beam for beam in own}
            ordered = sorted(distinct.values(), key=lambda beam: beam.score, reverse=True)
            beams[i] = ordered[: self.beam_width]
