"""Completions of random models, with a gold one in each group, so that later stages have rows."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from datasets import Dataset

from r1trl.generation.answers import RowGenerator
from r1trl.generation.completions import ModelPolicy
from r1trl.samplers import Policy
from r1trl.trust.answer_formats import best_format, golds_of, usual_formats
from r1trl.trust.renderings import RenderedSource
from r1trl.types import Completion


class GoldRowGenerator(RowGenerator):
    """Generates as usual, and puts the gold answer in place of each row's first completion.

    It is written as the preflight writes it: in the format that the prompt asks for, or else in the
    one that the stage's rewards score best. Rows without a `solution` are left as they are.
    """

    def complete(
        self, chained: Policy, policy: ModelPolicy, empty: Sequence[Completion]
    ) -> list[Completion]:
        """Return completions; the first of each row is a gold one."""
        completions = super().complete(chained, policy, empty)
        if "solution" not in policy.columns or not self.scorer.rewards:
            return completions
        golds = self._gold_texts(policy.columns)
        seen: set[int] = set()
        for i, (before, drawn) in enumerate(zip(empty, completions, strict=True)):
            if before.row not in seen:
                seen.add(before.row)
                gold = policy.append(replace(before, token_ids=(), text=""), golds[before.row])
                cost = drawn.generated_tokens
                completions[i] = replace(gold, finished=True, generated_tokens=cost)
        return completions

    def _gold_texts(self, columns: Mapping[str, Sequence[Any]]) -> list[str]:
        """Return each row's gold completion."""
        assert self.model
        rows = Dataset.from_dict({name: list(values) for name, values in columns.items()})
        source = RenderedSource(
            self.key, "", "", self.stage, self.model.tokenizer, None, True, rows, rows, 0
        )
        best = best_format(source, self.scorer, usual_formats(source))[0]
        return list(map(best.fill, golds_of(rows), rows["prompt"][:]))
