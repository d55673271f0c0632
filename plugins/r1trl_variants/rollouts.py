"""Rollouts of one model on one benchmark, by prompt and question."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

EMPTY_THOUGHT = re.compile(r"\s*(?:<think>)?\s*</think>")
RIGHT, NO_ANSWER = "right", "none"
Columns = Mapping[str, Sequence[Any]]
Found = dict[str, list[Any]]


@dataclass(frozen=True)
class Prompt:
    """What a model did under one prompt; `factor` is the name that it shares with like ones.

    `rights` are the verdicts and `predictions` what was answered, both by question and sample:
    "right" of every right answer, however it is written, else the answer's text. `beside` are means
    over the samples.
    """

    name: str
    factor: str
    rights: Mapping[Any, Sequence[bool]]
    predictions: Mapping[Any, Sequence[str]]
    beside: Mapping[str, float]

    def rate(self, question: Any) -> float:
        """Return the share of a question's samples that are right."""
        return sum(self.rights[question]) / len(self.rights[question])


def by_model_and_benchmark(columns: Columns, correct: str) -> dict[tuple[str, str], list[Prompt]]:
    """Return the prompts of every model and benchmark, in the order in which they stand.

    `correct` names the reward that is 1 for a right answer. Rows without its verdict are left out.
    Raises ValueError if a column is missing.
    """
    needed = ("model", "benchmark", "variant", "problem", "completion", f"rewards/{correct}")
    for name in (*needed, "completion_tokens", "finished"):
        if name not in columns:
            raise ValueError(f"there is no column '{name}'; there are: {', '.join(columns)}")
    groups: dict[tuple[str, str], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    three = zip(columns["model"], columns["benchmark"], columns["variant"], strict=True)
    for i, (model, benchmark, variant) in enumerate(three):
        groups[model, benchmark][variant].append(i)
    return {
        key: [_prompt(name, rows, columns, correct) for name, rows in prompts.items()]
        for key, prompts in groups.items()
    }


def _prompt(name: str, rows: Sequence[int], columns: Columns, correct: str) -> Prompt:
    """Return what the rows of a prompt hold."""
    verdicts, problems = columns[f"rewards/{correct}"], columns["problem"]
    answers = columns.get(f"answer/{correct}")
    rights: dict[Any, list[bool]] = defaultdict(list)
    predictions: dict[Any, list[str]] = defaultdict(list)
    for i in rows:
        if verdicts[i] is None:
            continue
        right = verdicts[i] == 1
        said = (answers[i] or NO_ANSWER) if answers is not None else "wrong"
        rights[problems[i]].append(right)
        predictions[problems[i]].append(RIGHT if right else f"wrong: {said}")
    factor = columns["factor"][rows[0]] if "factor" in columns else name
    return Prompt(name, factor, rights, predictions, dict(_beside(rows, columns, answers)))


def _beside(
    rows: Sequence[int], columns: Columns, answers: Sequence[Any] | None
) -> Iterator[tuple[str, float]]:
    """Yield means beside accuracy: length, empty thoughts, cut off, no answer, every reward."""
    yield "tokens", float(np.mean([columns["completion_tokens"][i] for i in rows]))
    empty = [EMPTY_THOUGHT.match(columns["completion"][i]) is not None for i in rows]
    yield "empty_thoughts", float(np.mean(empty))
    yield "truncated", float(np.mean([not columns["finished"][i] for i in rows]))
    if answers is not None:
        yield "no_answer", float(np.mean([answers[i] is None for i in rows]))
    for name in columns:
        if name.startswith("rewards/"):
            values = [columns[name][i] for i in rows if columns[name][i] is not None]
            if values:
                yield name, float(np.mean(values))
