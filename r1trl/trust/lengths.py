"""Prompts and completions against the longest input of the model that reads them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from r1trl.errors import R1trlError
from r1trl.plan.plan import Plan
from r1trl.trust.gold_checks import Finding
from r1trl.trust.renderings import RenderedSource, rendered_sources

if TYPE_CHECKING:
    from datasets import Dataset

LOOKED_AT = 1000  # rows of each source


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
