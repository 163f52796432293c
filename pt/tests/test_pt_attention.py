from __future__ import annotations

import sys
import types
from itertools import pairwise

import pytest
import torch

from distilbert_common.errors import InputError
from distilbert_pt.attention import MASKED_SCORE, eager_attention, expand_mask, flash_attention, sdpa_attention

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


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_row_with_nothing_to_attend_to_attends_uniformly(dtype: torch.dtype) -> None:
    query, key, value = qkv(dtype)
    mask = expand_mask(padding())
    mean = value[2].float().mean(dim=1, keepdim=True).expand(-1, SEQ, -1)
    context, probabilities = eager_attention(query, key, value, mask)
    assert torch.allclose(probabilities[2].float(), torch.full((HEADS, SEQ, SEQ), 1 / SEQ), atol=1e-3)
    for found in (context, sdpa_attention(query, key, value, mask)):
        assert torch.allclose(found[2].float(), mean, atol=4 * torch.finfo(dtype).eps, rtol=0)


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
def test_a_four_axis_float_mask_is_added(closed: float) -> None:
    additive = torch.where(padding().bool(), 0.0, closed)[:, None, None].expand(-1, -1, SEQ, -1)
    expected, _ = eager_attention(*qkv(), expand_mask(padding()))
    for found in (eager_attention(*qkv(), expand_mask(additive))[0], sdpa_attention(*qkv(), expand_mask(additive))):
        assert torch.allclose(found[:2], expected[:2], atol=1e-6)
        assert torch.isfinite(found).all()


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
    assert abs(probabilities.sum(-1).mean().item() - 1) < 0.05, "what is kept is scaled up"


def test_flash_attention_runs_on_real_tokens_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package needs a GPU; a stand-in with its interface shows what goes in and comes out."""

    def varlen(query, key, value, starts_q, starts_k, longest_q, longest_k, dropout_p=0.0):
        assert len(query) == int(padding().sum())
        assert (starts_q.tolist(), longest_q) == ([0, 5, 8, 8], 5)
        spans = [slice(a, b) for a, b in pairwise(starts_q)]
        by_head = (torch.stack([x[span] for x in (query, key, value)]).transpose(1, 2) for span in spans)
        return torch.cat([sdpa_attention(*(x[None] for x in qkv), None)[0].transpose(0, 1) for qkv in by_head])

    monkeypatch.setitem(sys.modules, "flash_attn", types.SimpleNamespace(flash_attn_varlen_func=varlen))
    mask = expand_mask(padding())
    found, expected = flash_attention(*qkv(torch.bfloat16), mask), sdpa_attention(*qkv(torch.bfloat16), mask)
    real = padding().bool()[:, None, :, None]
    assert torch.allclose(torch.where(real, found, 0), torch.where(real, expected, 0), atol=0.02)
    assert not found[2].any()
    assert torch.equal(flash_attention(*qkv(), mask), sdpa_attention(*qkv(), mask)), "float32 is not for the package"
