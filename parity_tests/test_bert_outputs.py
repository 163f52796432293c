"""A BERT read as a DistilBERT computes, in every framework, what transformers computes with the BERT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distilbert_cli.frameworks import FRAMEWORKS
from distilbert_conversion import convert
from parity_tests.helpers.tolerances import BERT

DATA = Path(__file__).resolve().parent / "data" / "bert"
CASES: tuple[tuple[str, str, str, dict[str, Any], str], ...] = (
    # folder               head               output               options                      reference
    ("tf_h5", "Model", "last_hidden_state", {"head": "Model"}, "last_hidden_state"),
    ("pt", "ForMaskedLM", "logits", {}, "ForMaskedLM"),
    ("flax_msgpack", "Model", "last_hidden_state", {"head": "Model", "layers": [0, 2, 3]}, "layers/last_hidden_state"),
    ("pt", "Model", "last_hidden_state", {"head": "Model", "fold_token_type": False}, "unfolded/last_hidden_state"),
    ("ForTokenClassification", "ForTokenClassification", "logits", {}, "ForTokenClassification"),
    ("ForQuestionAnswering", "ForQuestionAnswering", "start_logits", {}, "ForQuestionAnswering"),
    (
        "ForSequenceClassification",
        "Model",
        "last_hidden_state",
        {},
        "ForSequenceClassification/last_hidden_state",
    ),
)


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize(("folder", "head", "output", "options", "reference"), CASES, ids=lambda value: str(value))
def test_outputs(
    framework: str, folder: str, head: str, output: str, options: dict[str, Any], reference: str, tmp_path: Path
) -> None:
    convert(DATA / folder, tmp_path / "out", to=framework, **options)
    family = FRAMEWORKS[framework]
    with np.load(DATA / "expected.npz") as arrays:
        inputs = {name: arrays[name] for name in ("input_ids", "attention_mask")}
        expected = arrays[reference]
    array = family.run(family.load(tmp_path / "out", head), inputs, "cpu", {})[output]
    tokens = inputs["attention_mask"].astype(bool)
    assert np.abs(array - expected)[tokens].max() <= BERT.value
