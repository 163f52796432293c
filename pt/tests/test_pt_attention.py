from __future__ import annotations

import warnings
from itertools import pairwise

import pytest
import torch

from distilbert_common.constants import MASKED_SCORE
from distilbert_common.errors import ConfigError, InputError
from distilbert_pt.attention import (
    check_implementation,
    eager_attention,
    expand_mask,
    flash_attention,
    sdpa_attention,
    varlen_attention,
    warn_once,
)

BATCH, HEADS, SEQ, HEAD_DIM = 3, 2, 5, 4


def qkv(dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(BATCH, HEADS, SEQ, HEAD_DIM, generator=generator).to(dtype) for _ in range(3))


def padding() -> torch.Tensor:
    """The last row has nothing to attend to."""
    return torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [0, 0, 0, 0, 0]])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("masked", [False, True])
def test_eager_and_fused_agree(dtype: torch.dtype, masked: bool) -> None:
    mask = expand_mask(padding()) if masked else None
    eager, _ = eager_attention(*qkv(dtype), mask)
    fused = sdpa_attention(*qkv(dtype), mask)
    assert eager.dtype == fused.dtype == dtype
    # one rounding of the context to the compute dtype, on values of size 1
    assert torch.allclose(eager.float(), fused.float(), atol=4 * torch.finfo(dtype).eps, rtol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_mask_closes_scores_that_autocast_has_rounded(dtype: torch.dtype) -> None:
    mask = expand_mask(padding())
    with torch.autocast("cpu", dtype):
        context, probabilities = eager_attention(*qkv(), mask)
    assert (probabilities[1, :, :, 3:] == 0).all()
    assert torch.allclose(context.float(), sdpa_attention(*qkv(), mask), atol=8 * torch.finfo(dtype).eps, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_row_with_nothing_to_attend_to_attends_uniformly(dtype: torch.dtype) -> None:
    query, key, value = qkv(dtype)
    mask = expand_mask(padding())
    mean = value[2].float().mean(dim=1, keepdim=True).expand(-1, SEQ, -1)
    context, probabilities = eager_attention(query, key, value, mask)
    assert torch.allclose(probabilities[2].float(), torch.full((HEADS, SEQ, SEQ), 1 / SEQ), atol=1e-3)
    for output in (context, sdpa_attention(query, key, value, mask)):
        assert torch.allclose(output[2].float(), mean, atol=4 * torch.finfo(dtype).eps, rtol=0)


def test_masked_keys_have_no_weight() -> None:
    _, probabilities = eager_attention(*qkv(), expand_mask(padding()))
    assert (probabilities[1, :, :, 3:] == 0).all()
    assert torch.allclose(probabilities.sum(-1), torch.ones(()))


def test_scores_are_scaled_by_the_square_root_of_head_dim() -> None:
    query, key, value = qkv()
    _, probabilities = eager_attention(query, key, value, None)
    expected = torch.softmax(query.double() @ key.double().transpose(2, 3) / HEAD_DIM**0.5, -1)
    assert torch.allclose(probabilities.double(), expected, atol=1e-6)


@pytest.mark.parametrize(
    "mask",
    [padding().bool(), padding().float(), padding() * 2, padding().float() * 0.5, -padding(), padding()[:, None, None]],
    ids=["bool", "float", "two", "half", "negative", "4D"],
)
def test_any_non_zero_value_attends(mask: torch.Tensor) -> None:
    assert torch.equal(expand_mask(mask), padding().bool()[:, None, None]) or mask.dim() == 4
    expected = sdpa_attention(*qkv(), expand_mask(padding()))
    assert torch.equal(sdpa_attention(*qkv(), expand_mask(mask)), expected)


@pytest.mark.parametrize("closed", [float("-inf"), MASKED_SCORE, -1e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_four_axis_float_mask_is_added(closed: float, dtype: torch.dtype) -> None:
    additive = expand_mask(torch.where(padding().bool(), 0.0, closed)[:, None, None].expand(-1, -1, SEQ, -1))
    expected, _ = eager_attention(*qkv(dtype), expand_mask(padding()))
    for output in (eager_attention(*qkv(dtype), additive)[0], sdpa_attention(*qkv(dtype), additive)):
        assert torch.allclose(output[:2], expected[:2], atol=1e-6)
        assert torch.isfinite(output).all()


def test_a_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(InputError, match=r"shape \(3, 5, 5\); expected \(batch, seq\)"):
        expand_mask(torch.ones(BATCH, SEQ, SEQ))


def test_head_mask_scales_the_probabilities_of_each_head() -> None:
    query, key, value = qkv()
    factors = torch.tensor([0.0, 2.0])[None, :, None, None]
    plain, _ = eager_attention(query, key, value, None)
    scaled, probabilities = eager_attention(query, key, value, None, head_mask=factors)
    assert (probabilities[:, 0] == 0).all()
    assert torch.allclose(scaled, plain * factors, atol=1e-6)


def test_dropout_acts_on_the_probabilities() -> None:
    torch.manual_seed(0)
    _, probabilities = eager_attention(*(x.repeat(40, 1, 1, 1) for x in qkv()), None, dropout=0.25)
    dropped = (probabilities == 0).float().mean().item()
    assert 0.2 < dropped < 0.3
    assert abs(probabilities.sum(-1).mean().item() - 1) < 0.05, "what is left is scaled up"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(
    "mask",
    [None, expand_mask(padding()), torch.linspace(-2, 2, HEADS * SEQ**2).view(1, HEADS, SEQ, SEQ)],
    ids=["none", "padding", "for each head"],
)
def test_dropout_step_by_step_is_pytorchs_own(
    dtype: torch.dtype, mask: torch.Tensor | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same random numbers, in bfloat16 within the rounding of each step."""
    inputs = [x.requires_grad_() for x in qkv(dtype)]
    results = []
    for fast in ("1", "0"):
        monkeypatch.setenv("DISTILBERT_FAST", fast)
        torch.manual_seed(0)
        context = sdpa_attention(*inputs, mask, 0.3)
        results.append([context, *torch.autograd.grad(context.float().square().sum(), inputs)])
    for one, other in zip(*results, strict=True):
        # what is rounded: probabilities, what is kept of them, the context, and the gradients of all three
        assert one.dtype == dtype
        assert (one - other).float().norm() <= 6 * torch.finfo(dtype).eps * other.float().norm()


@pytest.mark.parametrize("rate", [0.1, 0.3])
def test_dropout_in_bfloat16_changes_no_mean(rate: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """1 / 0.9 is rounded to 1.109 there: a factor that all would have, not an error that averages out."""
    x = torch.randn(4, 2, 64, 32, generator=torch.Generator().manual_seed(0)).bfloat16().requires_grad_()
    results = []
    for fast in ("1", "0"):
        monkeypatch.setenv("DISTILBERT_FAST", fast)
        torch.manual_seed(0)
        context = sdpa_attention(x, x, x, None, rate).float()
        results.append((context, torch.autograd.grad(context.square().sum(), x)[0].float()))
    for one, other in zip(*results, strict=True):
        assert abs((one * other).sum() / other.square().sum() - 1) < 5e-4


@pytest.mark.parametrize("fast", ["1", "0"])
@pytest.mark.parametrize("autocast", [False, True])
def test_scores_with_dropout_are_float32(fast: str, autocast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What all scores of a row have in common is not seen in the context; bfloat16 would round 256 and 257 to one."""
    monkeypatch.setenv("DISTILBERT_FAST", fast)
    query, key, value = (x + 8 for x in qkv(torch.bfloat16))
    contexts = []
    for dtype in (torch.bfloat16, torch.float64):
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            contexts.append(sdpa_attention(query.to(dtype), key.to(dtype), value.to(dtype), None, 0.3))
    assert torch.allclose(contexts[0].double(), contexts[1], rtol=2 * torch.finfo(torch.bfloat16).eps, atol=0)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize(
    ("dtype", "autocast"),
    [
        (torch.float64, torch.bfloat16),
        (torch.float32, torch.bfloat16),
        (torch.float16, torch.bfloat16),
        (torch.float32, torch.float16),
    ],
    ids=str,
)
def test_autocast_rounds_attention_as_pytorch_does(
    dtype: torch.dtype, autocast: torch.dtype, dropout: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    contexts = []
    for fast in ("1", "0"):
        monkeypatch.setenv("DISTILBERT_FAST", fast)
        torch.manual_seed(0)
        with torch.autocast("cpu", autocast):
            contexts.append(sdpa_attention(*qkv(dtype), expand_mask(padding()), dropout))
    assert contexts[0].dtype == (torch.float64 if dtype == torch.float64 else autocast)
    assert torch.equal(*contexts)


def test_gradients_of_attention_with_dropout_have_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    for fast in ("1", "0"):
        monkeypatch.setenv("DISTILBERT_FAST", fast)
        torch.manual_seed(0)
        x = qkv()[0].requires_grad_()  # all three of attention's inputs
        context = sdpa_attention(x, x, x, expand_mask(padding()), 0.3)
        first = torch.autograd.grad(context.square().sum(), x, create_graph=True)[0]
        results.append(torch.autograd.grad(first.square().sum(), x)[0])
    assert torch.allclose(*results, rtol=1e-4, atol=1e-4)


def test_attention_with_dropout_keeps_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """The probabilities and what is kept of them, and no mask for each head."""
    inputs = [x.requires_grad_() for x in qkv()]
    kept: dict[str, list[int]] = {"1": [], "0": []}
    for fast, sizes in kept.items():
        monkeypatch.setenv("DISTILBERT_FAST", fast)
        with torch.autograd.graph.saved_tensors_hooks(lambda x, sizes=sizes: sizes.append(x.numel()) or x, lambda x: x):
            sdpa_attention(*inputs, torch.zeros(BATCH, 1, SEQ, SEQ), 0.3)
    fast, plain = (sizes.count(BATCH * HEADS * SEQ * SEQ) for sizes in kept.values())
    assert fast == 2 < plain


def test_a_mask_has_gradients_with_dropout_too() -> None:
    mask = torch.zeros(BATCH, 1, SEQ, SEQ, requires_grad=True)
    sdpa_attention(*qkv(), mask, 0.3).square().sum().backward()
    assert mask.grad is not None
    assert mask.grad.any()


@pytest.mark.parametrize("fast", ["1", "0"])
def test_attention_with_dropout_can_be_transformed(fast: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTILBERT_FAST", fast)

    def total(x: torch.Tensor) -> torch.Tensor:
        return sdpa_attention(x, x, x, None, 0.3).square().sum()

    x = qkv()[0]
    torch.manual_seed(0)
    transformed = torch.func.grad(total)(x)
    torch.manual_seed(0)
    expected = torch.autograd.grad(total(x.requires_grad_()), x)[0]
    assert torch.allclose(transformed, expected, atol=1e-5)


def test_flash_attention_runs_on_non_padding_tokens_only() -> None:
    """The kernels need a GPU; a stand-in with their interface shows what goes in and comes out."""

    def varlen(query, key, value, starts_q, starts_k, longest_q, longest_k):
        assert len(query) == int(padding().sum())
        assert (starts_q.tolist(), longest_q) == ([0, 5, 8, 8], 5)
        spans = [slice(a, b) for a, b in pairwise(starts_q)]
        by_head = (torch.stack([x[span] for x in (query, key, value)]).transpose(1, 2) for span in spans)
        return torch.cat([sdpa_attention(*(x[None] for x in qkv), None)[0].transpose(0, 1) for qkv in by_head])

    mask = expand_mask(padding())
    context = varlen_attention(varlen, *qkv(torch.bfloat16), mask)
    expected = sdpa_attention(*qkv(torch.bfloat16), mask)
    attends = padding().bool()[:, None, :, None]
    assert torch.allclose(torch.where(attends, context, 0), torch.where(attends, expected, 0), atol=0.02)
    assert not context[2].any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("masked", [False, True])
def test_flash_attention_on_the_cpu_is_pytorchs_own_flash_kernel(dtype: torch.dtype, masked: bool) -> None:
    mask = expand_mask(padding()) if masked else None
    with torch.profiler.profile() as profile:
        output = flash_attention(*qkv(dtype), mask)
    assert any("flash_attention_for_cpu" in event.name for event in profile.events())
    assert torch.equal(output, sdpa_attention(*qkv(dtype), mask))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("flash_attention_2", "flash kernels of PyTorch itself"),
        ("flash_attention_3", "flash kernels of PyTorch itself"),
        ("flex_attention", "computed by 'sdpa'"),
        ("eager", None),
        ("sdpa", None),
        (None, None),
    ],
)
def test_what_stands_in_for_another_implementation_is_said_once(name: str | None, words: str | None) -> None:
    warn_once.cache_clear()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_implementation(name)
        check_implementation(name)
    assert [words in str(warning.message) for warning in caught] == ([] if words is None else [True])


@pytest.mark.parametrize("name", ["flash", "paged|sdpa", "kernels-community/flash-attn", ""])
def test_an_implementation_that_does_not_exist(name: str) -> None:
    with pytest.raises(
        ConfigError, match=r"it must be one of eager, sdpa, flash_attention_2, .*'sdpa' serves everywhere"
    ):
        check_implementation(name)
