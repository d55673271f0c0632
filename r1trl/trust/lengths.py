"""What a model can read and end: its tokens, its end of an answer, its longest input."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from r1trl.config.kinds import models_of
from r1trl.config.schema import StageConfig
from r1trl.errors import R1trlError
from r1trl.models.tokenizer import generation_settings, template_end, without_embedding
from r1trl.plan.plan import Plan, PlannedStage
from r1trl.stage.inputs import Reference, references_of
from r1trl.trust.gold_checks import Finding
from r1trl.trust.renderings import RenderedSource, rendered_sources, tokenizer_and_context

if TYPE_CHECKING:
    from datasets import Dataset

LOOKED_AT = 1000  # rows of each source


def check_models(plan: Plan, planned: PlannedStage) -> Iterator[Finding]:
    """Yield which models of a stage are not there or not sound, and notes on their end tokens."""
    stage, key = planned.config, f"stages.{planned.spec.stage}"
    for reference in references_of(stage):
        if reference.wants != "model" or reference.stage is not None:
            continue
        if _is_asked_outside(plan, stage, reference):
            continue
        at, model = ".".join((key, *reference.key)), reference.value
        try:
            tokenizer, context = tokenizer_and_context(model)
            generation_settings(model)
        except (R1trlError, OSError, ValueError) as error:
            yield Finding(f"{at}: {error}".splitlines()[0], wrong=reference.is_loaded)
            continue
        yield from _token_notes(at, model, tokenizer, _writes_chats(stage, reference))
        length, limit = stage.args.get("max_length"), stage.max_position_embeddings or context
        if reference.key == ("model",) and limit and isinstance(length, int) and length > limit:
            yield Finding(
                f"{key}.args.max_length: {length} is above the model's context of {limit}; lower "
                "it, or set max_position_embeddings",
                wrong=False,
            )


def _is_asked_outside(plan: Plan, stage: StageConfig, reference: Reference) -> bool:
    """Return True if a model is behind a server that a reward asks."""
    if reference.key[0] != "rewards":
        return False
    name = reference.key[1]
    offer = plan.plugins.find("reward", stage.rewards[name].get("reward", name))
    return offer.description.asks_outside is not None


def _writes_chats(stage: StageConfig, reference: Reference) -> bool:
    """Return True if a stage writes the prompts of one of its models by a chat template."""
    if reference.key[0] == "models":
        return not models_of(stage)[reference.key[1]].template
    return not stage.template and reference.key[0] != "rewards"


def _token_notes(at: str, model: str, tokenizer: Any, chat: bool) -> Iterator[Finding]:
    """Yield notes on a model's end token and on tokens without embeddings."""
    said = template_end(tokenizer)[1] if chat else ""
    if said:
        yield Finding(f"{at}: {model}: {said}", wrong=False)
    if missing := without_embedding(tokenizer, model):
        some = ", ".join(map(repr, missing[:3]))
        yield Finding(
            f"{at}: {model} has no embeddings for {len(missing)} of its tokens, such as "
            f"{some}; the stage refuses rows and templates with one",
            wrong=False,
        )


def check_lengths(plan: Plan) -> Iterator[Finding]:
    """Yield the stages whose longest prompt, of the first rows of each source, leaves no room."""
    loaded: dict[str, Dataset] = {}
    for planned in plan.stages:
        if planned.kind.draws == "nothing":
            continue
        try:
            for source in rendered_sources(plan, planned, LOOKED_AT, loaded, take=LOOKED_AT):
                yield from check_length(source, planned.kind.draws)
        except R1trlError as error:
            yield Finding(str(error))


def check_length(source: RenderedSource, draws: str) -> Iterator[Finding]:
    """Yield a finding if the longest prompt leaves no room for a completion in the context.

    `draws` is that of the stage's kind.
    """
    limit = "sampling.max_tokens" if draws == "rows" else "args.max_completion_length"
    lengths = [len(ids) for ids in source.tokenizer(source.rows["prompt"][:])["input_ids"]]
    longest = max(lengths) + source.max_tokens
    if source.context and longest > source.context:
        yield Finding(
            f"{source.key}.{limit}: a prompt of {max(lengths)} tokens ({source.name}) and a "
            f"completion of {source.max_tokens} do not fit into the model's context of "
            f"{source.context}"
        )
