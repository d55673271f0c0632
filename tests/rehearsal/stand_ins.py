"""Local stand-ins for the models and data of the paper's scale, of the same shape."""

from pathlib import Path
from typing import Any

from conftest import byte_tokenizer
from hub_rows import paper_data, regress_data

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


def paper_overrides(folder: Path, recipe: str = "") -> list[str]:
    """Write stand-ins for all that the paper's scale gets from elsewhere; return overrides."""
    model = qwen_folder(folder / "qwen")
    student = qwen_folder(folder / "qwen-math", context=4096)
    more = regress_data(folder) if recipe == "regress" else []
    return [f"model.path={model}", f"student.path={student}", *paper_data(folder), *more]
