from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from distilbert_pt import losses


def logits(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), requires_grad=True)


def test_cross_entropy_ignores_minus_100() -> None:
    x = logits(2, 3, 5)
    labels = torch.tensor([[1, -100, 2], [-100, -100, 4]])
    counted = labels >= 0
    assert torch.allclose(losses.cross_entropy(x, labels), F.cross_entropy(x[counted], labels[counted]))


@pytest.mark.parametrize("labels_dtype", [torch.int32, torch.int64])
def test_all_ignored_gives_zero_and_no_gradient(labels_dtype: torch.dtype) -> None:
    x = logits(2, 3, 5)
    loss = losses.cross_entropy(x, torch.full((2, 3), -100, dtype=labels_dtype))
    loss.backward()
    assert loss.item() == 0
    assert not x.grad.any()


def test_question_answering_ignores_positions_outside() -> None:
    start, end = logits(4, 6), logits(4, 6) * 2
    starts, ends = torch.tensor([0, 6, -1, 5]), torch.tensor([[3], [2], [99], [0]])
    counted_start, counted_end = [0, 3], [0, 1, 3]
    expected = F.cross_entropy(start[counted_start], starts[counted_start]) + F.cross_entropy(
        end[counted_end], ends[counted_end, 0]
    )
    assert torch.allclose(losses.question_answering_loss(start, end, starts, ends), expected / 2)
    outside = torch.full((4,), 6)
    assert losses.question_answering_loss(start, end, outside, outside).item() == 0


def test_losses_are_float32_in_half_precision() -> None:
    x = logits(2, 5).half()
    loss = losses.cross_entropy(x, torch.tensor([0, 1]))
    assert loss.dtype == torch.float32
    assert torch.allclose(loss, F.cross_entropy(x.float(), torch.tensor([0, 1])))
