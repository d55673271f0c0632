"""Beam search over steps of reasoning, led by a reward."""

from collections.abc import Sequence
from dataclasses import dataclass

from r1trl import Completion, Policy, RewardName
from r1trl_search.candidates import at_least_one, copies, picked, worth
from r1trl_search.steps import Steps, is_done


@dataclass(frozen=True)
class Beam:
    """A draft that is kept, what it is worth, and whether it can go on."""

    draft: Completion
    score: float
    done: bool


class BeamSearch:
    """Write completions step by step and keep the `width` best after every step.

    Every kept one is continued in `branches` ways; `reward` says what a draft is worth, finished or
    not: a process reward, or an outcome reward used as one (arXiv 2408.03314, section 5.2). A step
    ends with one of `ends`, or after `tokens` tokens. The best finished one is returned, after
    `steps` steps at most, from when on what is not finished is written to its end.
    """

    def __init__(
        self,
        *,
        reward: RewardName,
        width: int = 4,
        branches: int = 2,
        ends: list[str] = ["\n"],  # noqa: B006 - shown to users, never changed
        tokens: int | None = None,
        steps: int = 64,
    ) -> None:
        self.reward, self.width = reward, at_least_one("width", width)
        self.branches, self.limit = at_least_one("branches", branches), at_least_one("steps", steps)
        self.steps = Steps(ends, tokens)

    def generate(self, drafts: Sequence[Completion], policy: Policy) -> list[Completion]:
        """Return the best completion that was found for each draft."""
        found = [[Beam(draft, 0.0, False)] for draft in copies(drafts, 1)]
        spent = [0] * len(drafts)
        for step in range(self.limit):
            going = [i for i, beams in enumerate(found) if not all(beam.done for beam in beams)]
            if not going:
                break
            branches = self.width * self.branches if step == 0 else self.branches
            self._advance(found, going, spent, branches, policy)
        best = [max(beams, key=lambda beam: beam.score).draft for beams in found]
        whole = policy.draw(best)
        return [
            picked(end, draft, cost + end.spent - begin.spent)
            for end, begin, draft, cost in zip(whole, best, drafts, spent, strict=True)
        ]

    def _advance(
        self,
        found: list[list[Beam]],
        going: list[int],
        spent: list[int],
        branches: int,
        policy: Policy,
    ) -> None:
        """Take one step in all problems that are not done; scores are asked for all at once."""
        open_ = [
            (i, b.draft) for i in going for b in found[i] if not b.done for _ in range(branches)
        ]
        drawn = self.steps.draw([draft for _, draft in open_], policy)
        scores = policy.score(drawn, self.reward)
        kept = {i: [beam for beam in found[i] if beam.done] for i in going}
        for (i, before), after, score in zip(open_, drawn, scores, strict=True):
            spent[i] += after.spent - before.spent
            kept[i].append(Beam(after, worth(score), is_done(before, after)))
        for i, beams in kept.items():
            different = {beam.draft.ids: beam for beam in beams}
            ordered = sorted(different.values(), key=lambda beam: beam.score, reverse=True)
            found[i] = ordered[: self.width]
