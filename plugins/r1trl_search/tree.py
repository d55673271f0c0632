"""Monte Carlo tree search over steps of reasoning."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import r1trl
from r1trl import Completion, Policy, RewardName
from r1trl_search.candidates import at_least_one, copies, score_or_minus_inf, with_cost
from r1trl_search.steps import Steps, is_done


@dataclass
class Node:
    """A completion in the tree, with the number and the sum of the values of its rollouts."""

    completion: Completion
    parent: "Node | None" = None
    done: bool = False
    visits: int = 0
    total: float = 0.0
    children: list["Node"] = field(default_factory=list)

    def upper_bound(self, exploration: float) -> float:
        """Return the upper confidence bound of the mean (UCT, Kocsis and Szepesvári 2006).

        Infinite if the node has no visits. The root has none: it has no parent.
        """
        if not self.visits:
            return math.inf
        assert self.parent
        bonus = math.sqrt(math.log(self.parent.visits) / self.visits)
        return self.total / self.visits + exploration * bonus

    def select_leaf(self, exploration: float) -> "Node":
        """Return the leaf at the end of the path of highest upper bounds."""
        node = self
        while node.children:
            node = max(node.children, key=lambda child: child.upper_bound(exploration))
        return node

    def backpropagate(self, value: float) -> None:
        """Add a rollout's value to this node and to all nodes above it."""
        node: Node | None = self
        while node:
            node.visits, node.total = node.visits + 1, node.total + value
            node = node.parent


@r1trl.describe(aliases={"ends": "step_ends", "tokens": "max_step_tokens"})
class TreeSearch:
    """Search the tree of reasoning steps with `rollouts` completions and return the best.

    Each round selects a leaf by UCT with the constant `exploration`, adds `branches` next steps to
    it, generates one of them to its end, and scores that with `reward`, which should be between 0
    and 1. A step ends with one of `step_ends`, or after `max_step_tokens` tokens. The method that
    DeepSeek-R1's authors tried (arXiv 2501.12948v1, section 4.2).
    """

    def __init__(
        self,
        *,
        reward: RewardName,
        rollouts: int = 8,
        branches: int = 2,
        exploration: float = 1.0,
        step_ends: list[str] = ["\n"],  # noqa: B006 - shown to users, never changed
        max_step_tokens: int | None = None,
    ) -> None:
        self.reward, self.exploration = reward, exploration
        self.rollouts = at_least_one("rollouts", rollouts)
        self.branches = at_least_one("branches", branches)
        self.steps = Steps(step_ends, max_step_tokens)

    def generate(self, completions: Sequence[Completion], policy: Policy) -> list[Completion]:
        """Return the best completion found for each one given, with the cost of the search."""
        roots = [Node(each) for each in copies(completions, 1)]
        best: list[tuple[float, Completion]] = [(-math.inf, root.completion) for root in roots]
        costs = [0] * len(roots)
        for _ in range(self.rollouts):
            leaves = [root.select_leaf(self.exploration) for root in roots]
            nodes = self._expand(leaves, costs, policy)
            ends = policy.generate([node.completion for node in nodes])
            scores = [score_or_minus_inf(score) for score in policy.score(ends, self.reward)]
            for i, (node, end, score) in enumerate(zip(nodes, ends, scores, strict=True)):
                costs[i] += end.generated_tokens - node.completion.generated_tokens
                node.backpropagate(score if math.isfinite(score) else 0.0)
                if score > best[i][0] or not best[i][1].token_ids:
                    best[i] = (score, end)
        return [
            with_cost(end, before, cost)
            for (_, end), before, cost in zip(best, completions, costs, strict=True)
        ]

    def _expand(self, leaves: list[Node], costs: list[int], policy: Policy) -> list[Node]:
        """Add next steps to each unfinished leaf, and their cost to `costs`, in place.

        Return the nodes to generate to the end: the first child of each leaf, or the leaf itself.
        """
        owners = [i for i, leaf in enumerate(leaves) if not leaf.done for _ in range(self.branches)]
        parents = [leaves[i] for i in owners]
        generated = self.steps.generate([parent.completion for parent in parents], policy)
        for i, parent, after in zip(owners, parents, generated, strict=True):
            before = parent.completion
            costs[i] += after.generated_tokens - before.generated_tokens
            if all(after.token_ids != child.completion.token_ids for child in parent.children):
                parent.children.append(Node(after, parent, is_done(before, after)))
        return [leaf.children[0] if leaf.children else leaf for leaf in leaves]
