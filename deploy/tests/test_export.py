"""Exports appear whole and verified, or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from distilbert_common.errors import OutputExistsError
from distilbert_common.tokenization import DistilBertTokenizerFast
from distilbert_conversion import save_checkpoint
from distilbert_deploy import ExportError, export, load_model
from distilbert_deploy.targets import onnx as onnx_target
from distilbert_pt import DistilBertForMultipleChoice
from parity_tests.helpers.golden import GOLDEN
from parity_tests.helpers.pipeline_models import write_model

MULTIPLE_CHOICE = GOLDEN / "micro" / "ForMultipleChoice" / "pt"


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model("three", tmp_path_factory.mktemp("models"))


def test_an_export_has_all_that_its_readers_look_for(three: Path, tmp_path: Path) -> None:
    report = export(three, tmp_path / "out")
    files = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert {"config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt", "onnx/model.onnx"} <= files
    assert DistilBertTokenizerFast.from_pretrained(tmp_path / "out").model_max_length == 512
    meta = load_model(None, tmp_path / "out").session.get_modelmeta().custom_metadata_map
    assert json.loads(meta["labels"]) == ["negative", "neutral", "positive"]
    assert (meta["architecture"], meta["max_length"]) == ("DistilBertForSequenceClassification", "512")
    assert 0 < report.difference.absolute < 1e-4
    assert str(report.files[0]) in report.message()
    assert report.nbytes == report.files[0].stat().st_size
    assert json.loads(json.dumps(report.to_dict()))["target"] == "onnx"


def test_a_model_without_a_tokenizer_is_compared_on_drawn_ids(tmp_path: Path) -> None:
    report = export(MULTIPLE_CHOICE, tmp_path / "out")
    assert report.difference.largest < 1e-5
    ids = np.ones((2, 3, 4), np.int64)
    session = load_model(None, tmp_path / "out").session
    assert session.run(None, {"input_ids": ids, "attention_mask": ids})[0].shape == (2, 3)
    with pytest.raises(ExportError, match="no tokenizer for the texts"):
        export(MULTIPLE_CHOICE, tmp_path / "scored", labeled="x.csv")


@pytest.mark.parametrize("damage", ["numbers", "names", "infinite", "refused"])
def test_an_export_that_is_off_is_never_seen(damage: str, three: Path, tmp_path: Path) -> None:
    run = onnx_target.open_run

    def damaged(files: list[Path]) -> Any:
        true = run(files)
        if damage == "refused":
            return mock.Mock(side_effect=RuntimeError("no such operator\nin a long list"))
        if damage == "names":
            return lambda batch: {"output_0": true(batch)["logits"]}
        return lambda batch: {"logits": true(batch)["logits"] * (1.01 if damage == "numbers" else np.inf)}

    messages = {"numbers": "off by 0.01 of the largest", "names": "gives output_0", "infinite": "not finite"}
    messages["refused"] = "the onnx export of this model cannot be run: no such operator; nothing was written"
    with mock.patch.object(onnx_target, "open_run", damaged), pytest.raises(ExportError, match=messages[damage]):
        export(three, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_what_is_there_is_replaced_only_if_that_is_asked_for(three: Path, tmp_path: Path) -> None:
    export(three, tmp_path / "out")
    with pytest.raises(OutputExistsError, match="not empty"):
        export(three, tmp_path / "out")
    export(three, tmp_path / "out", overwrite=True)
    (tmp_path / "out" / "notes").mkdir()
    with pytest.raises(OutputExistsError, match="more than a saved model"):
        export(three, tmp_path / "out", overwrite=True)
    with pytest.raises(OutputExistsError, match="holds the checkpoint"):
        export(three, three, overwrite=True)


BAD = {
    "target": ({"target": "caffe"}, "target is 'caffe'; expected one of onnx"),
    "bits": ({"quantize": "int4"}, "quantize is 'int4'"),
    "both": ({"quantize": "int8", "dtype": "float16"}, "give one of them"),
    "dtype": ({"dtype": "float8"}, "onnx cannot be exported in float8"),
    "opset": ({"opset": 24}, "opset is 24; expected 17 to 23"),
    "another opset": ({"opset": 21, "target": "litert"}, "opset is for onnx and openvino"),
    "columns": ({"columns": {"text": "x"}}, "neither was given"),
    "texts": ({"calibration": "x.txt"}, "float32 needs none"),
    "labels": ({"target": "openvino", "labeled": "x.csv"}, "only exports to onnx are scored"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_exported_is_said(case: str, three: Path, tmp_path: Path) -> None:
    options, message = BAD[case]
    with pytest.raises(ExportError, match=message):
        export(three, tmp_path / "out", **options)
    assert not list(tmp_path.iterdir())


def test_modules_of_a_users_own_are_refused(tmp_path: Path) -> None:
    model = DistilBertForMultipleChoice.from_pretrained(MULTIPLE_CHOICE)
    tensors = {name.removeprefix("distilbert."): value.numpy() for name, value in model.state_dict().items()}
    tensors["gate.weight"] = np.ones((2, 2), np.float32)
    save_checkpoint(tmp_path / "source", tensors, model.config, "ForMultipleChoice")
    model.config.save_pretrained(tmp_path / "source")
    with pytest.raises(ExportError, match=r"gate\.weight; only the six models can be exported"):
        export(tmp_path / "source", tmp_path / "out")
