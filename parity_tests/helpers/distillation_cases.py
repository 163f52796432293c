"""What tests of distillation share: a small student and teacher, and the loss that PyTorch computes of whole logits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from distilbert_common.training import DistillationOptions, EngineOptions, MicroBatch
from distilbert_tasks.engines import engine_module
from parity_tests.helpers.engine_cases import NO_DROPOUT, Arrays, batch_of, config_of
from parity_tests.helpers.tolerances import GRADIENT, TRIPLE_LOSS

MASKED_LM = "ForMaskedLM"
LAYERS, WIDE = 2, 48
"""The teacher has more layers than the student; where it is wider too, so wide."""
PLAIN = EngineOptions(max_grad_norm=None, distillation=DistillationOptions())


def save_model(folder: Path, head: str, seed: int, **fields: Any) -> Path:
    """Write a small random model with a head."""
    import torch

    import distilbert_pt

    torch.manual_seed(seed)
    getattr(distilbert_pt, f"DistilBert{head}")(config_of(head, **{**NO_DROPOUT, **fields})).save_pretrained(folder)
    return folder


def options_of(base: EngineOptions = PLAIN, **fields: Any) -> EngineOptions:
    """Return options with others of distillation."""
    return replace(base, distillation=DistillationOptions(**fields))


def assert_same(actual: tuple[dict[str, float], Arrays], expected: tuple[dict[str, float], Arrays]) -> None:
    """Assert that the loss, its terms and all gradients agree; terms that are not computed are not compared."""
    for name, value in actual[0].items():
        assert abs(value - expected[0][name]) <= TRIPLE_LOSS.value * abs(expected[0][name]) + 1e-7, name
    assert actual[1].keys() >= expected[1].keys()
    for name, gradient in expected[1].items():
        largest = float(np.abs(gradient).max())
        scale = max(largest, 1e-3 if largest > 1e-6 else 1e-2)  # some, as those of keys' biases, are 0 but for rounding
        assert float(np.abs(actual[1][name] - gradient).max()) <= GRADIENT.value * scale, name


def engine_of(framework: str, head: str, student: Path, teacher: Path | None, options: EngineOptions) -> Any:
    """Return the engine of a student, with a teacher that is there or was asked ahead of time."""
    module = engine_module(framework)
    models = [None if path is None else module.load_model(head, path) for path in (student, teacher)]
    return module.Engine(models[0], options, "cpu", teacher=models[1])


def gradients_of(engine: Any, micro_batches: list[MicroBatch]) -> tuple[dict[str, float], Arrays]:
    """Train for one step, and return the loss and its terms, and the gradients by name, as the moments tell them."""
    result = engine.train_step(micro_batches, 0, 0.0)
    terms = {"loss": float(result.loss)} | {name: float(term) for name, term in result.terms.items()}
    factor = np.float32(1 - engine.options.betas[0])
    moments = {n: array for n, array in engine.state().items() if n.startswith("first_moments/")}
    return terms, {name.removeprefix("first_moments/"): array / factor for name, array in moments.items()}


def cached(micro_batch: MicroBatch, outputs: Arrays) -> MicroBatch:
    """Return a micro batch with what a teacher gave for it."""
    return replace(micro_batch, teacher=outputs)


def parts_of(batch: MicroBatch) -> list[MicroBatch]:
    """Return two halves of the rows, each with its shares of the labels and of the tokens."""
    mask = np.asarray(batch.inputs.get("attention_mask", batch.inputs.get("segment_ids"))) != 0
    labeled = next(iter(batch.labels.values())) != -100
    return [
        MicroBatch(
            {name: x[rows] if isinstance(x, np.ndarray) else x for name, x in batch.inputs.items()},
            {name: x[rows] for name, x in batch.labels.items()},
            float(labeled[rows].sum() / labeled.sum()),
            None if batch.teacher is None else {name: x[rows] for name, x in batch.teacher.items()},
            float(mask[rows].sum() / mask.sum()),
        )
        for rows in (slice(0, len(mask) // 2), slice(len(mask) // 2, None))
    ]


def expected(
    student: Path,
    teacher: Path,
    batch: MicroBatch,
    training: EngineOptions,
    projection: np.ndarray | None = None,
    top_k: int | None = None,
) -> tuple[dict[str, float], Arrays]:
    """Return the terms of masked LM and the gradients, by `losses.distillation_loss` of whole logits.

    Args:
        student: The folder of the student.
        teacher: That of its teacher.
        batch: What both read.
        training: How the student learns.
        projection: (teacher's dim, dim), or None.
        top_k: Among how many tokens the teacher's probability is divided; None for all.
    """
    import torch

    import distilbert_pt
    from distilbert_pt.inventory import named_tensors

    models = [distilbert_pt.DistilBertForMaskedLM.from_pretrained(path) for path in (student, teacher)]
    inputs = {n: torch.from_numpy(x) if isinstance(x, np.ndarray) else x for n, x in batch.inputs.items()}
    outputs = [model(**inputs, output_hidden_states=True, return_dict=True) for model in models]
    hidden = outputs[0].hidden_states[-1]
    matrix = None if projection is None else torch.from_numpy(projection).requires_grad_()
    options, labels, logits = training.distillation, torch.from_numpy(batch.labels["labels"]), outputs[1].logits
    assert options is not None
    if top_k is not None:
        logits = logits.where(logits >= logits.topk(top_k).values[..., -1:], -1e30)  # (batch, seq, vocab)
    loss = distilbert_pt.distillation_loss(
        outputs[0].logits,
        logits,
        labels,
        hidden if matrix is None else hidden @ matrix.T,
        outputs[1].hidden_states[-1],
        inputs.get("attention_mask", inputs.get("segment_ids")),
        temperature=options.temperature,
        alpha_ce=options.alpha_ce,
        alpha_mlm=options.alpha_task,
        alpha_cos=options.alpha_cos,
        restrict_ce_to_mask=options.restrict_ce_to_mask,
    )
    smoothed = torch.nn.functional.cross_entropy(
        outputs[0].logits.flatten(0, 1), labels.flatten(), label_smoothing=training.label_smoothing
    )
    total = loss.total + options.alpha_task * (smoothed - loss.mlm)
    total.backward()
    gradients = {name: x.grad.numpy() for name, x in named_tensors(models[0]).items() if x.grad is not None}
    if matrix is not None:
        gradients["hidden_projection.weight"] = matrix.grad.numpy()
    terms = {"loss": total, "loss_ce": loss.ce, "loss_mlm": smoothed, "loss_cos": loss.cos}
    return {name: float(term.detach()) for name, term in terms.items()}, gradients


def masked_batch(step: int = 0, packed: bool = False) -> MicroBatch:
    """Return a batch of masked LM."""
    return batch_of(MASKED_LM, step, packed)
