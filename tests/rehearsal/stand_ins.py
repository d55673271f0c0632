"""Local stand-ins for the models and data of the paper's scale, of the same shape."""

from pathlib import Path
from typing import Any

from conftest import byte_tokenizer
from hub_rows import PAPER_DATA, paper_data, regress_data

from r1trl.config.compose import compose

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def qwen_folder(folder: Path, context: int = 131072, **fields: Any) -> Path:
    """Write the config of Qwen2.5-7B with a small vocabulary, its tokenizer, and no weights.

    The file of the weights is empty: whoever reads it fails.
    """
    from transformers import Qwen2Config

    tokenizer = byte_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.chat_template = CHATML
    tokenizer.save_pretrained(folder)
    config = Qwen2Config(
        vocab_size=len(tokenizer) + 16,  # more embeddings than tokens, as Qwen has
        hidden_size=3584,
        intermediate_size=18944,
        num_hidden_layers=28,
        num_attention_heads=28,
        num_key_value_heads=4,
        max_position_embeddings=context,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        architectures=["Qwen2ForCausalLM"],
        **fields,
    )
    config.save_pretrained(folder)
    (folder / "model.safetensors").write_bytes(b"")
    return folder


# The datasets of a scale's problems and benchmarks, if they are not the paper's.
OWN_DATA = {
    "gpu1": {"sources.problems": "gsm8k", "benchmarks.gsm8k_test": "gsm8k-test"},
    "gpu1-80gb": {"sources.problems": "math"},
}
DROPPED = {
    "gpu1": ("benchmarks.math_500", "benchmarks.aime_2024"),
    "gpu1-80gb": ("benchmarks.aime_2024",),
}


def stand_ins(folder: Path, recipe: str, scale: str) -> list[str]:
    """Write stand-ins for everything that a scale gets from the Hub; return overrides."""
    dropped = DROPPED.get(scale, ())
    data = {key: name for key, name in PAPER_DATA.items() if key not in dropped}
    config = compose([f"recipe={recipe}", f"scale={scale}", "name=x"], None).config
    whole, short = qwen_folder(folder / "qwen"), qwen_folder(folder / "qwen-math", context=4096)
    models = {"model": config.model, "student": config.student}
    models |= {f"students.{name}": student for name, student in config.students.items()}
    paths = [
        f"{key}.path={short if model.max_position_embeddings else whole}"
        for key, model in models.items()
    ]
    paths.append(f"scale.reward_model.model={whole}")
    more = regress_data(folder) if recipe == "regress" else []
    return [*paths, *paper_data(folder, data | OWN_DATA.get(scale, {})), *more]
