"""The transition `sensitivity`: what another prompt changes, from rollouts alone."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from r1trl import StageResult, bootstrap_interval, new_file
from r1trl_variants.numbers import (
    agreement,
    effect_of,
    noise_of_accuracy,
    numbers_of,
    of_as_many,
)
from r1trl_variants.rollouts import Prompt, by_model_and_benchmark
from r1trl_variants.section import section_of

SEEDS = "seed"  # the factor of the reference under other seeds


def sensitivity(
    result: StageResult, *, correct: str = "accuracy", reference: str = "reference"
) -> StageResult:
    """Write sensitivity.json, .parquet and a section of the report, of rollouts with `variant`.

    `correct` names the reward of a right answer, `reference` the prompt that others are compared
    with. The metrics `<model>/<benchmark>/variants/<number>` are those of all prompts, and
    `…/noise/<number>` those of the reference under other seeds, where there are any. Raises
    ValueError if there are no rollouts, no such reward or prompt, or no other prompt.
    """
    from datasets import Dataset
    from pyarrow.parquet import read_table

    if result.dataset is None:
        raise ValueError(f"stage '{result.stage}' has no rollouts to compare prompts in")
    columns = read_table(result.dataset).to_pydict()
    found, metrics, rows = dict[str, Any](), dict[str, float](), list[dict[str, Any]]()
    grouped = by_model_and_benchmark(columns, correct)
    for (model, benchmark), prompts in grouped.items():
        compared = compare(prompts, reference)
        found.setdefault(model, {})[benchmark] = compared
        metrics |= _metrics(f"{model}/{benchmark}", compared)
        rows += _rows({"model": model, "benchmark": benchmark}, prompts)
    shown = result.folder / "report"
    shown.mkdir(exist_ok=True)
    of_report = section_of(found, grouped, columns)
    for folder, content in ((result.folder, found), (shown, of_report)):
        with new_file(folder / "sensitivity.json") as part:
            text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
            part.write_text(text, encoding="utf-8")
    with new_file(result.folder / "sensitivity.parquet") as part:
        Dataset.from_list(rows).to_parquet(part)
    return replace(result, metrics={**result.metrics, **metrics})


def compare(prompts: Sequence[Prompt], reference: str = "reference") -> dict[str, Any]:
    """Return all numbers of one model on one benchmark, as sensitivity.json has them.

    `variants` are the numbers of all prompts, `noise` those of the reference under its own and
    other seeds, `as_many` those of sets of as many prompts as there are seeds; the last two are
    None without other seeds. `factors` are the effects, `prompts` the means under each prompt.
    Questions without a verdict under one of the prompts do not count. Raises ValueError if there is
    no such reference, or nothing to compare it with.
    """
    named = {prompt.name: prompt for prompt in prompts}
    if reference not in named:
        raise ValueError(f"no prompt is called '{reference}'; there are: {', '.join(named)}")
    asked = [q for q in named[reference].rights if all(q in p.rights for p in prompts)]
    if not asked:
        raise ValueError("no question has a verdict under every prompt")
    seeds = [named[reference], *(p for p in prompts if p.factor == SEEDS)]
    varied = [named[reference], *(p for p in prompts if p.name != reference and p not in seeds)]
    has_noise = len(seeds) > 1
    return {
        "questions": len(asked),
        "left_out": len({q for p in prompts for q in p.rights} - set(asked)),
        "variants": _numbers(varied, asked),
        "noise": _numbers(seeds, asked) if has_noise else None,
        "as_many": of_as_many(*_arrays(varied, asked), len(seeds)) if has_noise else None,
        "factors": dict(_factors(varied, seeds, asked)),
        "prompts": {p.name: _of_prompt(p, asked) for p in prompts},
    }


def _numbers(prompts: Sequence[Prompt], asked: Sequence[Any]) -> dict[str, Any]:
    """Return the numbers of prompts, and the 95 % interval of their mean over questions."""
    rates, agreed, names = _arrays(prompts, asked)
    low, high = bootstrap_interval(rates.mean(axis=0))
    return {**numbers_of(rates, agreed, names), "mean_low": low, "mean_high": high}


def _arrays(prompts: Sequence[Prompt], asked: Sequence[Any]) -> tuple[Any, Any, list[str]]:
    """Return the rates of prompts, (prompts, questions), their agreement, and their names."""
    rates = _rates(prompts, asked)
    agreed = agreement([[prompt.predictions[q] for q in asked] for prompt in prompts])
    return rates, agreed, [prompt.name for prompt in prompts]


def _rates(prompts: Sequence[Prompt], asked: Sequence[Any]) -> Any:
    """Return the rates of prompts, an array (prompts, questions)."""
    return np.array([[prompt.rate(q) for q in asked] for prompt in prompts])


def _factors(
    varied: Sequence[Prompt], seeds: Sequence[Prompt], asked: Sequence[Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the effect of each factor, and of each of its prompts if it has several."""
    reference = _rates(varied[:1], asked)[0]
    noise = noise_of_accuracy(_rates(seeds, asked)) if len(seeds) > 1 else None
    for factor in dict.fromkeys(prompt.factor for prompt in varied[1:]):
        own = [prompt for prompt in varied[1:] if prompt.factor == factor]
        effect = effect_of(_rates(own, asked), reference, noise)
        if len(own) > 1:
            each = {p.name: effect_of(_rates([p], asked), reference, noise) for p in own}
            effect |= {"prompts": each}
        yield factor, effect


def _of_prompt(prompt: Prompt, asked: Sequence[Any]) -> dict[str, Any]:
    """Return the accuracy under a prompt, and the means beside it."""
    accuracy = float(np.mean([prompt.rate(q) for q in asked]))
    return {"factor": prompt.factor, "accuracy": accuracy, **prompt.beside}


def _metrics(name: str, compared: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield the numbers of prompts and of noise as metrics."""
    for group in ("variants", "noise"):
        for number, value in (compared[group] or {}).items():
            if isinstance(value, float):
                yield f"{name}/{group}/{number}", value


def _rows(names: Mapping[str, str], prompts: Sequence[Prompt]) -> Iterator[dict[str, Any]]:
    """Yield a row for each prompt and question: how often it is right, and the answers."""
    for prompt in prompts:
        for question in prompt.rights:
            yield {
                **names,
                "variant": prompt.name,
                "factor": prompt.factor,
                "problem": question,
                "rate": prompt.rate(question),
                "predictions": list(prompt.predictions[question]),
            }
