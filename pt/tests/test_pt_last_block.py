"""The last block computes the tokens that a head reads, and no others; nothing that a user sees tells."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from distilbert_pt import (
    DistilBertConfig,
    DistilBertForMaskedLM,
    DistilBertForMultipleChoice,
    DistilBertForSequenceClassification,
    DistilBertForTokenClassification,
)
from parity_tests.helpers.tolerances import GRADIENT, MATRIX

CONFIG = DistilBertConfig(
    vocab_size=50, dim=32, hidden_dim=64, n_layers=3, n_heads=4, max_position_embeddings=16, num_labels=3,
    initializer_range=0.2, dropout=0.0, attention_dropout=0.0, seq_classif_dropout=0.0,
)  # fmt: skip
SEGMENTS = torch.tensor([[1, 1, 1, 2, 2, 0], [1, 2, 2, 2, 2, 3], [1, 1, 0, 0, 0, 0]])
IDS = (torch.arange(18).reshape(3, 6) + 2) * (SEGMENTS != 0)
MASKED = IDS.where(IDS % 4 == 0, -100).where(SEGMENTS != 0, -100)
CLASSES = torch.tensor([[0, 2, -100], [1, 1, 0], [2, -100, -100]])
CALLS: dict[Any, dict[str, Any]] = {
    DistilBertForSequenceClassification: {"segment_ids": SEGMENTS, "labels": CLASSES},
    DistilBertForMaskedLM: {"segment_ids": SEGMENTS, "labels": MASKED, "loss_only": True},
    DistilBertForMultipleChoice: {"attention_mask": (SEGMENTS != 0)[None].int(), "labels": torch.tensor([1])},
}
READ = dict(zip(CALLS, (6, int((MASKED != -100).sum()), 3), strict=True))
"""How many tokens each head reads: the first of each segment, the labeled ones, the first of each row."""
HEADS = pytest.mark.parametrize("cls", CALLS, ids=lambda cls: cls.__name__.removeprefix("DistilBertFor"))


def model_of(cls: Any) -> Any:
    torch.manual_seed(0)
    return cls(CONFIG.updated()).train()


def call(model: Any, **options: Any) -> tuple[Any, dict[str, torch.Tensor]]:
    """Return the output of a call with labels, and the gradients of its loss."""
    ids = IDS[None] if isinstance(model, DistilBertForMultipleChoice) else IDS
    output = model(ids, **CALLS[type(model)], **options)
    model.zero_grad()
    output.loss.backward()
    gradients = {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}
    return output, gradients


def rows_of_last_block(model: Any, monkeypatch: pytest.MonkeyPatch, **options: Any) -> int:
    """Return how many tokens the last feed-forward network computes in a call."""
    block, rows = model.distilbert.transformer.layer[-1], []
    forward = type(block.ffn).forward

    def count(ffn: Any, x: torch.Tensor) -> torch.Tensor:
        if ffn is block.ffn:
            rows.append(x.shape[:-1].numel())
        return forward(ffn, x)

    with monkeypatch.context() as patch:
        patch.setattr(type(block.ffn), "forward", count)
        call(model, **options)
    return rows[0]


@HEADS
def test_loss_and_gradients_are_those_of_all_tokens(cls: Any) -> None:
    model = model_of(cls)
    output, gradients = call(model)
    expected, expected_gradients = call(model, unpad=False)
    assert output.loss.item() == pytest.approx(expected.loss.item(), rel=MATRIX.value)
    assert gradients.keys() == expected_gradients.keys()
    for name, gradient in gradients.items():
        assert float((gradient - expected_gradients[name]).abs().max()) <= GRADIENT.value, name


@HEADS
def test_what_is_not_read_is_not_computed(cls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rows_of_last_block(model_of(cls), monkeypatch, unpad=True) == READ[cls]


@HEADS
def test_all_is_computed_where_somebody_sees_it(cls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = int((SEGMENTS != 0).sum())
    model = model_of(cls)
    assert rows_of_last_block(model, monkeypatch, unpad=True, output_hidden_states=True) == tokens
    model.distilbert.transformer.layer[0].register_forward_hook(lambda *_: None)
    assert rows_of_last_block(model, monkeypatch, unpad=True) == tokens


def test_hidden_states_are_whole() -> None:
    model = model_of(DistilBertForSequenceClassification).eval()
    few = model(IDS, segment_ids=SEGMENTS, output_hidden_states=True, num_segments=3)
    assert (few.hidden_states[-1][SEGMENTS != 0].abs().sum(-1) > 0).all()
    assert torch.allclose(model(IDS, segment_ids=SEGMENTS, num_segments=3).logits, few.logits, atol=1e-6)


def test_a_block_of_the_users_own_is_called_as_it_is() -> None:
    model = model_of(DistilBertForSequenceClassification).eval()
    last = model.distilbert.transformer.layer[-1]

    class Doubling(type(last)):  # type: ignore[misc]
        def forward(self, x: torch.Tensor, *args: Any) -> Any:
            return 2 * x, None

    last.__class__ = Doubling
    expected = model(IDS, segment_ids=SEGMENTS, num_segments=3, unpad=False).logits
    assert torch.allclose(model(IDS, segment_ids=SEGMENTS, num_segments=3).logits, expected, atol=1e-5)


def test_logits_of_tokens_without_labels_are_computed() -> None:
    model = model_of(DistilBertForTokenClassification).eval()
    labels = MASKED.where(MASKED == -100, 1)
    logits = model(IDS, segment_ids=SEGMENTS, labels=labels).logits
    expected = model(IDS, segment_ids=SEGMENTS).logits
    assert torch.allclose(logits, expected, atol=1e-6)
