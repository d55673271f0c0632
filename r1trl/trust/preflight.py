"""Before any GPU-second: would right answers be rewarded, and is the data what it should be?"""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from r1trl.data.rows import load_data
from r1trl.errors import R1trlError
from r1trl.plan.plan import Plan, PlannedStage
from r1trl.rewards.scorer import Scorer, make_scorer
from r1trl.trust.gold_checks import Finding, check_answers, full_score
from r1trl.trust.renderings import RenderedSource, rendered_sources

if TYPE_CHECKING:
    from datasets import Dataset

SAMPLE = 32
OVERLAP_WORDS = 8  # shorter questions, such as "What is 1 + 1?", coincide by chance


def preflight(plan: Plan) -> list[Finding]:
    """Check every stage with rewards on a sample of the rows of each of its sources."""
    import datasets

    datasets.disable_progress_bars()
    loaded: dict[str, Dataset] = {}
    scorers: dict[str, Scorer] = {}  # stages with the same rewards share their processes
    benchmarks = _questions(plan)
    found: list[Finding] = []
    try:
        for planned in plan.stages:
            if planned.work.settings["rewards"]:
                key = json.dumps(planned.work.settings["rewards"], sort_keys=True)
                scorers[key] = scorers.get(key) or _scorer(plan, planned)
                found += _check_stage(plan, planned, scorers[key], benchmarks, loaded)
    finally:
        for scorer in scorers.values():
            scorer.close()
    return found


def _check_stage(
    plan: Plan,
    planned: PlannedStage,
    scorer: Scorer,
    benchmarks: dict[str, str],
    loaded: dict[str, "Dataset"],
) -> list[Finding]:
    where = f"stages.{planned.work.stage}"
    found: list[Finding] = []
    try:
        read = list(rendered_sources(plan, planned, SAMPLE, loaded))
        if not read:
            return [Finding(f"{where}: an earlier stage has to make its prompts first", False)]
        for reading in read:
            found += check_answers(reading, scorer)
            found += _check_length(reading)
            if planned.work.kind != "evaluate":
                found += _check_repeats(reading, benchmarks)
    except R1trlError as error:
        story = str(error)
        found.append(Finding(story if story.startswith(where) else f"{where}.rewards: {story}"))
    return found


def _scorer(plan: Plan, planned: PlannedStage) -> Scorer:
    """Make the scorer of a stage's rewards that name a full score, and of those they require."""
    settings, offers = planned.work.settings, plan.plugins.offers["reward"]
    own = {name: options for name, options in settings["rewards"].items() if options is not None}
    kept = {n for n, o in own.items() if full_score(offers[o.get("reward", n)].what) is not None}
    kept |= {other for name in kept for other in own[name].get("requires") or []}
    rewards = {name: options for name, options in own.items() if name in kept}
    return make_scorer(rewards, {**settings["scoring"], "failure_limit": 1.0}, plan.plugins)


def _check_length(reading: RenderedSource) -> Iterator[Finding]:
    """Find prompts that leave no room for an answer in the model's context."""
    lengths = [len(ids) for ids in reading.tokenizer(reading.rows["prompt"][:])["input_ids"]]
    longest = max(lengths) + reading.max_tokens
    if reading.context and longest > reading.context:
        yield Finding(
            f"{reading.where}: a prompt of {max(lengths)} tokens ({reading.source}) and a "
            f"completion of {reading.max_tokens} do not fit into the model's context of "
            f"{reading.context}"
        )


def _questions(plan: Plan) -> dict[str, str]:
    """Return the questions of every benchmark of the run, and which benchmark has them."""
    found: dict[str, str] = {}
    sources: dict[str, Any] = {}
    for planned in plan.stages:
        if planned.work.kind == "evaluate":
            sources |= planned.work.settings["benchmarks"]
    for name, source in sources.items():
        rows, _ = load_data({name: source}, {}, plan.plugins, plan.config.seed, "benchmarks")
        found |= dict.fromkeys(_normalised(rows), name)
    return found


def _check_repeats(reading: RenderedSource, benchmarks: dict[str, str]) -> Iterator[Finding]:
    """Find questions that are in a benchmark too, or twice in the source."""
    questions = _normalised(reading.all_rows)
    shared = [q for q in questions if q in benchmarks and len(q.split()) >= OVERLAP_WORDS]
    if shared:
        yield Finding(
            f"{reading.where}.data.{reading.source}: {len(shared)} of {len(questions)} questions "
            f"are in the benchmark '{benchmarks[shared[0]]}' too, such as {shared[0][:160]!r}"
        )
    repeats = len(questions) - len(set(questions))
    if repeats:
        yield Finding(
            f"{reading.where}.data.{reading.source}: {repeats} of {len(questions)} questions "
            "repeat another",
            wrong=False,
        )


def _normalised(rows: "Dataset") -> list[str]:
    """Return each row's question, its letters and its spaces made alike."""
    column = rows["question" if "question" in rows.column_names else "prompt"]
    texts = [text if isinstance(text, str) else text[-1]["content"] for text in column]
    return [" ".join(text.lower().split()) for text in texts]
