"""What a stage's model can read, and where it ends: embeddings, context, end tokens."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from r1trl.arguments.source import defaults
from r1trl.config.schema import StageConfig
from r1trl.errors import StageError, errors_named
from r1trl.kind import Kind
from r1trl.models.tokenizer import (
    context_of,
    end_token_ids,
    generation_settings,
    load_tokenizer,
    refuse_without_embedding,
)
from r1trl.process.terminal import say
from r1trl.stage.ranks import is_main

if TYPE_CHECKING:
    from datasets import Dataset


def stage_tokenizer(stage: StageConfig, key: str, model: str) -> Any:
    """Return the tokenizer with which a stage writes texts for a model.

    Raises StageError if the model is not there, or has no embedding for a token of the template.
    """
    with errors_named(f"{key}.model"):
        trusted = bool(stage.args.get("trust_remote_code"))
        tokenizer = load_tokenizer(model, chat=not stage.template, trusted=trusted)
        template = stage.template or tokenizer.chat_template or ""
        texts = (tokenizer.eos_token or "", str(template), stage.prefill, stage.system or "")
        refuse_without_embedding(tokenizer, model, texts)
    return tokenizer


def vllm_arguments(
    stage: StageConfig, kind: Kind, tokenizer: Any, prompts: "Dataset | None", key: str
) -> dict[str, Any]:
    """Return the arguments of TRL's config that tell vLLM a stage's end tokens and lengths.

    vLLM loads the model with a tokenizer of its own, whose end token may not be the template's; and
    it wants memory for a text as long as the model's context, which can be far longer than any that
    the stage's `prompts` lead to. What the stage's own arguments say of either stays. Raises
    StageError if a text is longer than the context in the model's folder, which vLLM goes by.
    """
    ends = end_token_ids(tokenizer, generation_settings(str(stage.model)))
    given = stage.args.get("generation_kwargs") or {}
    arguments: dict[str, Any] = {"generation_kwargs": {"stop_token_ids": list(ends), **given}}
    if prompts is not None and stage.args.get("vllm_max_model_length") is None:
        whole = longest_prompt(prompts["prompt"][:], tokenizer) + longest_completion(stage, kind)
        context = context_of(str(stage.model)) or whole
        if whole > context and (stage.max_position_embeddings or 0) > context:
            raise StageError(
                f"{key}.max_position_embeddings: vLLM goes by the config.json of {stage.model}, "
                f"which says {context}, and a prompt and its completion take {whole} tokens; write "
                "it there, or set generation.vllm=false"
            )
        arguments["vllm_max_model_length"] = min(whole, context)
    return arguments


def longest_completion(stage: StageConfig, kind: Kind) -> int:
    """Return the most tokens of a completion in a stage that trains."""
    default = defaults(str(kind.trl_config)).get("max_completion_length")
    return int(stage.args.get("max_completion_length", default) or 0)


def longest_prompt(texts: Sequence[str], tokenizer: Any) -> int:
    """Return the most tokens of a prompt; only those that can have the most are tokenised."""
    longest, added = 0, tokenizer.num_special_tokens_to_add()
    for text in sorted(texts, key=lambda text: len(text.encode()), reverse=True):
        if len(text.encode()) + added <= longest:  # a token has at least one byte
            break
        longest = max(longest, len(tokenizer(text)["input_ids"]))
    return longest


def refuse_rows(rows: "Dataset", tokenizer: Any, model: str, key: str) -> None:
    """Raise StageError if a row has a token without an embedding; `key` is that of the data."""
    with errors_named(key):
        refuse_without_embedding(tokenizer, model, (str(row) for row in rows))


def check_context(
    prompts: "Dataset", tokenizer: Any, stage: StageConfig, kind: Kind, key: str
) -> None:
    """Print how many prompts leave too little room for a completion in the model's context.

    Raises StageError if one leaves none. Only prompts that could be too long are tokenised: a token
    has at least one byte.
    """
    context = stage.max_position_embeddings or context_of(str(stage.model))
    longest = longest_completion(stage, kind)
    if context is None:
        return
    texts: list[str] = prompts["prompt"][:]
    numbers = [i for i, text in enumerate(texts) if len(text.encode()) + longest > context]
    lengths = {i: len(tokenizer(texts[i])["input_ids"]) for i in numbers}
    for i, length in lengths.items():
        if length >= context:
            named = f"{{column: prompt, max_tokens: {context - longest}, tokenizer: {stage.model}}}"
            raise StageError(
                f"{key}.data: the prompt of row {i + 1} has {length} tokens, and the model's "
                f"context is {context}; leave such rows out: filters={{token_length: {named}}}"
            )
    short = [i for i, length in lengths.items() if length + longest > context]
    if short and is_main():
        say(
            f"{len(short)} of {len(texts)} prompts, such as that of row {short[0] + 1}, and a "
            f"completion of {longest} tokens do not fit into the model's context of {context}",
        )
