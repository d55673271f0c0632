"""Models of published shapes with random weights: what a step costs does not depend on them.

python benchmarks/shapes.py                             # lists the shapes
python benchmarks/shapes.py Qwen2.5-0.5B models/random  # writes one, with the tiny tokenizer
"""

import sys
from pathlib import Path
from typing import Any

QWEN2 = {"architecture": "Qwen2", "vocab_size": 151_936}
QWEN3 = {"architecture": "Qwen3", "vocab_size": 151_936, "head_dim": 128}
LLAMA = {"architecture": "Llama", "vocab_size": 49_152}
WIDTHS = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
# hidden size, size between, layers, heads, heads of keys and values; from the models' config.json
SHAPES: dict[str, dict[str, Any]] = {
    name: {**base, **dict(zip((*WIDTHS, "num_key_value_heads"), sizes, strict=True))}
    for name, base, *sizes in [
        ("1M", QWEN2 | {"vocab_size": 644}, 128, 384, 4, 4, 4),
        ("5M", QWEN2 | {"vocab_size": 644}, 256, 768, 6, 4, 2),
        ("20M", QWEN2 | {"vocab_size": 644}, 512, 1536, 6, 8, 2),
        ("50M", LLAMA, 512, 1536, 8, 8, 2),
        ("90M", QWEN3 | {"vocab_size": 49_152, "head_dim": 64}, 640, 2048, 12, 10, 2),
        ("SmolLM2-135M", LLAMA, 576, 1536, 30, 9, 3),
        ("300M", LLAMA, 1024, 4096, 16, 16, 4),
        ("Qwen2.5-0.5B", QWEN2, 896, 4864, 24, 14, 2),
        ("Qwen2.5-1.5B", QWEN2, 1536, 8960, 28, 12, 2),
        ("Qwen3-0.6B", QWEN3, 1024, 3072, 28, 16, 8),
    ]
}
# Dense bfloat16 operations per second, from the vendor's data sheets.
PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L4": 121e12}


def model_path(model: str, folder: Path) -> str:
    """Return the path of a model; a shape is written to the folder with random weights."""
    if model not in SHAPES:
        return model
    import r1trl_tiny
    import torch
    import transformers

    base = Path(r1trl_tiny.__file__).parent / "models" / "base"
    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    shape = dict(SHAPES[model])
    architecture = shape.pop("architecture")
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    more = {"max_position_embeddings": 32_768, "tie_word_embeddings": True}
    config = getattr(transformers, f"{architecture}Config")(**shape, **ends, **more)
    torch.manual_seed(1)
    getattr(transformers, f"{architecture}ForCausalLM")(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def share_of_peak(model: Any, rate: float, length: float) -> float | None:
    """Return the share of a card's bfloat16 peak that training so many tokens a second is.

    6 operations for every weight and, in every layer, for every width of its heads and token of a
    mean length (attention is causal: half of 12). None if the peak is unknown.
    """
    import torch

    name = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    peak = next((value for card, value in PEAKS.items() if card in name), None)
    config = model.config.get_text_config()
    weights = sum(part.numel() for part in model.parameters())
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    attention = 6 * config.num_hidden_layers * config.num_attention_heads * size * length
    return rate * (6 * weights + attention) / peak if peak else None


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(model_path(sys.argv[1], Path(sys.argv[2])))
    else:
        print("\n".join(SHAPES))
