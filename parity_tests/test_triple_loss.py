"""The distillation loss: the same value, parts and gradients in the three frameworks, and those of the definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from parity_tests.helpers.tolerances import TRIPLE_LOSS

BATCH, SEQ, VOCAB, DIM = 3, 7, 31, 12
OPTIONS: list[dict[str, Any]] = [
    {},
    {"temperature": 4.0, "alpha_ce": 0.5, "alpha_mlm": 0.25, "alpha_cos": 3.0},
    {"restrict_ce_to_mask": True},
]


def make_inputs() -> tuple[np.ndarray, ...]:
    """Return student and teacher logits, labels, student and teacher hidden states, and a mask with padding."""
    draw = np.random.default_rng(0)
    logits = draw.normal(0, 3, (2, BATCH, SEQ, VOCAB)).astype(np.float32)
    hidden = draw.normal(0, 1, (2, BATCH, SEQ, DIM)).astype(np.float32)
    mask = (np.arange(SEQ) < np.array([[7], [4], [1]])).astype(np.int64)
    labels = np.where((draw.random((BATCH, SEQ)) < 0.4) & (mask == 1), draw.integers(0, VOCAB, (BATCH, SEQ)), -100)
    assert 0 < (labels >= 0).sum() < mask.sum()
    return logits[0], logits[1], labels, hidden[0], hidden[1], mask


DEFAULTS = {"temperature": 2.0, "alpha_ce": 5.0, "alpha_mlm": 2.0, "alpha_cos": 1.0, "restrict_ce_to_mask": False}


def reference(inputs: tuple[np.ndarray, ...], options: dict[str, Any]) -> list[float]:
    """Compute total, ce, mlm and cos from the definition, token by token, in float64."""
    student, teacher, labels, student_hidden, teacher_hidden, mask = (np.asarray(x, np.float64) for x in inputs)
    options = DEFAULTS | options
    temperature = options["temperature"]

    def log_softmax(x: np.ndarray) -> np.ndarray:
        return x - x.max() - np.log(np.exp(x - x.max()).sum())

    ce, mlm, cos = [], [], []
    for b, s in np.argwhere(mask):
        p, q = log_softmax(teacher[b, s] / temperature), log_softmax(student[b, s] / temperature)
        if labels[b, s] >= 0 or not options["restrict_ce_to_mask"]:
            ce.append((np.exp(p) * (p - q)).sum() * temperature**2)
        if labels[b, s] >= 0:
            mlm.append(-log_softmax(student[b, s])[int(labels[b, s])])
        x, y = student_hidden[b, s], teacher_hidden[b, s]
        cos.append(1 - x @ y / np.linalg.norm(x) / np.linalg.norm(y))
    parts = [np.mean(ce), np.mean(mlm), np.mean(cos)]
    total = np.dot(parts, [options["alpha_ce"], options["alpha_mlm"], options["alpha_cos"]])
    return [float(total), *map(float, parts)]


def pt_loss(inputs: tuple[np.ndarray, ...], options: dict[str, Any]) -> tuple[list[float], list[np.ndarray]]:
    import torch

    from distilbert_pt import distillation_loss

    tensors = [torch.from_numpy(array) for array in inputs]
    student = [tensors[0].requires_grad_(), tensors[3].requires_grad_()]
    teacher = [tensors[1].requires_grad_(), tensors[4].requires_grad_()]
    loss = distillation_loss(*tensors, **options)
    loss.total.backward()
    assert all(x.grad is None for x in teacher)
    return [float(part) for part in loss], [x.grad.numpy() for x in student]


def tf_loss(inputs: tuple[np.ndarray, ...], options: dict[str, Any]) -> tuple[list[float], list[np.ndarray]]:
    import tensorflow as tf

    from distilbert_tf import distillation_loss

    tensors = [tf.constant(array) for array in inputs]
    with tf.GradientTape() as tape:
        tape.watch([tensors[i] for i in (0, 1, 3, 4)])
        loss = distillation_loss(*tensors, **options)
    gradients = tape.gradient(loss.total, [tensors[i] for i in (0, 3, 1, 4)])
    assert gradients[2] is gradients[3] is None
    return [float(part) for part in loss], [g.numpy() for g in gradients[:2]]


def flax_loss(inputs: tuple[np.ndarray, ...], options: dict[str, Any]) -> tuple[list[float], list[np.ndarray]]:
    import jax

    from distilbert_flax import distillation_loss

    def total(student, student_hidden, teacher, teacher_hidden):
        loss = distillation_loss(student, teacher, inputs[2], student_hidden, teacher_hidden, inputs[5], **options)
        return loss.total, loss

    arguments = (inputs[0], inputs[3], inputs[1], inputs[4])
    gradients, loss = jax.grad(total, argnums=(0, 1, 2, 3), has_aux=True)(*arguments)
    assert not np.any(gradients[2])
    assert not np.any(gradients[3])
    return [float(part) for part in loss], [np.asarray(g) for g in gradients[:2]]


LOSSES = {"pt": pt_loss, "tf": tf_loss, "flax": flax_loss}


@pytest.mark.parametrize("options", OPTIONS, ids=["paper", "other weights", "restricted"])
def test_values_and_gradients_agree(options: dict[str, Any]) -> None:
    inputs = make_inputs()
    expected = reference(inputs, options)
    results = {name: loss(inputs, options) for name, loss in LOSSES.items()}
    first = results["pt"][1]
    for name, (values, gradients) in results.items():
        assert np.allclose(values, expected, rtol=TRIPLE_LOSS.value, atol=0), name
        for mine, other in zip(gradients, first, strict=True):
            assert np.abs(mine - other).max() <= TRIPLE_LOSS.value * np.abs(other).max(), name


@pytest.mark.parametrize("framework", LOSSES)
def test_nothing_to_count_gives_zero(framework: str) -> None:
    inputs = list(make_inputs())
    inputs[2], inputs[5] = np.full_like(inputs[2], -100), np.zeros_like(inputs[5])
    values, gradients = LOSSES[framework](tuple(inputs), {})
    assert values == [0.0, 0.0, 0.0, 0.0]
    assert not any(np.any(g) for g in gradients)
