"""One of several completions: the best by a reward, or one with the commonest answer."""

from collections import Counter
from collections.abc import Sequence

from r1trl import Completion, Policy, RewardName
from r1trl_search.candidates import at_least_one, copies, groups, picked, worth


class BestOfN:
    """Draw `n` completions and return the one that `reward` says is best.

    Of equally good ones the first. Name a reward that does not know the right answer, such as a
    trained reward model: with `accuracy` this measures pass@n.
    """

    def __init__(self, *, reward: RewardName, n: int = 8) -> None:
        self.reward, self.n = reward, at_least_one("n", n)

    def generate(self, drafts: Sequence[Completion], policy: Policy) -> list[Completion]:
        """Return the best candidate for each draft."""
        drawn = policy.draw(copies(drafts, self.n))
        scores = policy.score(drawn, self.reward)
        found = []
        for i, draft in enumerate(drafts):
            span = range(i * self.n, (i + 1) * self.n)
            best = max(span, key=lambda j: worth(scores[j]))
            found.append(picked(drawn[best], draft, sum(drawn[j].spent for j in span)))
        return found


class MajorityVote:
    """Draw `n` completions and return the first one with the commonest answer.

    Self-consistency (arXiv 2203.11171). Answers are read as `reward` reads them; of equally common
    ones the one given first, and the first completion where none has an answer.
    """

    def __init__(self, *, reward: RewardName = "accuracy", n: int = 8) -> None:
        self.reward, self.n = reward, at_least_one("n", n)

    def generate(self, drafts: Sequence[Completion], policy: Policy) -> list[Completion]:
        """Return a candidate with the commonest answer for each draft."""
        drawn = policy.draw(copies(drafts, self.n))
        answers = groups(policy.answers(drawn, self.reward), self.n)
        return [
            picked(group[elected(votes)], draft, sum(one.spent for one in group))
            for draft, group, votes in zip(drafts, groups(drawn, self.n), answers, strict=True)
        ]


def elected(votes: Sequence[str | None]) -> int:
    """Return the place of the first vote for the commonest answer, or 0."""
    cast = [vote for vote in votes if vote is not None]
    return votes.index(Counter(cast).most_common(1)[0][0]) if cast else 0
