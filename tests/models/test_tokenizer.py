"""The tokens that end a completion, and tokens that a model has no embedding for."""

from pathlib import Path

import pytest
import torch
from awkward_models import awkward_model
from transformers import AutoTokenizer, GenerationConfig

from r1trl.config.schema import StageConfig
from r1trl.config.stage_parts import SamplingConfig
from r1trl.errors import StageError
from r1trl.generation.local import load_local
from r1trl.models.generation import make_valid
from r1trl.models.tokenizer import (
    end_token_ids,
    generation_settings,
    load_tokenizer,
    refuse_without_embedding,
    without_embedding,
)
from r1trl.types import Completion, Model

ENDS = {
    ("chatml", True): ["<|im_end|>"],
    ("qwen25_base", True): ["<|im_end|>", "<|endoftext|>"],
    ("qwen25_base", False): ["<|endoftext|>"],
    ("qwen3", True): ["<|im_end|>", "<|endoftext|>"],
    ("r1_distill", True): ["<|eos|>"],
    ("llama_base", False): ["<|end_of_text|>"],
    ("gemma", True): ["<end_of_turn>", "<eos>"],
    ("gemma", False): ["<eos>", "<end_of_turn>"],
}


@pytest.mark.parametrize(("name", "chat"), ENDS)
def test_a_completion_ends_at_the_templates_end_and_at_all_of_the_models_own(
    name: str, chat: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(awkward_model(name, tmp_path))
    own = AutoTokenizer.from_pretrained(path).eos_token
    capsys.readouterr()
    tokenizer = load_tokenizer(path, chat=chat)
    ends = tokenizer.convert_ids_to_tokens(
        list(end_token_ids(tokenizer, generation_settings(path)))
    )
    assert ends == ENDS[name, chat] and tokenizer.eos_token == ends[0]
    said = f"the end token is {ends[0]!r}, as in the chat template, not the tokenizer's {own!r}"
    assert (said in capsys.readouterr().out) == (own != ends[0])


def test_without_a_file_the_configs_end_tokens_count(tmp_path: Path) -> None:
    path = awkward_model("chatml", tmp_path)
    (path / "generation_config.json").unlink()
    tokenizer = load_tokenizer(str(path), chat=False)
    assert end_token_ids(tokenizer, generation_settings(str(path))) == (tokenizer.eos_token_id,)


def test_a_template_that_fails_on_an_answer_leaves_the_tokenizers_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = awkward_model("chatml", tmp_path)
    (path / "chat_template.jinja").write_text("{{ messages[7].content }}")
    assert load_tokenizer(str(path), chat=True).eos_token == "<|im_end|>"
    assert (
        "the chat template fails on an answer, which '<|im_end|>' ends" in capsys.readouterr().out
    )


@pytest.mark.parametrize("end", ["<eos>", "<end_of_turn>"])
def test_a_local_model_stops_at_each_of_its_end_tokens(end: str, tmp_path: Path) -> None:
    stage = StageConfig(
        kind="sample",
        model=Model(str(awkward_model("gemma", tmp_path))),
        dtype="float32",
        template="{{ prompt }}",
        sampling=SamplingConfig(temperature=0.0, max_tokens=8),
    )
    model = load_local(stage)
    (id_,) = model.tokenizer.convert_tokens_to_ids([end])
    always = torch.nn.Linear(32, model.model.config.vocab_size)
    torch.nn.init.zeros_(always.weight)
    with torch.no_grad():
        always.bias[id_] = 1e4
    model.model.lm_head = always
    (completion,) = model.generate([Completion(0, "What is 1?")], 8, ())
    assert (completion.finished, completion.text, completion.token_ids) == (True, "", (id_,))


def test_a_token_without_an_embedding_is_refused_where_it_is_used(tmp_path: Path) -> None:
    path = str(awkward_model("few_embeddings", tmp_path))
    tokenizer = load_tokenizer(path, chat=True)
    assert sorted(without_embedding(tokenizer, path)) == ["</think>", "<think>"]
    refuse_without_embedding(tokenizer, path, ["no such token"])
    with pytest.raises(StageError, match=r"the token '</think>', for which .* has no embedding"):
        refuse_without_embedding(tokenizer, path, ["so", "and </think>"])
    plain = str(awkward_model("qwen25_base", tmp_path))  # more embeddings than tokens
    assert without_embedding(load_tokenizer(plain, chat=True), plain) == []


def test_a_local_model_refuses_a_prompt_that_it_cannot_read(tmp_path: Path) -> None:
    stage = StageConfig(kind="sample", dtype="float32", template="{{ prompt }}")
    for name, prompt, message in (
        ("few_embeddings", "<think>", "the token '<think>', for which the model has no embedding"),
        (
            "short_context",
            "one two " * 40,
            "the prompt 'one two .* does not fit into the model's context",
        ),
    ):
        stage.model = Model(str(awkward_model(name, tmp_path)))
        with pytest.raises(StageError, match=message):
            load_local(stage).generate([Completion(0, prompt)], 8, ())


@pytest.mark.parametrize(
    ("settings", "unset"),
    [
        ({"do_sample": False, "temperature": 0.9, "top_p": 0.6}, ["temperature", "top_p"]),
        ({"top_k": 5, "min_p": 0.1}, ["min_p", "top_k"]),
        ({"length_penalty": 2.0, "early_stopping": True}, ["early_stopping", "length_penalty"]),
        ({"pad_token_id": -1}, ["pad_token_id"]),
        ({"do_sample": True, "temperature": 0.6, "top_p": 0.95}, []),
    ],
)
def test_generation_settings_that_cannot_be_saved_are_unset(
    settings: dict[str, float], unset: list[str], tmp_path: Path
) -> None:
    config = GenerationConfig(**settings)
    assert sorted(make_valid(config)) == unset
    config.pad_token_id = 3
    config.save_pretrained(tmp_path)
    saved = GenerationConfig.from_pretrained(tmp_path)
    kept = settings.keys() - {*unset, "pad_token_id"}
    assert {name: getattr(saved, name) for name in kept} == {name: settings[name] for name in kept}
