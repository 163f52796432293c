from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from distilbert_cli import compare as compare_module
from distilbert_cli.compare import measure
from distilbert_cli.tolerances import Tolerance
from parity_tests.helpers import golden
from parity_tests.helpers.command_line import run

DEMO = Path(__file__).resolve().parents[2] / "demo" / "model"
MICRO = golden.GOLDEN / "micro"


def test_the_demo_model_agrees_in_all_frameworks() -> None:
    status, out, _ = run("parity", DEMO, "--json")
    facts = json.loads(out)
    assert status == 0
    assert facts["agree"]
    assert (facts["head"], facts["dialect"], facts["dtype"]) == (
        "ForSequenceClassification",
        "pt-safetensors",
        "float32",
    )
    assert [row["output"] for row in facts["rows"]][:3] == ["hidden_states/0", "attentions/0", "hidden_states/1"]
    assert facts["rows"][-1]["output"] == "logits"
    for row in facts["rows"]:
        assert set(row["differences"]) == {"pt-tf", "pt-flax", "tf-flax"}
        assert all(0 <= difference <= row["limit"] for difference in row["differences"].values())
    assert any(difference > 0 for row in facts["rows"] for difference in row["differences"].values()), (
        "really ran twice"
    )


@pytest.mark.parametrize("head", golden.HEADS)
def test_every_head_of_another_dialect_without_a_vocabulary(head: str) -> None:
    status, out, _ = run("parity", MICRO / head / "flax_msgpack", "--frameworks", "pt,flax", "--json")
    facts = json.loads(out)
    assert status == 0
    assert (facts["head"], facts["texts"]) == (head, [])
    assert len(facts["shape"]) == (3 if head == "ForMultipleChoice" else 2)


def test_the_table_names_layers_figures_and_tolerance() -> None:
    status, out, _ = run(
        "parity", DEMO, "--frameworks", "pt,flax", "--text", "I lost my card!", "--text", "Where is it?"
    )
    assert status == 0
    for words in ("pt-flax", "hidden_states/3", "logits", "2 texts", "Tolerance 5e-05", "The frameworks agree."):
        assert words in out


def test_a_difference_past_the_tolerance_gives_exit_status_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(compare_module.TOLERANCES, "float32", Tolerance(1e-12, "stricter than rounding"))
    status, out, _ = run("parity", DEMO, "--frameworks", "pt,flax")
    assert status == 1
    assert "The frameworks disagree." in out


def test_a_difference_is_measured_and_nan_never_agrees() -> None:
    ones, other, broken = (
        np.ones(3, np.float32),
        np.array([1, 1.5, 1], np.float32),
        np.array([1, np.nan, 1], np.float32),
    )
    (row,) = measure({"pt": {"logits": ones}, "tf": {"logits": other}}, tolerance=0.1)
    assert row.differences == {"pt-tf": 0.5}
    assert not row.agree
    (row,) = measure({"pt": {"logits": ones}, "tf": {"logits": ones.copy()}}, tolerance=0.0)
    assert row.agree
    (row,) = measure({"pt": {"logits": broken}, "tf": {"logits": broken}}, tolerance=0.1)
    assert not row.agree


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no/such/dir"], "has no weights|is neither a directory nor a hub id|not a directory here"),
        ([DEMO, "--frameworks", "pt,mxnet"], "'mxnet' is not a framework; choose from pt, tf, flax"),
        ([DEMO, "--frameworks", "pt"], "only PyTorch is there; a comparison needs two frameworks"),
        ([DEMO, "--device", "tpu"], "--device is 'tpu'; expected cpu or gpu"),
        ([DEMO, "--dtype", "int8"], "--dtype is 'int8'; expected one of float32"),
    ],
)
def test_bad_input_gives_one_sentence_and_exit_status_2(arguments: list[object], words: str) -> None:
    status, out, err = run("parity", *arguments)
    assert status == 2
    assert out == ""
    assert "Traceback" not in err
    assert any(word in " ".join(err.split()) for word in words.split("|"))
