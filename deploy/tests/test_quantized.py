"""Eight bits and half precision: what is stored, how far outputs are, and what calibration reads."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from distilbert_common import DistilBertConfig, DistilBertTokenizerFast
from distilbert_common.errors import InputError
from distilbert_deploy import ExportError, export
from distilbert_deploy.calibration import activation_ranges, calibration_batches
from distilbert_deploy.onnx_model.quantized import quantize_rows
from distilbert_deploy.samples import padded_batch
from distilbert_deploy.weights import ModelWeights
from distilbert_tasks import pipeline
from parity_tests.helpers.pipeline_models import VOCAB, write_model

TEXTS = ["The card is lost.", "A transfer from Geneva has not arrived.", "Yes", "Why was I charged twice?"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    file = tmp_path / "texts.txt"
    file.write_text("\n".join(TEXTS))
    return file


def test_rows_are_rounded_to_the_nearest_of_255_steps() -> None:
    matrix = np.array([[0.0, 0.0], [-2.0, 1.0], [1e-6, 127e-6]], np.float32)
    integers, scales = quantize_rows(matrix)
    assert integers.tolist() == [[0, 0], [-127, 64], [1, 127]]
    assert np.abs(integers * scales[:, None] - matrix).max() <= scales.max() / 2


@pytest.mark.parametrize("is_calibrated", [False, True])
@pytest.mark.parametrize("name", ["mlm", "three", "answers"])
def test_matrices_and_tables_are_stored_in_eight_bits(
    name: str, is_calibrated: bool, models: Path, texts: Path, tmp_path: Path
) -> None:
    report = export(
        write_model(name, models), tmp_path / "out", quantize="int8", calibration=texts if is_calibrated else None
    )
    assert [path.name for path in report.files] == ["model_quantized.onnx"]
    model = onnx.load(report.files[0])
    large = {one.data_type for one in model.graph.initializer if len(one.dims) == 2 and min(one.dims) >= 32}
    assert large == {onnx.TensorProto.INT8}
    dynamic = {node.op_type for node in model.graph.node} & {"DynamicQuantizeLinear", "QuantizeLinear"}
    assert dynamic == {"QuantizeLinear" if is_calibrated else "DynamicQuantizeLinear"}
    assert report.nbytes < 0.5 * report.source_nbytes  # of such a small model, whose graph is as large as a matrix
    assert 1e-4 < report.difference.rms < 0.2


def test_a_reduced_range_leaves_room_for_sums_of_two_products(models: Path, texts: Path, tmp_path: Path) -> None:
    source = write_model("mlm", models)
    full, reduced = (
        export(source, tmp_path / f"out{reduce}", quantize="int8", calibration=texts, reduce_range=reduce)
        for reduce in (False, True)
    )
    largest = [
        max(np.abs(numpy_helper.to_array(one).astype(int)).max() for one in onnx.load(report.files[0]).graph.initializer
            if one.data_type == onnx.TensorProto.INT8)
        for report in (full, reduced)
    ]  # fmt: skip
    assert largest == [127, 63]
    assert full.difference.rms < reduced.difference.rms < 0.2
    with pytest.raises(ExportError, match="reduce_range is for int8"):
        export(source, tmp_path / "float", reduce_range=True)


def test_a_tied_projector_of_eight_bits_is_stored_once(models: Path, tmp_path: Path) -> None:
    report = export(write_model("mlm", models), tmp_path / "out", quantize="int8")
    vocab = len(VOCAB.read_text(encoding="utf-8").splitlines())
    tables = [one for one in onnx.load(report.files[0]).graph.initializer if vocab in one.dims and len(one.dims) == 2]
    assert len(tables) == 1
    answers = pipeline("fill-mask", tmp_path / "out")("The [MASK] is lost.")
    assert len(answers) == 5


def test_half_precision_takes_and_gives_what_float32_does(models: Path, tmp_path: Path) -> None:
    source = write_model("three", models)
    report = export(source, tmp_path / "out", dtype="float16")
    assert [path.name for path in report.files] == ["model_fp16.onnx"]
    assert 1e-6 < report.difference.largest < 2e-2
    assert report.nbytes < 0.7 * report.source_nbytes
    expected, actual = (pipeline(model=path)(TEXTS, top_k=None) for path in (source, tmp_path / "out"))
    for one, other in zip(expected, actual, strict=True):
        scores = {entry["label"]: entry["score"] for entry in other}
        assert all(abs(scores[entry["label"]] - entry["score"]) < 1e-2 for entry in one)  # eleven bits


def test_labeled_data_scores_the_export_beside_its_source(models: Path, tmp_path: Path) -> None:
    data = tmp_path / "data.csv"
    rows = zip(TEXTS, ("negative", "neutral", "positive", "neutral"), strict=True)
    data.write_text("remark,other,verdict\n" + "".join(f'"{text}",no text,{label}\n' for text, label in rows))
    columns, model = {"text": "remark", "label": "verdict"}, write_model("three", models)
    with pytest.raises(InputError, match=r"\(--column text=…\)"):
        export(model, tmp_path / "out", quantize="int8", calibration=data)
    with pytest.raises(InputError, match="columns names 'txt'"):
        export(model, tmp_path / "out", quantize="int8", calibration=data, columns={"txt": "remark"})
    report = export(model, tmp_path / "out", quantize="int8", calibration=data, labeled=str(data), columns=columns)
    assert report.metrics["source"].keys() == report.metrics["export"].keys() >= {"accuracy", "loss"}
    assert report.metrics["source"]["loss"] != report.metrics["export"]["loss"]
    assert report.agreement is not None
    assert "% of the predictions are the same" in report.message()


def test_ranges_are_those_of_the_inputs_of_each_matrix(models: Path) -> None:
    from distilbert_conversion import open_checkpoint
    from distilbert_deploy.weights import read_weights

    with open_checkpoint(write_model("mlm", models)) as checkpoint:
        weights: ModelWeights = read_weights(checkpoint)
    few, many = ([padded_batch([[5, 6, 7]])], [padded_batch([[5, 6, 7]]), padded_batch([[900, 901]])])
    narrow, wide = activation_ranges(weights, few, 20), activation_ranges(weights, many, 20)
    modules = {
        "vocab_projector",
        "vocab_transform",
        "transformer.layer.1.ffn.lin2",
        "transformer.layer.0.attention.q_lin",
    }
    assert modules <= narrow.keys() == wide.keys()
    assert all(wide[name][0] <= low < high <= wide[name][1] for name, (low, high) in narrow.items())
    assert narrow["transformer.layer.0.ffn.lin2"][0] >= -0.17  # what GELU gives is never lower


CALIBRATION = {
    "pairs": ("ForSequenceClassification", {"premise": "my", "hypothesis": "card"}, ["my [SEP] card"]),
    "words": ("ForTokenClassification", {"tokens": ["my", "card"], "tags": [0, 0]}, ["my card"]),
    "questions": ("ForQuestionAnswering", {"question": "my", "context": "card"}, ["my [SEP] card"]),
    "choices": ("ForMultipleChoice", {"prompt": "my", "choices": ["card", "no"]}, ["my [SEP] card", "my [SEP] no"]),
    "texts": ("ForMultipleChoice", {"text": "my card"}, ["my card"]),
}


@pytest.mark.parametrize("kind", CALIBRATION)
def test_calibration_reads_what_the_task_predicts(kind: str, models: Path, tmp_path: Path) -> None:
    head, row, expected = CALIBRATION[kind]
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    tokenizer = DistilBertTokenizerFast.from_pretrained(write_model("three", models))
    [batch] = calibration_batches(tmp_path / "rows.jsonl", tokenizer, ModelWeights(DistilBertConfig(), head, {}))
    with pytest.raises(InputError, match=r"outside 0\.\.9 "):
        calibration_batches(tmp_path / "rows.jsonl", tokenizer, ModelWeights(DistilBertConfig(vocab_size=10), head, {}))
    texts = tokenizer.batch_decode(batch["input_ids"].reshape(len(expected), -1).tolist())
    assert texts == [f"[CLS] {text} [SEP]" for text in expected]


def test_calibration_needs_texts(tmp_path: Path) -> None:
    empty = tmp_path / "empty.txt"
    empty.write_text("\n \n")
    with pytest.raises(InputError, match="no texts to calibrate with"):
        calibration_batches(empty, None, ModelWeights(DistilBertConfig(), "ForMaskedLM", {}))
