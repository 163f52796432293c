"""ONNX models in ONNX Runtime: the numbers of transformers, every activation, pruned heads, packed rows, metadata."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from distilbert_common import pack
from distilbert_conversion import open_checkpoint
from distilbert_deploy.errors import ExportError
from distilbert_deploy.onnx_model import OPSETS, build_model
from distilbert_deploy.packed_inputs import packed_inputs
from distilbert_deploy.reference import ACTIVATIONS, forward
from distilbert_deploy.session import open_session
from distilbert_deploy.weights import ModelWeights, read_weights
from distilbert_pt import DistilBertModel
from parity_tests.helpers import golden
from parity_tests.helpers.tolerances import MATRIX

MICRO = golden.GOLDEN / "micro"
ROUNDING = 1e-5
"""Absolute, of outputs of about 1: the same sums in float32 in another order."""


def weights_of(head: str, folder: Path = MICRO) -> ModelWeights:
    with open_checkpoint(folder / head / "pt") as checkpoint:
        return read_weights(checkpoint)


def run(weights: ModelWeights, inputs: dict[str, np.ndarray], opset: int = 20) -> dict[str, np.ndarray]:
    model = build_model(weights, opset=opset)
    onnx.checker.check_model(model, full_check=True)
    session = open_session(model.SerializeToString(), threads=1)
    names = [one.name for one in session.get_outputs()]
    arrays = {name: values.astype(np.int64) for name, values in inputs.items()}
    return dict(zip(names, session.run(names, arrays), strict=True))


@pytest.mark.parametrize("case", golden.cases(), ids=golden.case_id)
def test_each_model_gives_what_transformers_gives(case: tuple) -> None:
    inputs, expected = golden.inputs(*case), golden.expected(*case, "f64")
    outputs = run(weights_of(case[1], case[0]), {name: inputs[name] for name in ("input_ids", "attention_mask")})
    assert outputs
    for name, values in outputs.items():
        assert np.abs(values - expected[name]).max() <= MATRIX.value, name


@pytest.mark.parametrize("opset", [OPSETS[0], OPSETS[-1]])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_each_activation_in_old_and_new_versions_of_onnx(activation: str, opset: int) -> None:
    weights = weights_of("ForMaskedLM")
    weights = replace(weights, config=weights.config.updated(activation=activation))
    ids = np.arange(1, 13).reshape(2, 6)
    batch = {"input_ids": ids, "attention_mask": np.array([[1] * 6, [1] * 4 + [0] * 2])}
    expected = forward(weights, **batch)["logits"]
    assert np.abs(run(weights, batch, opset)["logits"] - expected).max() <= ROUNDING


def test_versions_that_lack_an_operator_are_refused() -> None:
    with pytest.raises(ExportError, match="opset is 16; expected 17 to 23"):
        build_model(weights_of("Model"), opset=16)


@pytest.mark.parametrize("head", ["Model", "ForSequenceClassification", "ForQuestionAnswering"])
def test_packed_rows_give_what_each_text_gives_alone(head: str) -> None:
    weights = weights_of(head)
    lists = [[5, 6, 7], [8], [9, 10, 11, 12], [13, 14], [4, 3, 2, 9, 6]]
    packed = pack(lists, 7)
    reads_first_token = weights.reads_first_token
    outputs = run(weights, packed_inputs(packed.inputs, reads_first_token=reads_first_token))
    for name, values in outputs.items():
        per_row = values.reshape(len(packed.input_ids), -1, values.shape[-1]) if reads_first_token else values
        texts = packed.unpack_lists(per_row) if reads_first_token else packed.unpack_tokens(per_row)
        for tokens, actual in zip(lists, texts, strict=True):
            ids = np.array([tokens])
            expected = forward(weights, ids, np.ones_like(ids))[name][0]
            assert np.abs(actual - expected).max() <= ROUNDING


def test_a_row_of_padding_attends_evenly_as_in_the_contract() -> None:
    weights = weights_of("ForTokenClassification")
    batch = {"input_ids": np.array([[3, 4, 5], [6, 7, 8]]), "attention_mask": np.array([[0, 0, 0], [7, 0, 1]])}
    outputs = run(weights, batch)["logits"]
    assert np.abs(outputs - forward(weights, **batch)["logits"]).max() <= ROUNDING


def test_pruned_heads(tmp_path: Path) -> None:
    model = DistilBertModel.from_pretrained(MICRO / "Model" / "pt")
    model.prune_heads({0: [1]})
    model.save_pretrained(tmp_path)
    with open_checkpoint(tmp_path) as checkpoint:
        weights = read_weights(checkpoint)
    ids = np.arange(1, 9)[None]
    expected = model(torch.from_numpy(ids))[0].detach().numpy()
    assert (
        np.abs(
            run(weights, {"input_ids": ids, "attention_mask": np.ones_like(ids)})["last_hidden_state"] - expected
        ).max()
        <= ROUNDING
    )


def test_a_tied_projector_is_stored_once_and_axes_have_names() -> None:
    model = build_model(weights_of("ForMaskedLM"), metadata={"labels": "[]"})
    config = weights_of("ForMaskedLM").config
    large = [tuple(one.dims) for one in model.graph.initializer if config.vocab_size in one.dims and len(one.dims) == 2]
    assert large == [(config.vocab_size, config.dim)]
    axes = {one.name: [dim.dim_param for dim in one.type.tensor_type.shape.dim] for one in model.graph.input}
    assert axes["input_ids"] == axes["attention_mask"] == ["batch", "seq"]
    assert [one.name for one in model.graph.output] == ["logits"]
    assert {one.key: one.value for one in model.metadata_props} == {"labels": "[]"}
