"""The guard `consensus`: more answers where the first ones differ."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from r1trl import Completion, Policy, RewardName


class Consensus:
    """Generate `first` completions, and up to `n` where their answers differ; keep the commonest.

    Self-consistency (arXiv 2203.11171) that pays for a vote only where there is something to vote
    on. `reward` extracts the answers; a completion without one differs from all others and gets no
    vote. Of equally common answers the first counts, and the first completion that gave it is
    returned; the very first one if none has an answer.
    """

    def __init__(self, *, reward: RewardName = "accuracy", first: int = 2, n: int = 8) -> None:
        if not 2 <= first <= n:
            raise ValueError(f"first={first} must be 2 or more and at most n={n}")
        self.reward, self.first, self.n = reward, first, n

    def generate(self, completions: Sequence[Completion], policy: Policy) -> list[Completion]:
        """Return a completion for each one given, with the cost of all that were generated."""
        groups: list[list[Completion]] = [[] for _ in completions]
        answers: list[list[str | None]] = [[] for _ in completions]
        asked = list(range(len(completions)))
        for count in (self.first, self.n - self.first):
            copies = [
                replace(completions[i], generated_tokens=0) for i in asked for _ in range(count)
            ]
            drawn = policy.generate(copies)
            extracted = policy.extract_answers(drawn, self.reward)
            for k, (completion, answer) in enumerate(zip(drawn, extracted, strict=True)):
                groups[asked[k // count]].append(completion)
                answers[asked[k // count]].append(answer)
            asked = [i for i in asked if answers[i][0] is None or len(set(answers[i])) > 1]
            if not asked or self.n == self.first:
                break
        return [
            _kept(group, given, before)
            for group, given, before in zip(groups, answers, completions, strict=True)
        ]


def _kept(
    group: Sequence[Completion], answers: Sequence[str | None], before: Completion
) -> Completion:
    """Return the first completion with the commonest answer, with the cost of the whole group."""
    given = Counter(answer for answer in answers if answer is not None)
    winner = answers.index(given.most_common(1)[0][0]) if given else 0
    spent = before.generated_tokens + sum(each.generated_tokens for each in group)
    return replace(group[winner], generated_tokens=spent)
