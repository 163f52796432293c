"""`distilbert export` as a user runs it: what is printed, errors, exit status."""

from __future__ import annotations

import json
from pathlib import Path

from parity_tests.helpers.checkpoints import MLM
from parity_tests.helpers.command_line import assert_refused, run


def test_an_export_prints_how_far_it_is_off(tmp_path: Path) -> None:
    result = run("export", MLM, tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("Exported a DistilBertForMaskedLM to onnx in float32:")
    assert "largest difference" in result.stdout
    result = run("export", MLM, tmp_path / "out", "--quantize", "int8", "--overwrite", "--json")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert (report["target"], report["precision"]) == ("onnx", "int8")
    assert Path(report["files"][0]).is_file()


def test_what_cannot_be_exported_is_one_sentence(tmp_path: Path) -> None:
    for options, message in (
        (("--to", "caffe"), "the target is 'caffe'; expected one of onnx, openvino, saved-model"),
        (("--quantize", "int8", "--to", "litert"), "litert cannot be exported in int8"),
        (("--opset", 9), "opset is 9; expected 17 to 23"),
        (("--data", tmp_path), "no tokenizer for the texts"),
    ):
        assert_refused(run("export", MLM, tmp_path / "out", *options), message)
        assert not (tmp_path / "out").exists()
