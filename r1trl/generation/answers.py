"""A model's completions of rows: prompts rendered, completions generated and scored, put beside."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1trl.config.schema import StageConfig
from r1trl.data.prompts import Variations, render, settings_of, varied_rows
from r1trl.errors import errors_named
from r1trl.files.tables import aside, dataset_of
from r1trl.generation.completions import GenerationModel, ModelPolicy, chain, extractors_of
from r1trl.generation.local import load_local
from r1trl.generation.prompts import PromptRewriter
from r1trl.generation.remote import RemoteModel
from r1trl.plugins.loading import Plugins
from r1trl.rewards.outcomes import Scores
from r1trl.rewards.scorer import Scorer
from r1trl.samplers import Policy
from r1trl.serve.clients import served
from r1trl.types import Completion

if TYPE_CHECKING:
    from datasets import Dataset


class RowGenerator:
    """Generates completions of rows with the model of a stage, which is loaded at the first call.

    `key` is the stage's key, and `folder` its folder, in which its servers say where they are;
    `correct` names the reward that is 1 for a right answer, for `sampling.stop_after_correct`, or
    is None.
    """

    def __init__(
        self,
        stage: StageConfig,
        scorer: Scorer,
        plugins: Plugins,
        key: str,
        folder: Path,
        correct: str | None,
    ) -> None:
        self.stage, self.scorer, self.plugins = stage, scorer, plugins
        self.key, self.folder, self.correct = key, folder, correct
        self.extractors = extractors_of(stage.rewards, plugins)
        self.model: GenerationModel | None = None

    def generate(
        self, rows: "Dataset", seed: int, variation: Variations | None = None
    ) -> "Dataset":
        """Return `sampling.n` completions per row, or up to `max_n` until enough are right.

        The rows have numbers, in the column `problem`. They keep their columns; docs/DATA.md lists
        those that are added, and what one of the rows is called that has the name of one. With a
        `variation` they are asked, scored and returned in that form. Depends on the rows, the seed
        and the variation alone.
        """
        stage = self.stage
        if self.model is None:
            self.scorer.load()
            self.model = make_model(served(stage, self.folder, self.key))
        self.model.seed(seed)
        with errors_named(f"{self.key}.template"):
            tokenizer = self.model.tokenizer
            own, settings = varied_rows(own_columns(rows), settings_of(stage), variation)
            rendered = render(own, tokenizer, settings)
        rewriter = PromptRewriter(settings, own, tokenizer)
        columns = rendered.to_dict()
        policy = ModelPolicy(self.model, columns, self.scorer, self.extractors, rewriter)
        chained = chain(stage.samplers, self.plugins, policy, f"{self.key}.samplers")
        with errors_named(self.key):
            completions, scores = self._rounds(chained, policy, rendered["prompt"][:])
        prefills = [each.prefill for each in settings]
        added = self._added(own["prompt"][:], prefills, policy, completions, scores)
        numbers = rows["problem"][:]
        added["problem"] = [numbers[completion.row] for completion in completions]
        kept = {n: f for n, f in rendered.features.items() if n in ("question", *own.features)}
        types = {**kept, "prompt": rows.features["prompt"]}
        return to_dataset(types, policy.columns_of(completions), added)

    def _rounds(
        self, chained: Policy, policy: ModelPolicy, prompts: Sequence[str]
    ) -> tuple[list[Completion], list[Scores]]:
        """Generate and score until every row has enough right answers, or its most completions."""
        sampling, completions, scores = self.stage.sampling, list[Completion](), list[Scores]()
        n, max_n = sampling.n, sampling.max_n or sampling.n
        pending = list(range(len(prompts)))
        for generated in range(0, max_n, n):
            count = min(n, max_n - generated)
            empty = [Completion(i, prompts[i]) for i in pending for _ in range(count)]
            new = self.complete(chained, policy, empty)
            completions += new
            scores.append(self.scorer.score(policy.columns_of(new)))
            pending = self._unsolved(completions, scores, pending)
            if not pending:
                break
        return completions, scores

    def complete(
        self, chained: Policy, policy: ModelPolicy, empty: Sequence[Completion]
    ) -> list[Completion]:
        """Return a round of completions, `n` for each pending row, those of a row side by side."""
        return chained.generate(empty)

    def _unsolved(
        self, completions: Sequence[Completion], scores: Sequence[Scores], pending: Sequence[int]
    ) -> list[int]:
        """Return the pending rows that have too few right answers."""
        wanted = self.stage.sampling.stop_after_correct
        if wanted is None or self.correct is None:
            return []
        values = [value for each in scores for value in each.values[self.correct]]
        pairs = zip(completions, values, strict=True)
        right = Counter(c.row for c, value in pairs if value is not None and value >= 1)
        return [row for row in pending if right[row] < wanted]

    def _added(
        self,
        prompts: Sequence[Any],
        prefills: Sequence[str],
        policy: ModelPolicy,
        completions: Sequence[Completion],
        scores: Sequence[Scores],
    ) -> dict[str, list[Any]]:
        """Return the columns that are added to the rows' own."""
        added: dict[str, list[Any]] = {
            "prompt": [prompts[c.row] for c in completions],
            "completion": [prefills[c.row] + c.text for c in completions],
            "completion_tokens": [len(c.token_ids) for c in completions],
            "tokens_spent": [c.generated_tokens for c in completions],
            "finished": [c.finished for c in completions],
            "reward": [total for each in scores for total in each.totals],
        }
        for name in self.scorer.names:
            added[f"rewards/{name}"] = [v for each in scores for v in each.values[name]]
            added[f"outcome/{name}"] = [o for each in scores for o in each.outcomes[name]]
        answers = {n: policy.extract_answers(completions, n) for n in self.extractors}
        return added | {f"answer/{name}": texts for name, texts in answers.items()}


def own_columns(rows: "Dataset") -> "Dataset":
    """Return numbered rows without their numbers, as templates and rewards see them."""
    rows = rows.remove_columns("problem")
    moved = aside("problem", ["problem"])
    return rows.rename_columns({moved: "problem"} if moved in rows.column_names else {})


def to_dataset(
    features: Mapping[str, Any], columns: dict[str, list[Any]], added: Mapping[str, list[Any]]
) -> "Dataset":
    """Return columns as rows, the completions of a problem beside each other.

    `features` are those of `columns`. Every added column has a fixed type, also if all of its
    values are None, because shards must fit together.
    """
    from datasets import Value

    kept = {name: name if name == "prompt" else aside(name, added) for name in features}
    types = {name: Value(_type_of(name)) for name in added if name != "prompt"}
    types |= {kept[name]: feature for name, feature in features.items()}
    whole = {kept[name]: columns[name] for name in features} | dict(added)
    order = sorted(range(len(added["problem"])), key=added["problem"].__getitem__)
    return dataset_of({name: [values[i] for i in order] for name, values in whole.items()}, types)


def _type_of(name: str) -> str:
    """Return the type of a column that is added to the rows' own."""
    if name in ("problem", "completion_tokens", "tokens_spent"):
        return "int64"
    return "bool" if name == "finished" else "float64" if name.startswith("reward") else "string"


def make_model(stage: StageConfig) -> GenerationModel:
    """Load the stage's model into this process, or connect to the servers that have it."""
    return RemoteModel(stage) if stage.endpoints else load_local(stage)
