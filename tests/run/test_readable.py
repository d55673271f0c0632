"""What a stage's model cannot read is refused when the stage starts, with its row."""

from pathlib import Path

import pytest
from awkward_models import awkward_model
from datasets import Dataset
from one_step import kind_of

from r1trl.config.schema import StageConfig
from r1trl.errors import StageError
from r1trl.run.readable import (
    check_context,
    longest_prompt,
    refuse_rows,
    stage_tokenizer,
    vllm_arguments,
)
from r1trl.types import Model

KEY = "stages.x"


def stage_of(name: str, folder: Path, **settings: object) -> StageConfig:
    """Return a stage that starts from an awkward model."""
    model = Model(str(awkward_model(name, folder)))
    return StageConfig(kind="grpo", model=model, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("setting", ["template", "prefill", "system"])
def test_a_setting_with_a_token_without_an_embedding_is_refused(
    setting: str, tmp_path: Path
) -> None:
    stage = stage_of("few_embeddings", tmp_path)
    stage_tokenizer(stage, KEY, str(stage.model))
    setattr(stage, setting, "<think> {{ prompt }}")
    with pytest.raises(StageError, match=r"^stages.x.model: .*few_embeddings: .*'<think>', for wh"):
        stage_tokenizer(stage, KEY, str(stage.model))


def test_rows_with_a_token_without_an_embedding_are_refused(tmp_path: Path) -> None:
    stage = stage_of("few_embeddings", tmp_path)
    tokenizer = stage_tokenizer(stage, KEY, str(stage.model))
    rows = Dataset.from_list([{"prompt": "a", "completion": "b"}])
    refuse_rows(rows, tokenizer, str(stage.model), f"{KEY}.data")
    thought = Dataset.from_list([{"messages": [{"role": "user", "content": "</think>"}]}])
    with pytest.raises(StageError, match=r"^stages.x.data: .*the token '</think>', for which"):
        refuse_rows(thought, tokenizer, str(stage.model), f"{KEY}.data")


def test_prompts_that_leave_no_room_are_refused_and_those_that_leave_little_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = stage_of("short_context", tmp_path, args={"max_completion_length": 32})
    tokenizer = stage_tokenizer(stage, KEY, str(stage.model))
    texts = [" one" * count for count in range(100)]
    lengths = [len(tokenizer(text)["input_ids"]) for text in texts]
    short = next(text for text, length in zip(texts, lengths, strict=True) if length > 40)
    assert lengths[4] + 32 <= 64 < lengths[99]
    capsys.readouterr()
    kind = kind_of("grpo")
    check_context(Dataset.from_dict({"prompt": [texts[4]] * 3}), tokenizer, stage, kind, KEY)
    assert capsys.readouterr().out == ""
    check_context(Dataset.from_dict({"prompt": [texts[4], short]}), tokenizer, stage, kind, KEY)
    said = "1 of 2 prompts, such as that of row 2, and a completion of 32 tokens do not fit into"
    assert said in capsys.readouterr().out
    long = Dataset.from_dict({"prompt": [texts[4], texts[99]]})
    with pytest.raises(
        StageError, match=r"^stages.x.data: the prompt of row 2 has \d+ tokens, and"
    ):
        check_context(long, tokenizer, stage, kind, KEY)
    stage.max_position_embeddings = 4096
    check_context(long, tokenizer, stage, kind, KEY)


def test_vllm_is_told_the_end_tokens_beside_what_the_stage_gives_it(tmp_path: Path) -> None:
    given = {"use_vllm": True, "generation_kwargs": {"seed": 3}}
    stage = stage_of("qwen25_base", tmp_path, args=given)
    tokenizer = stage_tokenizer(stage, KEY, str(stage.model))
    ends = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    expected = {"generation_kwargs": {"stop_token_ids": ends, "seed": 3}}
    assert vllm_arguments(stage, kind_of("grpo"), tokenizer, None, KEY) == expected


def test_vllm_reads_no_more_than_the_longest_prompt_and_completion(tmp_path: Path) -> None:
    kind, args = kind_of("grpo"), {"use_vllm": True, "max_completion_length": 32}
    stage = stage_of("short_context", tmp_path, args=args)
    tokenizer = stage_tokenizer(stage, KEY, str(stage.model))

    def length(*texts: str) -> int | None:
        prompts = Dataset.from_dict({"prompt": texts})
        told = vllm_arguments(stage, kind, tokenizer, prompts, KEY)
        return told.get("vllm_max_model_length")

    assert length("one", " one" * 4) == len(tokenizer(" one" * 4)["input_ids"]) + 32
    assert length(" one" * 60) == 64, "the model's context"
    stage.max_position_embeddings = 128
    with pytest.raises(StageError, match=r"^stages.x.max_position_embeddings: vLLM goes by .* 64"):
        length(" one" * 60)
    stage.args["vllm_max_model_length"] = 48
    assert length("one") is None, "the stage's own stays"


def test_the_longest_prompt_is_not_always_that_with_the_most_bytes(tmp_path: Path) -> None:
    stage = stage_of("qwen25_base", tmp_path)
    tokenizer = stage_tokenizer(stage, KEY, str(stage.model))
    texts = ["<|im_start|>" * 4, "0123456789" * 2, "a"]
    lengths = [len(tokenizer(text)["input_ids"]) for text in texts]
    assert lengths[1] == max(lengths) > lengths[0]
    assert longest_prompt(texts, tokenizer) == longest_prompt(texts[::-1], tokenizer) == lengths[1]
