"""Forms of a question in the pretraining corpus: the variants of `r1trl_variants`, now and then."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import r1trl_variants as variants
from r1trl_tiny.problems import Problem, question, random_problem

from r1trl import PromptSettings

Worked = Callable[[Problem, str], str]
# Variants by how often they are read; of their options one is taken by chance.
FORMS: Mapping[str, tuple[int, Mapping[str, tuple[Any, ...]]]] = {
    "paraphrase": (4, {}),
    "instruction": (1, {"place": ("before", "after")}),
    "boxed": (2, {}),
    "examples": (
        4,
        {"count": (1, 3), "reasoned": (False, True), "answer": ("plain", "tag", "tag", "boxed")},
    ),
    "language": (1, {}),
    "role_play": (1, {}),
    "spacing": (2, {"style": ("double", "random", "edges")}),
    "case": (3, {"style": ("upper", "upper", "lower", "title")}),
    "punctuation": (1, {"style": ("none", "repeated", "other")}),
    "typos": (2, {"rate": (0.15, 0.3)}),
    "system": (1, {}),
}


@dataclass(frozen=True)
class Form:
    """A question in some form, the system line before it, and the names of its variants."""

    text: str
    system: str | None
    names: tuple[str, ...]


def formed(
    text: str, language: str, rng: random.Random, names: tuple[str, ...], think: Worked
) -> Form:
    """Return a question in forms of some names; `think` writes the reasoning of worked examples."""
    row: Mapping[str, Any] = {"prompt": text, "language": language}
    settings = PromptSettings()
    for name in names:
        options = {key: rng.choice(values) for key, values in FORMS[name][1].items()}
        if name == "examples":
            options["worked"] = [_example(language, rng, think) for _ in range(options["count"])]
        row, settings = getattr(variants, name)(row, settings, rng, **options)
    return Form(row["prompt"], settings.system, names)


def random_names(rng: random.Random) -> tuple[str, ...]:
    """Return the names of one form, or of two."""
    weights = [weight for weight, _ in FORMS.values()]
    chosen = rng.choices(list(FORMS), weights, k=1 if rng.random() < 0.75 else 2)
    return tuple(dict.fromkeys(chosen))


def _example(language: str, rng: random.Random, think: Worked) -> dict[str, str]:
    """Return a small problem that is worked out, as the variant `examples` shows it."""
    problem = random_problem(rng, (2, 2, 3))
    while problem.held_out:
        problem = random_problem(rng, (2, 2, 3))
    asked = question(problem, language, rng)
    return {
        "question": asked,
        "reasoning": think(problem, language).strip(),
        "answer": str(problem.answer),
    }
