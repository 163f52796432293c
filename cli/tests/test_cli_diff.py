"""`distilbert diff` as a user runs it: output and exit status."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from distilbert_conversion import convert, open_checkpoint, save_checkpoint
from parity_tests.helpers.checkpoints import MICRO, MLM, read_all
from parity_tests.helpers.command_line import run


def changed(tmp_path: Path, value: float) -> Path:
    tensors = read_all(MLM)
    tensors["vocab_transform.bias"][3] += value
    config = open_checkpoint(MLM).config()
    save_checkpoint(tmp_path / "changed", tensors, config, "ForMaskedLM")
    config.save_pretrained(tmp_path / "changed")
    return tmp_path / "changed"


def test_equal() -> None:
    result = run("diff", MLM, MICRO / "ForMaskedLM" / "tf_h5")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[-1] == "41 of 41 tensors equal"
    assert "│" not in result.stdout  # no table where there is nothing to list


def test_all_lists_the_equal_ones() -> None:
    result = run("diff", MLM, MICRO / "ForMaskedLM" / "pt_bin", "--all")
    assert result.exit_code == 0
    assert sum("│ equal" in line for line in result.stdout.splitlines()) == 41
    assert "tied, and stored on one side only: vocab_projector.weight" in result.stdout


def test_one_value(tmp_path: Path) -> None:
    result = run("diff", MLM, changed(tmp_path, 0.25))
    assert result.exit_code == 1
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in result.stdout.splitlines() if "│" in line]
    (row,) = rows
    assert row[:5] == ["vocab_transform.bias", "values", "12 float32", "12 float32", "0.25"]
    assert result.stdout.splitlines()[-1] == "40 of 41 tensors equal; differing: 1 values"


def test_json(tmp_path: Path) -> None:
    result = run("diff", MLM, changed(tmp_path, np.inf), "--json")
    assert result.exit_code == 1
    facts = json.loads(result.stdout)
    assert (facts["equal"], facts["dialects"]) == (False, ["pt-safetensors", "pt-safetensors"])
    assert facts["counts"] == {"equal": 40, "values": 1, "type": 0, "shape": 0, "only in A": 0, "only in B": 0}
    (entry,) = (tensor for tensor in facts["tensors"] if tensor["status"] != "equal")
    assert (entry["name"], entry["absolute"], entry["shapes"]) == ("vocab_transform.bias", "inf", [[12], [12]])
    assert json.loads(run("diff", MLM, MLM, "--json").stdout)["equal"] is True


def test_another_type(tmp_path: Path) -> None:
    convert(MLM, tmp_path / "half", to="pt", dtype="float16")
    result = run("diff", MLM, tmp_path / "half")
    assert result.exit_code == 1
    assert "0 of 41 tensors equal; differing: 41 type" in result.stdout


def test_bad_input(tmp_path: Path) -> None:
    for arguments in ((MLM, tmp_path), (tmp_path / "absent", MLM)):
        result = run("diff", *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith("distilbert: ")
