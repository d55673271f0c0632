"""A model's answers to rows: prompts rendered, completions drawn, scored, and put beside them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from r1trl.data.prompts import render
from r1trl.generation.completions import Model, ModelPolicy, chain, extractors_of
from r1trl.generation.local import LocalModel
from r1trl.generation.remote import ServedModel
from r1trl.plugins.loading import Plugins
from r1trl.rewards.outcomes import Scores
from r1trl.rewards.scorer import Scorer
from r1trl.types import Completion, Policy

if TYPE_CHECKING:
    from datasets import Dataset


class RowGenerator:
    """Answers rows with the model of a stage; it is loaded when the first are asked about."""

    def __init__(
        self, settings: Mapping[str, Any], scorer: Scorer, plugins: Plugins, where: str
    ) -> None:
        self.settings, self.scorer, self.plugins = settings, scorer, plugins
        self.where = where  # the key of the stage
        self.votes = extractors_of(settings["rewards"], plugins)
        self.model: Model | None = None

    def answer(self, rows: "Dataset", seed: int) -> "Dataset":
        """Answer every row `sampling.n` times, or up to `max_n` times until `enough` are right.

        The rows keep their columns; see the README for those that are added.
        """
        settings = self.settings
        self.model = self.model or make_model(settings)
        self.model.seed(seed)
        template, prefill, system = (settings[k] for k in ("template", "prefill", "system"))
        rendered = render(rows, self.model.tokenizer, template, prefill, system)
        inference = ModelPolicy(self.model, rendered.to_dict(), self.scorer, self.votes)
        policy = chain(settings["samplers"], self.plugins, inference, f"{self.where}.samplers")
        drafts, found = self._rounds(policy, inference, rendered["prompt"][:])
        added = self._added(rows["prompt"][:], inference, drafts, found)
        return table(rendered.features, inference.columns_of(drafts), added)

    def _rounds(
        self, policy: Policy, inference: ModelPolicy, prompts: Sequence[str]
    ) -> tuple[list[Completion], list[Scores]]:
        """Draw and score until every row has enough right answers, or as many as it may have."""
        sampling, drafts, found = self.settings["sampling"], list[Completion](), list[Scores]()
        n, most = sampling["n"], sampling["max_n"] or sampling["n"]
        asked = list(range(len(prompts)))
        for drawn in range(0, most, n):
            again = [Completion(i, prompts[i]) for i in asked for _ in range(min(n, most - drawn))]
            new = policy.draw(again)
            drafts += new
            found.append(self.scorer.score(inference.columns_of(new)))
            asked = self._unsolved(drafts, found, asked)
            if not asked:
                break
        return drafts, found

    def _unsolved(
        self, drafts: Sequence[Completion], found: Sequence[Scores], asked: Sequence[int]
    ) -> list[int]:
        """Return the rows that have too few right answers."""
        enough, reward = (
            self.settings["sampling"]["enough"],
            self.settings["measures"].get("correct"),
        )
        if enough is None or reward is None:
            return []
        values = [value for scores in found for value in scores.values[reward]]
        pairs = zip(drafts, values, strict=True)
        right = Counter(draft.row for draft, value in pairs if value is not None and value >= 1)
        return [row for row in asked if right[row] < enough]

    def _added(
        self,
        prompts: Sequence[Any],
        inference: ModelPolicy,
        drafts: Sequence[Completion],
        found: Sequence[Scores],
    ) -> dict[str, list[Any]]:
        """Return the columns that are added to the rows' own."""
        prefill = self.settings["prefill"]
        added: dict[str, list[Any]] = {
            "prompt": [prompts[draft.row] for draft in drafts],
            "completion": [prefill + draft.text for draft in drafts],
            "completion_tokens": [len(draft.ids) for draft in drafts],
            "tokens_spent": [draft.spent for draft in drafts],
            "finished": [draft.finished for draft in drafts],
            "reward": [total for scores in found for total in scores.totals],
        }
        for name in self.scorer.names:
            added[f"rewards/{name}"] = [v for scores in found for v in scores.values[name]]
            added[f"outcome/{name}"] = [o for scores in found for o in scores.outcomes[name]]
        return added | {f"answer/{n}": inference.answers(drafts, n) for n in self.votes}


def table(
    features: Mapping[str, Any], columns: dict[str, list[Any]], added: Mapping[str, list[Any]]
) -> "Dataset":
    """Put columns together as rows, a problem's completions beside each other.

    Every column has its type, also where all of its values are None: shards must fit together.
    """
    from datasets import Dataset, Features, Value

    numbers = {"completion_tokens": "int64", "tokens_spent": "int64", "finished": "bool"}
    types = {
        name: Value(numbers.get(name, "float64" if name.startswith("reward") else "string"))
        for name in added
        if name != "prompt"
    }
    order = sorted(range(len(columns["problem"])), key=columns["problem"].__getitem__)
    whole = {name: columns[name] for name in features} | dict(added)
    rows = {name: [values[i] for i in order] for name, values in whole.items()}
    return Dataset.from_dict(rows, features=Features({**features, **types}))


def make_model(settings: Mapping[str, Any]) -> Model:
    """Load the model into this process, or open the servers that have it."""
    return ServedModel(settings) if settings["endpoints"] else LocalModel(settings)
