"""Monte Carlo tree search over steps of reasoning."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from r1trl import Completion, Policy, RewardName
from r1trl_search.candidates import at_least_one, copies, picked, worth
from r1trl_search.steps import Steps, is_done


@dataclass
class Node:
    """A draft in the tree, with what the completions through it were worth."""

    draft: Completion
    parent: "Node | None" = None
    done: bool = False
    visits: int = 0
    total: float = 0.0
    children: list["Node"] = field(default_factory=list)

    def priority(self, exploration: float) -> float:
        """Return the upper confidence bound of its mean (UCT, Kocsis and Szepesvári 2006)."""
        if not self.visits:
            return math.inf
        assert self.parent
        bonus = math.sqrt(math.log(self.parent.visits) / self.visits)
        return self.total / self.visits + exploration * bonus

    def leaf(self, exploration: float) -> "Node":
        """Return the leaf that the priorities lead to."""
        node = self
        while node.children:
            node = max(node.children, key=lambda child: child.priority(exploration))
        return node

    def learn(self, value: float) -> None:
        """Count a completion's value here and all the way up."""
        node: Node | None = self
        while node:
            node.visits, node.total = node.visits + 1, node.total + value
            node = node.parent


class TreeSearch:
    """Search the tree of reasoning steps for `rollouts` completions; return the best.

    Every round goes down the tree by UCT with the constant `exploration`, adds `branches` next
    steps to the leaf it comes to, writes one of them to its end, and has `reward` say what that is
    worth, which should be between 0 and 1. A step ends with one of `ends`, or after `tokens`
    tokens. The method that DeepSeek-R1's authors tried (arXiv 2501.12948v1, section 4.2).
    """

    def __init__(
        self,
        *,
        reward: RewardName,
        rollouts: int = 8,
        branches: int = 2,
        exploration: float = 1.0,
        ends: list[str] = ["\n"],  # noqa: B006 - shown to users, never changed
        tokens: int | None = None,
    ) -> None:
        self.reward, self.exploration = reward, exploration
        self.rollouts = at_least_one("rollouts", rollouts)
        self.branches = at_least_one("branches", branches)
        self.steps = Steps(ends, tokens)

    def generate(self, drafts: Sequence[Completion], policy: Policy) -> list[Completion]:
        """Return the best completion that was found for each draft."""
        roots = [Node(draft) for draft in copies(drafts, 1)]
        best: list[tuple[float, Completion]] = [(-math.inf, root.draft) for root in roots]
        spent = [0] * len(roots)
        for _ in range(self.rollouts):
            leaves = [root.leaf(self.exploration) for root in roots]
            nodes = self._grown(leaves, spent, policy)
            ends = policy.draw([node.draft for node in nodes])
            scores = [worth(score) for score in policy.score(ends, self.reward)]
            for i, (node, end, score) in enumerate(zip(nodes, ends, scores, strict=True)):
                spent[i] += end.spent - node.draft.spent
                node.learn(score if math.isfinite(score) else 0.0)
                if score > best[i][0] or not best[i][1].ids:
                    best[i] = (score, end)
        return [
            picked(end, draft, cost)
            for (_, end), draft, cost in zip(best, drafts, spent, strict=True)
        ]

    def _grown(self, leaves: list[Node], spent: list[int], policy: Policy) -> list[Node]:
        """Give every leaf that can go on its next steps; return the nodes to write to the end."""
        growing = [i for i, leaf in enumerate(leaves) if not leaf.done]
        parents = [leaves[i] for i in growing for _ in range(self.branches)]
        drawn = self.steps.draw([parent.draft for parent in parents], policy)
        owners = [i for i in growing for _ in range(self.branches)]
        for i, parent, after in zip(owners, parents, drawn, strict=True):
            spent[i] += after.spent - parent.draft.spent
            if all(after.ids != child.draft.ids for child in parent.children):
                parent.children.append(Node(after, parent, is_done(parent.draft, after)))
        return [leaf.children[0] if leaf.children else leaf for leaf in leaves]
