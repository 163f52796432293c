"""Exported models in the place of a framework's: pipelines, predict and evaluate, and inputs that are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distilbert_common.errors import CheckpointNotFoundError, InputError
from distilbert_deploy import OnnxEngine, export, load_model
from distilbert_tasks import evaluate, pipeline, predict
from parity_tests.helpers.pipeline_models import write_model
from parity_tests.helpers.pipeline_results import differences

TEXTS = ["The card is lost.", "A long transfer that has not arrived, from Geneva to Paris, in March.", "Yes"]
CASES = {
    "base": ("feature-extraction", TEXTS),
    "mlm": ("fill-mask", ["The [MASK] is lost.", "A [MASK]."]),
    "three": ("text-classification", TEXTS),
    "entities": ("token-classification", TEXTS),
    "answers": ("question-answering", {"question": "Where?", "context": "The card is in Paris."}),
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the folders of a model and of its export."""
    root = tmp_path_factory.mktemp("models")

    def both(name: str) -> tuple[Path, Path]:
        source, target = write_model(name, root), root / f"{name}-onnx"
        if not target.exists():
            export(source, target)
        return source, target

    return both


@pytest.mark.parametrize("name", CASES)
def test_pipelines_answer_as_the_source_does(name: str, exported: Any) -> None:
    source, target = exported(name)
    task, inputs = CASES[name]
    expected, made = pipeline(task, source, framework="pt")(inputs), pipeline(task, target)
    assert made.framework == "onnx"
    assert not differences(made(inputs), expected)


def test_predict_and_evaluate_take_an_export(exported: Any, tmp_path: Path) -> None:
    source, target = exported("three")
    rows = [
        {"text": text, "label": label} for text, label in zip(TEXTS, ("negative", "neutral", "positive"), strict=True)
    ]
    data = tmp_path / "data.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)))
    assert [row["label"] for row in predict(target, TEXTS)] == [row["label"] for row in predict(source, TEXTS)]
    expected = evaluate(source, data=data)
    file = target / "onnx" / "model.onnx"
    assert next(iter(predict(file, TEXTS)))["label"] == next(iter(predict(source, TEXTS)))["label"]
    for model, layout in ((target, "packed"), (file, "padded")):
        assert evaluate(model, data=data, layout=layout) == pytest.approx(expected, abs=1e-5)  # rounding


BAD = {
    "id": ({"input_ids": np.array([[2000000]])}, "input_ids holds 2000000, outside 0.."),
    "length": ({"input_ids": np.ones((1, 513), np.int64)}, "513 tokens long"),
    "axes": ({"input_ids": np.ones(3, np.int64)}, r"shape \(3,\); expected \(batch, seq\)"),
    "type": ({"input_ids": np.ones((1, 3))}, "of type float64"),
    "mask": ({"input_ids": np.ones((1, 3), int), "attention_mask": np.ones((1, 2), int)}, "attention_mask has shape"),
    "unknown": ({"input_ids": np.ones((1, 3), int), "head_mask": 1}, "takes no head_mask"),
    "positions": (
        {"input_ids": np.ones((1, 2), int), "segment_ids": np.ones((1, 2), int), "position_ids": np.array([[0, 512]])},
        "position_ids holds 512",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_inputs_never_reach_the_runtime(case: str, exported: Any) -> None:
    engine = OnnxEngine(load_model(None, exported("three")[1]))
    inputs, message = BAD[case]
    with pytest.raises(InputError, match=message):
        engine.eval_step(inputs)


def test_another_model_than_the_task_needs_is_refused(exported: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs a DistilBertForQuestionAnswering"):
        pipeline("question-answering", exported("three")[1])
    with pytest.raises(CheckpointNotFoundError, match=r"has no onnx/model\.onnx; export a model there"):
        load_model(None, tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"no model")
    (tmp_path / "config.json").write_text((exported("three")[0] / "config.json").read_text())
    with pytest.raises(InputError, match=r"ONNX Runtime cannot open .*model.onnx"):
        load_model(None, tmp_path)


def test_a_pipeline_of_an_export_is_saved_whole(exported: Any, tmp_path: Path) -> None:
    made = pipeline(model=exported("three")[1])
    made.save_pretrained(tmp_path / "copy")
    assert not differences(pipeline(model=tmp_path / "copy")(TEXTS), made(TEXTS))
