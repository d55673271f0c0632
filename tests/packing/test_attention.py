"""On GPUs packed rows attend by torch's flash attention, with the results of the CPU's way."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
import torch
from machine import require
from torch._subclasses.fake_tensor import FakeTensorMode
from varlen import reference_kernel

from r1trl.packing import attention
from r1trl.packing.attention import attend_by_buckets, attend_by_segments, flash_takes
from r1trl.packing.layout import PackedLayout, Segments
from r1trl.packing.packed import PackedRows
from r1trl.packing.tokens import TokenBatch

HEADS, SHARED_HEADS, WIDTH = 4, 2, 16
ROWS = [(7, 3), (7, 9), (7, 1), (2, 5), (2, 5), (1, 4), (1, 8), (9, 20)]  # prompt, completion
pytestmark = pytest.mark.slow  # torch is imported


def batch_of(sizes: list[tuple[int, int]], shared: bool, device: str = "cpu") -> TokenBatch:
    """Return rows of these lengths; if shared, equally long prompts are equal."""
    width, longest = (max(lengths) for lengths in zip(*sizes, strict=True))
    ids = torch.arange(len(sizes) * (width + longest)).view(len(sizes), -1) + 1
    mask = torch.zeros_like(ids)
    for row, (prompt, completion) in enumerate(sizes):
        mask[row, width - prompt : width + completion] = 1
        if shared:
            ids[row, width - prompt : width] = -torch.arange(prompt) - 100 * prompt
    return TokenBatch(ids.to(device), mask.to(device), longest)


class Module:
    """What transformers' `sdpa` reads of a layer."""

    num_key_value_groups, is_causal, training = HEADS // SHARED_HEADS, True, True


def states_of(tokens: int, dtype: Any = torch.float32, device: str = "cpu") -> list[torch.Tensor]:
    """Return queries, keys and values with gradients, on the device."""
    source = torch.Generator().manual_seed(3)
    heads = (HEADS, SHARED_HEADS, SHARED_HEADS)
    drawn = [torch.randn(tokens, n, WIDTH, generator=source) for n in heads]
    return [each.to(device, dtype).requires_grad_() for each in drawn]


def with_gradients(out: torch.Tensor, states: list[torch.Tensor]) -> list[torch.Tensor]:
    """Return an output, and the gradients of a loss in which each token counts differently."""
    weights = torch.arange(out.numel(), device=out.device).view(out.shape) % 7 - 3.0
    return [out, *torch.autograd.grad((out.float() * weights).sum(), states)]


@pytest.fixture
def on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have states on the CPU attend as on a GPU, by the reference kernel."""
    monkeypatch.setattr(attention, "flash_takes", lambda *_: True)
    monkeypatch.setattr(attention, "varlen_kernel", lambda: reference_kernel)


@pytest.fixture
def fake_cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let tensors be on a GPU without memory, and without a GPU: of compute capability 9.0."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    with FakeTensorMode():
        yield


def fake(width: int = 64, device: str = "cuda", dtype: Any = torch.bfloat16) -> torch.Tensor:
    """Return states of one head."""
    return torch.empty(5, 1, width, device=device, dtype=dtype)


def takes(*states: torch.Tensor, dropout: float = 0.0) -> bool:
    """Say whether the kernel takes these queries, keys and values, or one for all three."""
    return flash_takes((states * 3)[:3], dropout)


def test_half_precision_on_a_gpu_is_for_the_kernel_and_all_else_for_sdpa(fake_cuda: None) -> None:
    assert takes(fake()) and takes(fake(128, dtype=torch.float16))
    assert not takes(fake(device="cpu"))
    assert not takes(fake(dtype=torch.float32))
    assert not takes(fake(), dropout=0.1)
    assert not takes(fake(256)) and not takes(fake(20))
    assert not takes(fake(192), fake(192), fake(128)), "values narrower than keys"


def test_autocast_says_in_what_sdpa_would_attend(
    fake_cuda: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # torch.autocast turns itself off on a machine without a GPU
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda device: device == "cuda")
    monkeypatch.setattr(torch, "get_autocast_dtype", lambda _: torch.bfloat16)
    assert takes(fake(dtype=torch.float32))


def test_an_old_gpu_and_a_user_without_flash_attention_have_sdpa(
    fake_cuda: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cuda, "flash_sdp_enabled", lambda: False)
    assert not takes(fake())
    monkeypatch.undo()
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 5))
    assert not takes(fake())


def test_a_torch_without_the_kernel_has_sdpa(
    fake_cuda: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch.nn.attention import varlen

    attention.varlen_kernel.cache_clear()
    monkeypatch.setattr(varlen, "varlen_attn", lambda query, key, value, is_causal: query)
    assert not takes(fake()), "an older one, which takes neither scale nor shared heads"
    attention.varlen_kernel.cache_clear()


@pytest.mark.parametrize("shared", [False, True])
def test_the_keys_of_each_segment_are_its_row_up_to_the_last_query(shared: bool) -> None:
    batch = batch_of(ROWS, shared)
    packed = PackedRows(batch)
    segments, tokens = packed.layout.segments, batch.ids[packed.rows, packed.columns]
    assert segments.cu_seq_q.dtype == segments.cu_seq_k.dtype == torch.int32
    assert (segments.key_index is None) is not shared
    index = torch.arange(len(tokens)) if segments.key_index is None else segments.key_index
    queries, keys = segments.cu_seq_q.tolist(), segments.cu_seq_k.tolist()
    assert (queries[0], queries[-1], keys[0], keys[-1]) == (0, len(tokens), 0, len(index))
    assert packed.layout.prompts == (3 if shared else 0), "one of 1 token is in no row alone"
    for number, (start, end) in enumerate(pairwise(queries)):
        row, last = packed.rows[start], packed.columns[end - 1]
        assert set(packed.rows[start:end].tolist()) == {int(row)}
        held = batch.mask[row, : last + 1].bool()
        found = tokens[index[keys[number] : keys[number + 1]]]
        assert found.tolist() == batch.ids[row, : last + 1][held].tolist()
        assert end - start <= segments.max_q and len(found) <= segments.max_k


@pytest.mark.parametrize("scale", [None, 0.5])
@pytest.mark.parametrize("shared", [False, True])
def test_rows_attend_on_a_gpu_as_on_the_cpu(on_a_gpu: None, shared: bool, scale: Any) -> None:
    packed = PackedRows(batch_of(ROWS, shared))
    states = states_of(len(packed.rows))
    ours = attend_by_segments(states, packed.layout, scale)
    theirs = attend_by_buckets(Module(), states, packed.layout, {"scaling": scale})
    assert ours.shape == (len(packed.rows), HEADS, WIDTH)
    pairs = zip(with_gradients(ours, states), with_gradients(theirs, states), strict=True)
    for found, wanted in pairs:
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("on_gpu", [False, True])
def test_a_pass_makes_the_layout_that_it_needs_and_no_other(
    on_gpu: bool, request: pytest.FixtureRequest
) -> None:
    if on_gpu:
        request.getfixturevalue("on_a_gpu")
    packed = PackedRows(batch_of(ROWS, shared=True))
    queries, *keys_values = (each.transpose(0, 1)[None] for each in states_of(len(packed.rows)))
    mask = torch.ones(1, 1, 1, 1, dtype=torch.bool)
    given = (Module(), queries, *keys_values, mask)
    out, _ = attention.packed_attention(*given, packed_layout=packed.layout)
    assert out.shape == (1, len(packed.rows), HEADS, WIDTH)
    assert packed.layout.attention_calls == 1
    assert ("segments" in vars(packed.layout)) is on_gpu
    assert ("buckets" in vars(packed.layout)) is not on_gpu


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("autocast", [False, True])
def test_torchs_kernel_takes_what_it_is_given(autocast: bool, shared: bool) -> None:
    with FakeTensorMode(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        starts, index = torch.empty(4, dtype=torch.int32), torch.empty(15, dtype=torch.int64)
        layout = PackedLayout(torch.empty(3, dtype=torch.int64))
        vars(layout)["segments"] = Segments(starts, starts, 4, 6, index if shared else None)
        dtype = torch.float32 if autocast else torch.bfloat16
        shapes = [(9, heads, WIDTH) for heads in (HEADS, SHARED_HEADS, SHARED_HEADS)]
        states = [torch.empty(shape, dtype=dtype, requires_grad=True) for shape in shapes]
        out = attend_by_segments(states, layout, 0.5)
        assert (out.shape, out.dtype) == ((9, HEADS, WIDTH), torch.bfloat16)
        for grad, state in zip(torch.autograd.grad(out.sum(), states), states, strict=True):
            assert (grad.shape, grad.dtype) == (state.shape, state.dtype)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shared", [False, True])
def test_a_gpus_kernel_attends_as_the_cpu_does(shared: bool, dtype: torch.dtype) -> None:
    require("gpu", torch.cuda.is_available())
    require("gpu", attention.varlen_kernel(), "torch has no varlen_attn for shared heads")
    on_cpu, on_gpu = (PackedRows(batch_of(ROWS, shared, device)) for device in ("cpu", "cuda"))
    given = states_of(len(on_gpu.rows), dtype, "cuda")
    assert flash_takes(given, 0.0)
    ours = with_gradients(attend_by_segments(given, on_gpu.layout, None), given)
    exact = [each.detach().cpu().float().requires_grad_() for each in given]
    out = attend_by_buckets(Module(), exact, on_cpu.layout, {})
    for found, wanted in zip(ours, with_gradients(out, exact), strict=True):
        error = (found.cpu().float() - wanted).abs().max() / wanted.abs().max()
        assert error < 0.02  # rounding to 8 bits, of the results and within the kernel


@pytest.mark.gpu
@pytest.mark.parametrize("shared", [False, True])
def test_one_row_of_one_token_attends_to_its_prompt_alone_on_a_gpu(shared: bool) -> None:
    require("gpu", torch.cuda.is_available())
    require("gpu", attention.varlen_kernel(), "torch has no varlen_attn for shared heads")
    packed = PackedRows(batch_of([(3, 1)] * (2 if shared else 1), shared, "cuda"))
    states = states_of(len(packed.rows), torch.bfloat16, "cuda")
    ours = attend_by_segments(states, packed.layout, None)
    theirs = attend_by_buckets(Module(), states, packed.layout, {})
    torch.testing.assert_close(ours, theirs, atol=0.02, rtol=0.02)
