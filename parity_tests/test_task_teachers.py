"""Students of a teacher of a task: the engines' terms against PyTorch's functions on both models' logits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import torch
import torch.nn.functional as F

from distilbert_common.training import MicroBatch
from parity_tests.helpers.distillation_cases import (
    LAYERS,
    assert_same,
    engine_of,
    gradients_of,
    options_of,
    parts_of,
    save_model,
)
from parity_tests.helpers.engine_cases import FRAMEWORKS, HEADS, batch_of

TASKS = [head for head in HEADS if head != "ForMaskedLM"]
ALPHAS = {"loss_ce": 0.5, "loss_task": 2.0, "loss_cos": 1.5}
TEMPERATURE = 3.0
Folders = dict[str, tuple[Path, Path]]
Terms = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """A student and a teacher for each head."""
    root = tmp_path_factory.mktemp("models")
    return {
        head: (save_model(root / f"{head}-0", head, 0), save_model(root / f"{head}-1", head, 1, n_layers=LAYERS))
        for head in TASKS
    }


@pytest.fixture(autouse=True)
def no_graphs() -> Iterator[None]:
    """Run TensorFlow's functions without graphs, which take seconds to build."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def divergence(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Return the mean KL(teacher, student) of rows (rows, classes), softened, times the temperature's square."""
    own, target = (F.log_softmax(logits / TEMPERATURE, dim=-1) for logits in (student, teacher))
    return F.kl_div(own, target, reduction="batchmean", log_target=True) * TEMPERATURE**2


def expected(folders: tuple[Path, Path], head: str, batch: MicroBatch) -> tuple[dict[str, float], dict[str, Any]]:
    """Return the terms and the gradients that padded rows have."""
    import distilbert_pt
    from distilbert_pt.inventory import named_tensors

    models = [getattr(distilbert_pt, f"DistilBert{head}").from_pretrained(folder) for folder in folders]
    inputs, labels = (
        {n: torch.from_numpy(x) if isinstance(x, np.ndarray) else x for n, x in part.items()}
        for part in (batch.inputs, batch.labels)
    )
    student, teacher = (model(**inputs, **labels, output_hidden_states=True, return_dict=True) for model in models)
    mask = inputs["attention_mask"].flatten(0, -2) != 0  # (rows, seq)
    hidden = [output.hidden_states[-1][mask] for output in (student, teacher)]  # (tokens, dim)
    terms = {"loss_task": student.loss, "loss_cos": 1 - F.cosine_similarity(*hidden, dim=-1).mean()}
    if head == "ForQuestionAnswering":
        pairs = [(student[name], teacher[name]) for name in ("start_logits", "end_logits")]
        each = [divergence(*(x.where(mask, -1e30) for x in pair)) for pair in pairs]
        terms["loss_ce"] = (each[0] + each[1]) / 2
    elif head == "ForTokenClassification":
        labeled = labels["labels"] != -100
        terms["loss_ce"] = divergence(student.logits[labeled], teacher.logits[labeled])
    else:
        terms["loss_ce"] = divergence(student.logits, teacher.logits)
    terms["loss"] = sum(alpha * terms[name] for name, alpha in ALPHAS.items())
    terms["loss"].backward()
    gradients = {name: x.grad.numpy() for name, x in named_tensors(models[0]).items() if x.grad is not None}
    return {name: float(term.detach()) for name, term in terms.items()}, gradients


@pytest.mark.parametrize("head", TASKS)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_terms_and_gradients_are_those_of_the_logits(framework: str, head: str, models: Folders) -> None:
    options = options_of(
        alpha_ce=ALPHAS["loss_ce"], alpha_task=ALPHAS["loss_task"], alpha_cos=ALPHAS["loss_cos"],
        temperature=TEMPERATURE,
    )  # fmt: skip
    padded = batch_of(head, 0)
    if head == "ForQuestionAnswering":  # or start and end could be padding
        padded = replace(padded, inputs={**padded.inputs, "unpad": True})
    batch = padded if head == "ForMultipleChoice" else batch_of(head, 0, packed=True)
    engine = engine_of(framework, head, *models[head], options)
    assert_same(gradients_of(engine, parts_of(batch)), expected(models[head], head, padded))
