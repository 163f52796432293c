"""The other targets, each written and run in its own runtime by the export itself."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from distilbert_common.errors import MissingFrameworkError
from distilbert_conversion import open_checkpoint
from distilbert_conversion.diagnosis import advice_on_folder
from distilbert_deploy import ExportError, export, runtimes
from distilbert_deploy.targets import TARGETS, target_module
from distilbert_deploy.targets.families import load_in
from distilbert_deploy.weights import ModelWeights, read_weights
from distilbert_pt import DistilBertForMultipleChoice
from parity_tests.helpers.golden import GOLDEN

FILES = {
    "openvino": ["openvino_model.xml", "openvino_model.bin"],
    "saved-model": ["saved_model"],
    "litert": ["model.tflite"],
    "stablehlo": ["model.stablehlo"],
    "torch-export": ["model.pt2"],
    "executorch": ["model.pte"],
}
SOURCE = GOLDEN / "micro" / "ForMultipleChoice" / "pt"
"""The model with most axes: whatever it needs to be of any size, the others need too."""


@pytest.mark.parametrize("target", [target for target in FILES if target != "executorch"])
def test_each_target_gives_the_models_numbers(target: str, tmp_path: Path) -> None:
    check_export(target, tmp_path)


def check_export(target: str, tmp_path: Path) -> None:
    report = export(SOURCE, tmp_path / "out", target=target)
    assert [path.name for path in report.files] == FILES[target]
    assert all(path.exists() for path in report.files)
    assert (tmp_path / "out" / "config.json").is_file()
    assert 0 < report.difference.largest < 1e-5
    assert report.nbytes > 10_000
    assert "use the checkpoint that it was exported from" in advice_on_folder(tmp_path / "out", (), ())


def test_executorch_gives_the_models_numbers_and_says_nothing_but_why_it_cannot_run(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    check_export("executorch", tmp_path)
    run = target_module("executorch").open_run([tmp_path / "out" / "model.pte"])
    rows = np.full((1, 3, 4), 10**6)
    with pytest.raises(ExportError, match=r"cannot run the export for inputs \(1, 3, 4\): .*indices"):
        run({"input_ids": rows, "attention_mask": rows})
    assert capfd.readouterr() == ("", "")


def test_a_model_of_eight_bits_is_exported_as_the_floats_that_it_is_read_as(tmp_path: Path) -> None:
    DistilBertForMultipleChoice.from_pretrained(SOURCE).quantize().save_pretrained(tmp_path)
    models = [load_in("pt", weights_of(folder)) for folder in (SOURCE, tmp_path)]
    assert models[0].state_dict().keys() == models[1].state_dict().keys()


def weights_of(folder: Path) -> ModelWeights:
    with open_checkpoint(folder) as checkpoint:
        return read_weights(checkpoint)


@pytest.mark.parametrize("target", ["torch-export", "stablehlo"])
def test_bfloat16_rounds_what_is_computed(target: str, tmp_path: Path) -> None:
    report = export(SOURCE, tmp_path / "out", target=target, dtype="bfloat16")
    assert report.precision == "bfloat16"
    assert 1e-4 < report.difference.rms < 1e-1


def test_targets_say_what_they_cannot_do(tmp_path: Path) -> None:
    assert FILES.keys() | {"onnx"} == TARGETS.keys()
    with pytest.raises(ExportError, match="litert cannot be exported in int8; expected float32"):
        export(SOURCE, tmp_path / "out", target="litert", quantize="int8")
    missing = ModuleNotFoundError("No module named 'openvino'", name="openvino")
    with (
        mock.patch.object(runtimes, "import_module", side_effect=missing),
        pytest.raises(MissingFrameworkError, match=r"pip install 'distilbert\[openvino\]'"),
    ):
        export(SOURCE, tmp_path / "out", target="openvino")
    assert not list(tmp_path.iterdir())
