"""The layers are written with `keras.ops`: the golden numbers hold on each backend of Keras, and `fit` trains."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import sys, keras, numpy as np
from parity_tests.helpers import golden
from tf_models import CLASSES, MICRO, array, difference

assert keras.backend.backend() == sys.argv[1]
head = "ForMultipleChoice"
path, inputs = MICRO / head / "pt", golden.inputs(MICRO, head)
model = CLASSES[head].from_pretrained(path)
actual, expected = model(inputs), golden.expected(MICRO, head, "f64")
assert difference(actual.logits, expected["logits"]) < 2e-5
assert abs(float(actual.loss) - expected["loss"]) < 2e-5

inputs["attention_mask"][0] = 0
exact = model.predict(inputs, verbose=0)["logits"]
for dtype in ("float16", "bfloat16"):
    for path_taken in ("eager", "sdpa"):
        half = CLASSES[head].from_pretrained(path, dtype=dtype, attn_implementation=path_taken)
        logits = half.predict(inputs, verbose=0)["logits"]
        assert difference(logits, exact) < 0.05, (dtype, path_taken)

model.compile(keras.optimizers.SGD(0.0))
quiet = model.evaluate(inputs, verbose=0)
assert abs(model.fit(inputs, verbose=0).history["loss"][0] - quiet) > 1e-5, "dropout acts in fit"
assert model.evaluate(inputs, verbose=0) == quiet

labels = inputs.pop("labels")
each = array(model.hf_compute_loss(labels, model(inputs).logits))
weights = np.linspace(0, 2, len(labels))
weighted = model.evaluate(inputs, labels, sample_weight=weights, verbose=0)
assert abs(weighted - (each * weights).mean()) < 1e-4
assert abs(model.evaluate(((inputs, labels) for _ in range(2)), verbose=0) - each.mean()) < 1e-4
model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
assert abs(model.evaluate({**inputs, "labels": labels}, verbose=0)[0] - each.mean()) < 1e-4
assert "tensorflow" not in sys.modules
print("done")
"""

DISTILLATION = """
import keras
from distilbert_common.training import DistillationOptions, EngineOptions, MicroBatch
from distilbert_tf import distillation_loss
from distilbert_tf.engine import Engine
from parity_tests.helpers import golden
from tf_models import CLASSES, MICRO, array

assert keras.backend.backend() == "jax"
head = "ForMaskedLM"
inputs = golden.inputs(MICRO, head)
labels = inputs.pop("labels")
student = CLASSES[head].from_pretrained(MICRO / head / "pt", dropout=0.0, attention_dropout=0.0)
teacher = CLASSES[head](student.config)
outputs = [model(inputs, output_hidden_states=True) for model in (student, teacher)]
logits, hidden = [output.logits for output in outputs], [output.hidden_states[-1] for output in outputs]
expected = distillation_loss(*logits, labels, *hidden, inputs["attention_mask"])

engine = Engine(student, EngineOptions(distillation=DistillationOptions()), "cpu", teacher=teacher)
before = [array(variable) for variable in teacher.variables]
steps = [engine.train_step([MicroBatch(inputs, {"labels": labels})], step, 1e-2) for step in range(3)]
for name, value in (("ce", expected.ce), ("mlm", expected.mlm), ("cos", expected.cos)):
    assert abs(float(steps[0].terms[f"loss_{name}"]) / float(value) - 1) < 1e-5, name
assert float(steps[2].loss) < float(steps[0].loss)
assert all((array(variable) == value).all() for variable, value in zip(teacher.variables, before, strict=True))
print("done")
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_of_keras(backend: str, repository: Path) -> None:
    assert_done(CODE, backend, repository)


def test_a_student_of_a_teacher_on_jax(repository: Path) -> None:
    assert_done(DISTILLATION, "jax", repository)


def assert_done(code: str, backend: str, repository: Path) -> None:
    """Run a program on a backend of Keras."""
    paths = [repository, Path(__file__).parent, *map(Path, sys.path)]
    environment = os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    command = [sys.executable, "-c", code, backend]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert finished.stdout.strip() == "done", finished.stderr
