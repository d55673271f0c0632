"""What the report of a run shows of a sensitivity: report/sensitivity.json of its stage."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from r1trl_variants.rollouts import Prompt

QUESTIONS = 5  # that flip most, of each model on each benchmark
NOISE = (
    "With its 95 % interval. The grey range is how far two draws of the reference differ by "
    "sampling alone; what stays in it is pale."
)
LONGEST = 1_000  # characters of a completion
HEAD = ["question", "right most often", "rate", "a completion", "least", "rate", "a completion"]
Found = Mapping[str, Mapping[str, Any]]
Prompts = Mapping[tuple[str, str], Sequence[Prompt]]


def section_of(found: Found, prompts: Prompts, columns: Mapping[str, Sequence[Any]]) -> Any:
    """Return a section of the report: a heat map, the effects, and the questions that flip most.

    `found` is what sensitivity.json has, `prompts` what it was computed from, by model and
    benchmark, and `columns` the rollouts themselves.
    """
    parts = [
        {
            "title": "Accuracy under each prompt, less that under the reference, in points",
            "heat_map": list(_cells(found)),
        }
    ]
    for model, benchmarks in found.items():
        for benchmark, compared in benchmarks.items():
            parts.append(
                {
                    "title": f"{model}, {benchmark}: the effect of each factor, in points",
                    "note": NOISE if compared["noise"] else "With its 95 % interval.",
                    "bars": [_bar(*each) for each in compared["factors"].items()],
                }
            )
    for (model, benchmark), own in prompts.items():
        rows = list(_flips(own, model, benchmark, columns))
        if rows:
            title = f"{model}, {benchmark}: the questions that depend most on the prompt"
            parts.append({"title": title, "folded": True, "table": [HEAD, *rows]})
    return {"title": "Sensitivity", "parts": parts}


def _cells(found: Found) -> Iterator[dict[str, Any]]:
    for model, benchmarks in found.items():
        for benchmark, compared in benchmarks.items():
            reference = next(iter(compared["prompts"].values()))["accuracy"]
            for prompt, numbers in compared["prompts"].items():
                value = round(100 * (numbers["accuracy"] - reference), 2)
                yield {"x": prompt, "y": f"{model}, {benchmark}", "value": value}


def _bar(factor: str, effect: Mapping[str, Any]) -> dict[str, Any]:
    names = [name for name in ("low", "high", "noise") if name in effect]  # noise: of other seeds
    points = {name: round(100 * effect[name], 2) for name in names}
    value, interval = round(100 * effect["effect"], 2), f"{points['low']} to {points['high']}"
    weak = not effect.get("outside", True)
    return {"name": factor, "value": value, **points, "interval": interval, "weak": weak}


def _flips(
    prompts: Sequence[Prompt], model: str, benchmark: str, columns: Mapping[str, Sequence[Any]]
) -> Iterator[list[Any]]:
    """Yield the questions whose rates are furthest apart, each with its two extreme prompts."""
    asked = [q for q in prompts[0].rights if all(q in prompt.rights for prompt in prompts)]
    extremes = {q: _extremes(prompts, q) for q in asked}
    apart = {q: best.rate(q) - worst.rate(q) for q, (best, worst) in extremes.items()}
    chosen = [q for q in sorted(asked, key=lambda q: -apart[q])[:QUESTIONS] if apart[q] > 0]
    names = ("model", "benchmark", "problem", "variant")
    first = dict[tuple[Any, ...], int]()
    for i, key in enumerate(zip(*(columns[name] for name in names), strict=True)):
        first.setdefault(key, i)
    for question in chosen:
        row: list[Any] = []
        for prompt in extremes[question]:
            i = first[model, benchmark, question, prompt.name]
            text = str(columns["completion"][i])[:LONGEST]
            row += [prompt.name, round(prompt.rate(question), 3), text]
        i = first[model, benchmark, question, prompts[0].name]
        asked_as = _shown(columns["prompt"][i]) if "prompt" in columns else f"problem {question}"
        yield [asked_as, *row]


def _extremes(prompts: Sequence[Prompt], question: Any) -> tuple[Prompt, Prompt]:
    """Return the prompts under which a question is right most and least often."""
    ordered = sorted(prompts, key=lambda prompt: prompt.rate(question))
    return ordered[-1], ordered[0]


def _shown(prompt: Any) -> str:
    """Return a prompt as text; of a conversation its last message."""
    return str(prompt[-1]["content"] if isinstance(prompt, list) else prompt)[:LONGEST]
