"""Before any GPU-second: are right answers rewarded, and is the data what it should be?"""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from r1trl.arguments.check import missing_packages
from r1trl.config.kinds import reads_benchmarks, scores_held_out_rows_alone
from r1trl.config.schema import SourceConfig
from r1trl.data.checks import need_rows
from r1trl.data.prompts import need_columns
from r1trl.data.row_writer import NO_TEMPLATE
from r1trl.data.rows import load_data
from r1trl.errors import R1trlError
from r1trl.plan.plan import Plan, PlannedStage
from r1trl.rewards.scorer import Scorer, make_scorer
from r1trl.trust.gold_checks import Finding, check_answers
from r1trl.trust.lengths import check_length, check_models
from r1trl.trust.renderings import (
    RenderedSource,
    read_by,
    rendered_sources,
    root_model,
)

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
    findings: list[Finding] = []
    try:
        for planned in plan.stages:
            key = f"stages.{planned.spec.stage}"
            findings += [Finding(f"{key}.{m}") for m in missing_packages(planned.config.args)]
            models = list(check_models(plan, planned))
            findings += models
            if any(finding.wrong for finding in models):
                continue
            if planned.config.rewards and not scores_held_out_rows_alone(planned.kind):
                identity = json.dumps(planned.config.rewards, sort_keys=True)
                scorers[identity] = scorers.get(identity) or _scorer(plan, planned)
                findings += _check_stage(plan, planned, scorers[identity], benchmarks, loaded)
            else:
                findings += _check_template(plan, planned)
    finally:
        for scorer in scorers.values():
            scorer.close()
    return list(dict.fromkeys(findings))


def _check_stage(
    plan: Plan,
    planned: PlannedStage,
    scorer: Scorer,
    benchmarks: dict[str, str],
    loaded: dict[str, "Dataset"],
) -> list[Finding]:
    key = f"stages.{planned.spec.stage}"
    findings: list[Finding] = []
    try:
        sources = list(rendered_sources(plan, planned, SAMPLE, loaded))
        if not sources:
            return [Finding(f"{key}: an earlier stage has to make its prompts first", False)]
        for source in sources:
            findings += check_answers(source, scorer)
            findings += check_length(source, planned.kind.draws)
            if "benchmarks" not in planned.kind.needs:
                findings += _check_repeats(source, benchmarks)
        if "rollout" in planned.kind.takes and len(sources) == len(planned.config.data):
            need_rows(sum(len(source.all_rows) for source in sources), planned.config, key)
    except R1trlError as error:
        message = str(error)
        findings.append(
            Finding(message if message.startswith(key) else f"{key}.rewards: {message}")
        )
    return findings


def _check_template(plan: Plan, planned: PlannedStage) -> Iterator[Finding]:
    """Yield the models of a stage that reads prompts and has no template to write them with."""
    stage, key = planned.config, f"stages.{planned.spec.stage}"
    if stage.model is None or stage.template or "prompt" not in planned.kind.columns(stage):
        return
    if read_by(plan.config, stage.model)[0].chat_template is None:
        root = root_model(plan.config, stage.model)
        yield Finding(f"{key}.template: {NO_TEMPLATE} ({root})")


def _scorer(plan: Plan, planned: PlannedStage) -> Scorer:
    """Make the scorer of a stage's rewards that have a full score, and of those they require."""
    stage, offers = planned.config, plan.plugins.offers["reward"]
    own = {name: options for name, options in stage.rewards.items() if options is not None}
    kept = {
        name
        for name, options in own.items()
        if offers[options.get("reward", name)].description.full_score is not None
    }
    kept |= {other for name in kept for other in own[name].get("requires") or []}
    rewards = {name: options for name, options in own.items() if name in kept}
    return make_scorer(rewards, replace(stage.scoring, max_failure_rate=1.0), plan.plugins)


def _questions(plan: Plan) -> dict[str, str]:
    """Return the questions of the benchmarks of the run's stages, each with its benchmark."""
    sources: dict[str, SourceConfig] = {}
    for planned in plan.stages:
        if reads_benchmarks(planned.kind, planned.config):
            sources |= planned.config.benchmarks
    questions: dict[str, str] = {}
    for name, source in sources.items():
        given = (plan.plugins, plan.config.seed, "", "benchmarks", None, ["prompt"])
        rows, _ = load_data({name: source}, {}, *given)
        need_columns(rows, ["prompt"], f"benchmarks.{name}")
        questions |= dict.fromkeys(_normalised(rows), name)
    return questions


def _check_repeats(source: RenderedSource, benchmarks: dict[str, str]) -> Iterator[Finding]:
    """Yield findings if questions are in a benchmark too, or twice in the source."""
    questions = _normalised(source.all_rows)
    shared = [q for q in questions if q in benchmarks and len(q.split()) >= OVERLAP_WORDS]
    if shared:
        yield Finding(
            f"{source.key}.data.{source.name}: {len(shared)} of {len(questions)} questions "
            f"are in the benchmark '{benchmarks[shared[0]]}' too, such as {shared[0][:160]!r}"
        )
    repeats = len(questions) - len(set(questions))
    if repeats:
        yield Finding(
            f"{source.key}.data.{source.name}: {repeats} of {len(questions)} questions "
            "repeat another",
            wrong=False,
        )


def _normalised(rows: "Dataset") -> list[str]:
    """Return each row's question in lower case, with single spaces."""
    column = rows["question" if "question" in rows.column_names else "prompt"]
    texts = [text if isinstance(text, str) else text[-1]["content"] for text in column]
    return [" ".join(text.lower().split()) for text in texts]
