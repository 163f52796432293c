from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import distilbert_conversion
from distilbert_common.errors import InputError
from distilbert_common.quantization import dequantize, quantize
from distilbert_pt import DistilBertForMaskedLM, DistilBertForSequenceClassification
from distilbert_pt.fast import int8
from distilbert_pt.quantization import QuantizedLinear

DEMO = Path(__file__).resolve().parents[2] / "demo" / "model"
IDS = torch.tensor([[2, 45, 67, 89, 3], [2, 12, 3, 0, 0]])
MASK = (IDS != 0).long()


@pytest.fixture
def plain() -> DistilBertForSequenceClassification:
    return DistilBertForSequenceClassification.from_pretrained(DEMO, dtype="float32")


def logits(model: torch.nn.Module) -> Tensor:
    with torch.no_grad():
        return model(IDS, MASK).logits


def test_what_a_matrix_stands_for_quantized_again_is_the_same() -> None:
    weight = np.random.default_rng(0).normal(size=(64, 48)).astype(np.float32) * np.logspace(-6, 3, 64)[:, None]
    weight[5] = 0
    integers, scale = quantize(weight)
    assert np.abs(integers).max(axis=1)[6:].min() == 127
    assert np.abs(dequantize(integers, scale) - weight).max(axis=1).tolist() <= (scale * 0.5001).tolist()
    again = quantize(dequantize(integers, scale))
    assert np.array_equal(again[0], integers)
    assert np.array_equal(again[1][integers.any(axis=1)], scale[integers.any(axis=1)])


def test_the_layers_of_the_blocks_have_8_bits_and_the_answers_stay(plain: DistilBertForSequenceClassification) -> None:
    quantized = copy.deepcopy(plain).quantize("int8", skip=["0.ffn.lin2"])
    kinds = {name: type(module).__name__ for name, module in quantized.named_modules()}
    assert sum(kind == "QuantizedLinear" for kind in kinds.values()) == 6 * 3 - 1
    assert kinds["distilbert.transformer.layer.0.ffn.lin2"] == kinds["classifier"] == "Linear"
    difference = (logits(quantized) - logits(plain)).std() / logits(plain).std()
    assert 0 < difference < 0.1  # LIBRARIES of runtimes differ by 0.03; a wrong scale by 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_saved_and_loaded_it_gives_the_same_numbers(
    plain: DistilBertForSequenceClassification, tmp_path: Path, dtype: torch.dtype
) -> None:
    quantized = plain.to(dtype).quantize(skip=["q_lin"])
    quantized.save_pretrained(tmp_path, max_shard_size="500KB")
    loaded = DistilBertForSequenceClassification.from_pretrained(tmp_path)
    assert torch.equal(logits(loaded), logits(quantized))
    assert loaded.config.quantization_config == {"quant_method": "distilbert-int8", "skip": ["q_lin"]}
    assert loaded.load_report.message() == ""
    state = quantized.state_dict()
    for name, value in loaded.state_dict().items():
        assert value.dtype == state[name].dtype
        assert torch.equal(value, state[name]), name


def test_the_files_are_smaller_and_every_dialect_takes_them(
    plain: DistilBertForSequenceClassification, tmp_path: Path
) -> None:
    plain.save_pretrained(tmp_path / "plain")
    quantized = plain.quantize()
    quantized.save_pretrained(tmp_path / "int8")
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("plain", "int8")]
    assert sizes[1] < 0.6 * sizes[0]  # the table of words is not quantized
    summary = distilbert_conversion.convert(tmp_path / "int8", tmp_path / "tf", to="tf", format="safetensors")
    assert "18 weights of 8 bits" in summary.notes[-1]
    back = DistilBertForSequenceClassification.from_pretrained(tmp_path / "tf")
    assert not hasattr(back.config, "quantization_config")
    assert torch.equal(logits(back.quantize()), logits(quantized))


@pytest.mark.parametrize("rows", [1, 7, 40])
def test_the_product_without_the_processor_s_is_the_same(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(rows)
    a, b = (torch.randint(-127, 128, (size, 129), dtype=torch.int8) for size in (rows, 33))
    exact = (a.long() @ b.long().t()).float()
    assert torch.equal(int8.int8_product(a, b), exact)
    monkeypatch.setattr(int8, "INT8", False)
    assert torch.equal(int8.int8_product(a, b), exact)  # below 2 ** 24 float32 is exact


def test_what_cannot_be_done_is_said(plain: DistilBertForSequenceClassification) -> None:
    with pytest.raises(InputError, match="expected 'int8'"):
        plain.quantize("int4")
    with pytest.raises(InputError, match="no linear layer's name ends"):
        plain.quantize(skip=["lin3"])
    quantized = plain.quantize()
    with pytest.raises(InputError, match="no gradients"):
        quantized(IDS, MASK).logits.sum().backward()


def test_a_masked_lm_keeps_its_tied_projector() -> None:
    model = DistilBertForMaskedLM.from_pretrained(DEMO).quantize()
    assert model.vocab_projector.weight is model.distilbert.embeddings.word_embeddings.weight
    assert isinstance(model.distilbert.transformer.layer[0].attention.q_lin, QuantizedLinear)
    assert torch.isfinite(logits(model)).all()
