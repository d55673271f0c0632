"""The stages that draw completions and keep them: `sample`, and `evaluate` with its measures.

Every process rolls out its share of the rows into a file of its own; a part that is there already
is not rolled out again. Process 0 puts the parts together.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from r1trl.data import render, rows_of
from r1trl.generate import draw, load_model
from r1trl.measures import benchmark_metrics, sampled_metrics
from r1trl.plugins import Plugins
from r1trl.processes import is_main, rank, wait, world
from r1trl.rewards import Scorer, make_scorer
from r1trl.stage import Work

if TYPE_CHECKING:
    from datasets import Dataset


def sample(work: Work, folder: Path, plugins: Plugins) -> dict[str, float]:
    """Roll out a model on the stage's data; write rollouts.parquet, return its measures."""
    settings = work.settings
    scorer = make_scorer(settings["rewards"], settings["scoring"], plugins)
    scorer.warm()
    rows = rows_of(work, settings["data"], folder, plugins)
    rollouts = _part(work, folder, "model", settings, rows, scorer)
    scorer.close(folder if is_main() else None)
    if rollouts is None:
        return {}
    _write(rollouts, folder)
    return sampled_metrics(rollouts)


def evaluate(work: Work, folder: Path, plugins: Plugins) -> dict[str, float]:
    """Roll out several models on several benchmarks; return `<model>/<benchmark>/<metric>`."""
    from datasets import concatenate_datasets

    settings, measures = work.settings, work.settings["measures"]
    scorer = make_scorer(settings["rewards"], settings["scoring"], plugins)
    scorer.warm()
    vote = _vote(measures["correct"], settings["rewards"], plugins)
    parts: list[Any] = []
    metrics: dict[str, float] = {}
    for benchmark, source in settings["benchmarks"].items():
        rows = rows_of(work, {benchmark: source}, folder, plugins)
        for model, entry in settings["models"].items():
            own = {**settings, **entry, "model": entry["path"]}
            rollouts = _part(work, folder, f"{model}-{benchmark}", own, rows, scorer)
            if rollouts is None:
                continue
            found = benchmark_metrics(rollouts, measures, vote)
            metrics |= {f"{model}/{benchmark}/{metric}": v for metric, v in found.items()}
            print(f"{model} on {benchmark}: pass@1 {found['pass@1']:.3f}", flush=True)
            for column, value in (("model", model), ("benchmark", benchmark)):
                rollouts = rollouts.add_column(column, [value] * len(rollouts))
            parts.append(rollouts)
    scorer.close(folder if is_main() else None)
    if parts:
        _write(concatenate_datasets(parts), folder)
    return metrics


def _vote(reward: str, rewards: Mapping[str, Any], plugins: Plugins) -> Any:
    """Return how a reward extracts the answer it scores, or None where it does not say."""
    options = rewards[reward]
    found = plugins.find("reward", options.get("reward", reward)).what
    extract = getattr(found, "extract", None)
    if extract is None:
        return None
    own = {k: v for k, v in options.items() if k in getattr(found, "options", ())}
    return lambda completion: extract(completion, **own)


def _part(
    work: Work,
    folder: Path,
    name: str,
    settings: Mapping[str, Any],
    rows: "Dataset",
    scorer: Scorer,
) -> "Dataset | None":
    """Roll a model out on this process's share of the rows; process 0 gets all of them."""
    from datasets import Dataset, concatenate_datasets

    parts = folder / "parts"
    parts.mkdir(exist_ok=True)
    path = parts / f"{name}-{rank()}-of-{world()}.parquet"
    if not path.exists():
        numbered = rows.add_column("problem", list(range(len(rows))))
        share = numbered.select(range(rank(), len(rows), world()))
        roll_out(share, settings, scorer, work.own_seed + rank()).to_parquet(f"{path}.part")
        os.replace(f"{path}.part", path)
    wait()
    if not is_main():
        return None
    files = [str(parts / f"{name}-{r}-of-{world()}.parquet") for r in range(world())]
    cache = str(parts / ".cache")
    return concatenate_datasets([Dataset.from_parquet(f, cache_dir=cache) for f in files])


def roll_out(rows: "Dataset", settings: Mapping[str, Any], scorer: Scorer, seed: int) -> "Dataset":
    """Draw `sampling.n` completions for every row, score them, and return them as rows.

    The rows, one of whose columns is `problem` (a number), keep their columns; see the README for
    those that are added.
    """
    from datasets import Dataset

    sampling, prefill = settings["sampling"], settings["prefill"]
    attention = settings.get("attention")
    model, tokenizer = load_model(settings["model"], settings["dtype"], attention)
    torch.manual_seed(seed)
    rendered = render(rows, tokenizer, settings["template"], prefill)
    repeated = [i for i in range(len(rows)) for _ in range(sampling["n"])]
    columns = rendered.select(repeated).to_dict()
    ids = draw(model, tokenizer, columns["prompt"], sampling)
    texts = tokenizer.batch_decode(ids, skip_special_tokens=True)
    scores = scorer.score({**columns, "completion": texts, "completion_ids": ids})
    originals = rows["prompt"][:]
    added = {
        "prompt": [originals[i] for i in repeated],
        "completion": [prefill + text for text in texts],
        "completion_tokens": [len(row) for row in ids],
        "finished": [row[-1:] == [tokenizer.eos_token_id] for row in ids],
        "reward": scores.totals,
        **{f"rewards/{name}": values for name, values in scores.values.items()},
        **{f"outcome/{name}": values for name, values in scores.outcomes.items()},
    }
    return Dataset.from_dict({**columns, **added})


def _write(rollouts: "Dataset", folder: Path) -> None:
    """Write rollouts.parquet, there whole or not at all."""
    part = folder / "rollouts.parquet.part"
    rollouts.to_parquet(part)
    part.rename(folder / "rollouts.parquet")
