"""Attention for rows of any length, as torch's kernel for GPUs defines it, on the CPU."""

import torch
from torch.nn.functional import scaled_dot_product_attention


def reference_kernel(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    cu_seq_q: torch.Tensor,
    cu_seq_k: torch.Tensor,
    max_q: int,
    max_k: int,
    *,
    scale: float | None,
    window_size: tuple[int, int],
    enable_gqa: bool,
) -> torch.Tensor:
    """Do what torch's kernel does, segment by segment: causal to the last key, not to the first."""
    assert cu_seq_q.dtype == cu_seq_k.dtype == torch.int32
    assert window_size == (-1, 0) and enable_gqa and len(cu_seq_q) == len(cu_seq_k)
    assert (max_q, max_k) == (int(cu_seq_q.diff().max()), int(cu_seq_k.diff().max()))
    assert int(cu_seq_q[-1]) == len(query) and int(cu_seq_k[-1]) == len(key) == len(value)
    outputs = []
    for number in range(len(cu_seq_q) - 1):
        own = query[cu_seq_q[number] : cu_seq_q[number + 1]]
        keys, values = (x[cu_seq_k[number] : cu_seq_k[number + 1]] for x in (key, value))
        mask = torch.ones(len(own), len(keys), dtype=torch.bool).tril(len(keys) - len(own))
        rows = [each.transpose(0, 1) for each in (own, keys, values)]
        out = scaled_dot_product_attention(*rows, mask, scale=scale, enable_gqa=True)
        outputs.append(out.transpose(0, 1))
    return torch.cat(outputs)
