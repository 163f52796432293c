"""What only a GPU can show: `make gpu`, or pytest parity_tests/on_gpu.py; no part of the suite, which needs none."""

from __future__ import annotations

import pytest
import torch

from distilbert_cli.tolerances import BETWEEN_FRAMEWORKS
from distilbert_pt import DistilBertConfig, DistilBertModel
from parity_tests.helpers.tolerances import MATRIX

CONFIG = DistilBertConfig(
    vocab_size=500, dim=128, hidden_dim=256, n_layers=3, n_heads=4, max_position_embeddings=128, initializer_range=0.1,
    dropout=0.0, attention_dropout=0.0,
)  # fmt: skip


@pytest.fixture
def model() -> DistilBertModel:
    torch.manual_seed(0)
    return DistilBertModel(CONFIG).cuda().eval()


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    lengths = torch.randint(1, 100, (16, 1), device="cuda")
    mask = (torch.arange(100, device="cuda") < lengths).long()
    return torch.randint(500, (16, 100), device="cuda"), mask


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_padding_left_out_is_padding_computed(
    dtype: str, model: DistilBertModel, batch: tuple[torch.Tensor, torch.Tensor]
) -> None:
    ids, mask = batch
    expected = model(ids, mask, unpad=False).last_hidden_state
    tolerance = MATRIX.value if dtype == "float32" else BETWEEN_FRAMEWORKS[dtype].value * float(expected.abs().max())
    output = model.to(getattr(torch, dtype))(ids, mask, unpad=True).last_hidden_state
    assert float((output - expected)[mask == 1].abs().max()) <= tolerance
    assert (output[mask == 0] == 0).all()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_gradients(dtype: str, model: DistilBertModel, batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    ids, mask = batch
    weight = model.transformer.layer[0].attention.v_lin.weight
    factors = torch.randn(*ids.shape, CONFIG.dim, device="cuda") * mask[..., None]  # (batch, seq, dim)
    output = []
    for unpad in (True, False):
        states = model.to(getattr(torch, dtype))(ids, mask, unpad=unpad).last_hidden_state
        (gradient,) = torch.autograd.grad((states.float() * factors).sum(), weight)
        output.append(gradient.float())
    scale = float(output[1].abs().max())
    assert float((output[0] - output[1]).abs().max()) <= BETWEEN_FRAMEWORKS[dtype].value * scale


def test_the_gpu_gives_what_the_processor_gives(
    model: DistilBertModel, batch: tuple[torch.Tensor, torch.Tensor]
) -> None:
    ids, mask = batch
    with torch.no_grad():
        output = model(ids, mask).last_hidden_state.cpu()
        expected = model.cpu()(ids.cpu(), mask.cpu(), unpad=False).last_hidden_state
    assert float((output - expected).abs().max()) <= MATRIX.value
