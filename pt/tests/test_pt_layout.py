from __future__ import annotations

import pytest
import torch
from torch import Tensor

from distilbert_pt import DistilBertConfig, DistilBertForSequenceClassification
from distilbert_pt.segments import first_tokens, segment_mask, segment_onehot, segment_positions
from parity_tests.helpers.tolerances import MATRIX

SEGMENTS = torch.tensor([[1, 1, 2, 2, 2, 0, 0], [1, 0, 0, 0, 0, 0, 0]])


def test_positions_start_anew() -> None:
    assert segment_positions(SEGMENTS).tolist() == [[0, 1, 0, 1, 2, 0, 1], [0, 0, 1, 2, 3, 4, 5]]


def test_tokens_attend_within_their_segment() -> None:
    mask = segment_mask(SEGMENTS)
    assert mask.shape == (2, 1, 7, 7)
    assert mask[0, 0, 3].tolist() == [False, False, True, True, True, False, False]
    assert not mask[0, 0, 5:].any()


def test_first_tokens() -> None:
    x = torch.arange(14.0).reshape(2, 7, 1)  # (batch, seq, dim)
    assert first_tokens(x, SEGMENTS, 2)[..., 0].tolist() == [[0, 2], [7, 7]]
    assert segment_onehot(SEGMENTS, 2).any(-1).tolist() == [[True, True], [True, False]]


@pytest.mark.usefixtures("fast_and_plain")
@pytest.mark.parametrize("unpad", ["auto", True], ids=["default", "asked for"])
def test_compiled_code_serves_any_content(unpad: str | bool) -> None:
    config = DistilBertConfig(vocab_size=50, dim=32, hidden_dim=64, n_layers=2, n_heads=4, max_position_embeddings=64)
    model, programs = DistilBertForSequenceClassification(config).eval(), []

    def count(graph: torch.fx.GraphModule, _: list[Tensor]) -> torch.fx.GraphModule:
        programs.append(graph)
        return graph

    compiled = torch.compile(model, backend=count, fullgraph=True)
    ids = torch.randint(50, SEGMENTS.shape, generator=torch.Generator().manual_seed(0))
    for segment_ids in (SEGMENTS, SEGMENTS.flip(0), torch.ones_like(SEGMENTS)):
        inputs = {"input_ids": ids, "segment_ids": segment_ids, "num_segments": 2}
        with torch.no_grad():
            difference = (compiled(**inputs).logits - model(**inputs, unpad=unpad).logits).abs().max()
        assert float(difference) <= MATRIX.value
    assert len(programs) == 1
