"""What tests share: plugins written to files, composed runs, toy rows, a tiny random model."""

import os
import shutil
import signal
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from r1trl.config.checked import Composed
from r1trl.config.compose import compose

CHAT_TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "WANDB_MODE": "offline",
}
os.environ.update(ENVIRONMENT)
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # undo what nohup does to all that tests start
CACHE = tempfile.mkdtemp(prefix="r1trl-tests-")
os.environ["HF_DATASETS_CACHE"] = CACHE
os.environ["HF_MODULES_CACHE"] = f"{CACHE}/modules"  # the code of models that bring their own


def pytest_unconfigure() -> None:
    """Remove what has been cached."""
    shutil.rmtree(CACHE, ignore_errors=True)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what tests have recorded with `record_property`."""
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, value in report.user_properties:
            terminalreporter.write_line(f"{name}: {value}")


@pytest.fixture
def plugin_file(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Return a function that writes a plugin's source to a file and returns its path."""
    before = set(sys.modules)

    def write(source: str, name: str = "mine.py") -> str:
        path = tmp_path / name
        path.write_text(textwrap.dedent(source), encoding="utf-8")
        return str(path)

    yield write
    for name in set(sys.modules) - before:
        if name.startswith("r1trl_file_"):
            del sys.modules[name]


@pytest.fixture
def composed() -> Callable[..., Composed]:
    """Return a function that composes overrides into a run."""

    def compose_(*overrides: str, own: Path | None = None) -> Composed:
        named = any(override.startswith("name=") for override in overrides)
        return compose([*overrides, *([] if named else ["name=test"])], own)

    return compose_


@pytest.fixture
def toy_rows() -> Any:
    """Return four problems with their solutions."""
    from datasets import Dataset

    return Dataset.from_list(
        [
            {"prompt": f"What is {a} plus {b}?", "solution": str(a + b), "language": "en"}
            for a, b in ((1, 2), (3, 4), (5, 6), (7, 8))
        ]
    )


def byte_tokenizer() -> Any:
    """Make a tokenizer with a token per byte, a chat template, and <bos>, <eos> and <pad>."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    specials = ["<pad>", "<bos>", "<eos>"]
    vocabulary = {token: i for i, token in enumerate([*specials, *alphabet])}
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", bos_token="<bos>", eos_token="<eos>"
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


@pytest.fixture
def tokenizer() -> Any:
    """Return a new byte-level tokenizer."""
    return byte_tokenizer()


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a random Qwen2 with a byte-level tokenizer."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    folder = tmp_path_factory.mktemp("models") / "random"
    made = byte_tokenizer()
    config = Qwen2Config(
        vocab_size=len(made),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=made.bos_token_id,
        eos_token_id=made.eos_token_id,
        pad_token_id=made.pad_token_id,
    )
    torch.manual_seed(0)
    Qwen2ForCausalLM(config).save_pretrained(folder)
    made.save_pretrained(folder)
    return folder
