"""Bytes of activations: what a forward pass keeps for the backward pass, per token, in a layer.

Counted from transformers' layers, tensor by tensor; tests/estimate/ compares them with PyTorch's
own tracker. `h` is the hidden size, `q` and `k` the widths of queries and of keys, `i` the size
between.
"""

from dataclasses import dataclass
from typing import Literal

from r1trl.models.shape import Shape

# How a model computes: all in float32; in 16 bits from weights in float32, which autocast copies;
# or in 16 bits from weights in 16 bits, as under DeepSpeed and FSDP.
Precision = Literal["float32", "autocast", "half"]
TILE_TOKENS, TILE_WORDS = 4096, 32768  # of TRL's fused head: it makes logits tile by tile


@dataclass(frozen=True)
class Activations:
    """Of a model with a shape, in a precision."""

    shape: Shape
    precision: Precision

    @property
    def size(self) -> int:
        """Return the bytes of a number that a linear layer gives."""
        return 4 if self.precision == "float32" else 2

    @property
    def residual(self) -> int:
        """Return the bytes of a token's hidden state between layers."""
        return self.shape.hidden_size * (2 if self.precision == "half" else 4)

    @property
    def layer(self) -> int:
        """Return the bytes that a layer keeps of a token.

        Of each of two norms: its input and the normed one in float32, and what linear layers read,
        of which autocast makes a copy for each (3 and 2). Of attention: queries, keys and values,
        the result, and the result in the rows' order; a logarithm per head. Of the feed-forward
        layer: gate, its SiLU, up, and their product.
        """
        shape, size = self.shape, self.size
        h, q, k, i = shape.hidden_size, shape.query_size, shape.key_size, shape.intermediate_size
        norms = {"float32": 24 * h, "autocast": 16 * h + 10 * h, "half": 16 * h}[self.precision]
        if shape.norms_of_heads:
            norms += (8 if self.precision == "float32" else 6) * (q + k)
        attention = size * (3 * q + 2 * k) + 4 * shape.num_attention_heads
        return norms + attention + size * 4 * i

    @property
    def ends(self) -> int:
        """Return the bytes of a token outside of layers: last norm, input of the head, angles."""
        size = 2 if self.precision == "half" else 4
        return self.shape.hidden_size * (4 + 2 * size) + 2 * size * self.shape.head_dim

    def kept(self, tokens: int, checkpointing: bool) -> int:
        """Return the bytes that are kept of a micro-batch of tokens when it has been passed.

        With gradient checkpointing these are the inputs of layers.
        """
        per_layer = self.residual if checkpointing else self.layer
        return tokens * (self.shape.num_hidden_layers * per_layer + self.ends)

    def passed(self, tokens: int, checkpointing: bool) -> int:
        """Return the bytes that a layer's backward pass needs more, of one layer at a time.

        The gradients of the parts of the feed-forward layer, of which one is freed as it is used,
        and of hidden states; with checkpointing what the layer keeps, too.
        """
        h, i = self.shape.hidden_size, self.shape.intermediate_size
        if not checkpointing:
            return tokens * (self.size * 2 * i + 2 * h)
        hidden = {"float32": 12, "autocast": 18, "half": 6}[self.precision] * h
        return tokens * (self.layer + self.size * 3 * i + hidden)

    def head(self, tokens: int, *, triton: bool) -> int:
        """Return the bytes of TRL's fused head in its backward pass, without `kept`.

        A tile of logits, and without Triton seven more in float32 and a mask; the gradients of its
        input and of its weights, in float32.
        """
        shape = self.shape
        tile = min(tokens, TILE_TOKENS) * min(shape.vocab_size, TILE_WORDS)
        copies = self.size if triton else self.size + 29
        return tile * copies + tokens * shape.hidden_size * 4 + shape.embedding * 4
