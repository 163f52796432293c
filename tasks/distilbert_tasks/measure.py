"""A model on a split: every row through the engine once, and what its outputs score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilbert_common import DistilBertConfig
from distilbert_common.training import Engine
from distilbert_tasks.batches import EvaluationBatch, Layout, collect_rows, collect_tokens, evaluation_batches
from distilbert_tasks.decoding import SpanOptions
from distilbert_tasks.features import Features
from distilbert_tasks.metrics import Scores, masked_token_scores, score

__all__ = ["TOKENS_PER_BATCH", "measure", "model_outputs", "split_outputs"]

TOKENS_PER_BATCH = 4096
"""How many tokens a batch of evaluation has."""
_MASKED_TOKENS_PER_BATCH = 1024
"""The same for masked LM, whose logits take 120 kB a token."""
_PER_TOKEN = ("token-classification", "question-answering")

Part = tuple[EvaluationBatch, NDArray[Any]]
Collect = Callable[[Sequence[Part], int], Any]


def measure(
    engine: Engine,
    dataset: Any,
    features: Features,
    config: DistilBertConfig,
    *,
    layout: Layout = "packed",
    few_shapes: bool = True,
    tokens_per_batch: int | None = None,
    spans: SpanOptions | None = None,
) -> Scores:
    """Return what a model scores on a split.

    Args:
        engine: That of the model.
        dataset: The examples, as `load_data` returns them.
        features: What was made of them, with labels.
        config: That of the model.
        layout: "packed" or "padded"; the scores are the same.
        few_shapes: Whether sizes are rounded up, so that compiled code meets few shapes.
        tokens_per_batch: About how many tokens go through the model at once; None for what suits the task.
        spans: Which answers are looked for, in question answering.
    """
    outputs = split_outputs(engine, features, layout=layout, few_shapes=few_shapes, tokens_per_batch=tokens_per_batch)
    return score(features.task, dataset, features, outputs, config, spans)


def split_outputs(
    engine: Engine,
    features: Features,
    *,
    layout: Layout = "packed",
    few_shapes: bool = True,
    tokens_per_batch: int | None = None,
) -> dict[str, Any]:
    """Return what a model gives for a split, as `score` takes it.

    Args:
        engine: That of the model.
        features: Those of the split.
        layout: "packed" or "padded".
        few_shapes: Whether sizes are rounded up, so that compiled code meets few shapes.
        tokens_per_batch: About how many tokens go through the model at once; None for what suits the task.

    Returns:
        The outputs by name and row; of masked LM the sums of each batch instead, and `predicted`, the likeliest token
        at each masked place, (masked,).
    """
    if features.task != "fill-mask":
        tokens = tokens_per_batch or TOKENS_PER_BATCH
        return model_outputs(engine, evaluation_batches(features, tokens, layout, few_shapes=few_shapes), features)
    tokens = tokens_per_batch or _MASKED_TOKENS_PER_BATCH
    batches = evaluation_batches(features, tokens, layout, few_shapes=few_shapes)
    parts = [masked_token_scores(engine.eval_step(batch.inputs)["logits"], batch.labels["labels"]) for batch in batches]
    outputs = {name: np.asarray([one[name] for one in parts]) for name in ("loss", "correct", "tokens")}
    return outputs | {"predicted": np.concatenate([np.zeros(0, np.int64), *(one["predicted"] for one in parts)])}


def model_outputs(engine: Engine, batches: Any, features: Features) -> dict[str, Any]:
    """Return the outputs of a model by name and row.

    Args:
        engine: That of the model.
        batches: Those of the features.
        features: The rows.

    Returns:
        Arrays (rows, …), or lists of arrays (seq, …) where the model gives one value per token.
    """
    parts: dict[str, list[Part]] = {}
    for batch in batches:
        for name, values in engine.eval_step(batch.inputs).items():
            parts.setdefault(name, []).append((batch, values))
    collect: Collect = collect_tokens if features.task in _PER_TOKEN else collect_rows
    return {name: collect(some, len(features)) for name, some in parts.items()}
