"""One of several completions: the best by a reward, or one with the commonest answer."""

from collections import Counter
from collections.abc import Sequence

from r1trl import Completion, Policy, RewardName
from r1trl_search.candidates import at_least_one, copies, score_or_minus_inf, with_cost


class BestOfN:
    """Generate `n` completions and return the one with the highest `reward`.

    The first one if several are equally good. Name a reward that does not read the right answer,
    such as a trained reward model: with `accuracy` this measures pass@n.
    """

    def __init__(self, *, reward: RewardName, n: int = 8) -> None:
        self.reward, self.n = reward, at_least_one("n", n)

    def generate(self, completions: Sequence[Completion], policy: Policy) -> list[Completion]:
        """Return the best candidate for each completion."""
        candidates = policy.generate(copies(completions, self.n))
        scores = policy.score(candidates, self.reward)
        chosen = []
        for i, completion in enumerate(completions):
            group = range(i * self.n, (i + 1) * self.n)
            best = max(group, key=lambda j: score_or_minus_inf(scores[j]))
            cost = sum(candidates[j].generated_tokens for j in group)
            chosen.append(with_cost(candidates[best], completion, cost))
        return chosen


class MajorityVote:
    """Generate `n` completions and return the first one with the commonest answer.

    Self-consistency (arXiv 2203.11171). `reward` extracts the answers. Of equally common answers
    the one that occurs first is taken, and the first completion if none has an answer.
    """

    def __init__(self, *, reward: RewardName = "accuracy", n: int = 8) -> None:
        self.reward, self.n = reward, at_least_one("n", n)

    def generate(self, completions: Sequence[Completion], policy: Policy) -> list[Completion]:
        """Return a candidate with the commonest answer for each completion."""
        candidates = policy.generate(copies(completions, self.n))
        answers = policy.extract_answers(candidates, self.reward)
        chosen = []
        for i, completion in enumerate(completions):
            group = range(i * self.n, (i + 1) * self.n)
            winner = group[majority_index([answers[j] for j in group])]
            cost = sum(candidates[j].generated_tokens for j in group)
            chosen.append(with_cost(candidates[winner], completion, cost))
        return chosen


def majority_index(answers: Sequence[str | None]) -> int:
    """Return the index of the first occurrence of the commonest answer; 0 if all are None."""
    given = [answer for answer in answers if answer is not None]
    return answers.index(Counter(given).most_common(1)[0][0]) if given else 0
