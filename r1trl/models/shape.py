"""The sizes of a model, from its config.json or from the table of published models."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from r1trl.models.hub import CONFIG
from r1trl.models.published import SHAPES

# Of the families whose parameters are counted: have their queries, keys and values biases, norms?
FAMILIES = {
    "llama": (False, False),
    "mistral": (False, False),
    "qwen2": (True, False),
    "qwen3": (False, True),
}


@dataclass(frozen=True)
class Shape:
    """A decoder with gated feed-forward layers and grouped queries, by the names of its config."""

    model_type: str
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    vocab_size: int
    tie_word_embeddings: bool

    @property
    def query_size(self) -> int:
        """Return the width of all queries of a token."""
        return self.num_attention_heads * self.head_dim

    @property
    def key_size(self) -> int:
        """Return the width of all keys of a token, which is that of its values too."""
        return self.num_key_value_heads * self.head_dim

    @property
    def embedding(self) -> int:
        """Return the parameters of the embeddings; those of the head are as many."""
        return self.vocab_size * self.hidden_size

    @property
    def norms_of_heads(self) -> bool:
        """Return True if queries and keys are normalised, head by head."""
        return FAMILIES[self.model_type][1]

    @property
    def layer(self) -> int:
        """Return the parameters of a layer."""
        biases, norms = FAMILIES[self.model_type]
        attention = self.hidden_size * (2 * self.query_size + 2 * self.key_size)
        attention += self.query_size + 2 * self.key_size if biases else 0
        attention += 2 * self.head_dim if norms else 0
        return attention + 3 * self.hidden_size * self.intermediate_size + 2 * self.hidden_size

    @property
    def parameters(self) -> int:
        """Return the number of parameters; tied embeddings count once."""
        ends = self.embedding if self.tie_word_embeddings else 2 * self.embedding
        return ends + self.num_hidden_layers * self.layer + self.hidden_size

    @property
    def cache(self) -> int:
        """Return the numbers in the KV cache of a token."""
        return 2 * self.num_hidden_layers * self.key_size

    def adapter(self, rank: int) -> int:
        """Return the parameters of a LoRA adapter of all linear layers, of a rank."""
        hidden, queries, keys = self.hidden_size, self.query_size, self.key_size
        ends = 2 * (hidden + queries) + 2 * (hidden + keys) + 3 * (hidden + self.intermediate_size)
        return self.num_hidden_layers * rank * ends


def shape_of(model: str) -> Shape | None:
    """Return the sizes of a model: a folder's, one in the Hub's cache, or a published one's.

    None if it is none of them, or of a family whose parameters are not counted here.
    """
    config = _config(model)
    if config is None:
        return published(model)
    text = config.get("text_config")
    return _shape({**config, **(text if isinstance(text, Mapping) else {})})


def published(model: str) -> Shape | None:
    """Return the sizes of a model in the table of published ones; None if it is not there."""
    return Shape(*SHAPES[model]) if model in SHAPES else None


def _config(model: str) -> dict[str, Any] | None:
    """Return a model's config.json as far as it is on this machine."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    file: object = Path(model) / CONFIG
    if not Path(model).is_dir():
        try:
            file = try_to_load_from_cache(model, CONFIG)
        except HFValidationError:
            return None
    try:
        content = json.loads(Path(str(file)).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _shape(config: Mapping[str, Any]) -> Shape | None:
    """Return the sizes in a config; None if it is not of a family that is known, or has others."""
    heads, hidden = config.get("num_attention_heads"), config.get("hidden_size")
    if config.get("model_type") not in FAMILIES or not heads or not hidden:
        return None
    own = {
        "num_key_value_heads": config.get("num_key_value_heads") or heads,
        "head_dim": config.get("head_dim") or hidden // heads,
        "tie_word_embeddings": bool(config.get("tie_word_embeddings", False)),
    }
    values: list[Any] = [own.get(name, config.get(name)) for name in Shape.__dataclass_fields__]
    return Shape(*values) if all(value is not None for value in values) else None
