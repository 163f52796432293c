"""From settings to a model that is ready to answer: loaded, checked, warm."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from typing import Any

from distilbert_common.errors import InputError
from distilbert_deploy.server.model import ServedModel
from distilbert_deploy.server.settings import Settings
from distilbert_tasks.engines import ONNX, compiles_each_shape
from distilbert_tasks.pipelines import Pipeline, pipeline
from distilbert_tasks.pipelines.loading import is_export

__all__ = ["load_model", "warm_up"]

_LOGGER = logging.getLogger(__name__)
SHORT_TEXT = 16
"""How many tokens a short text has, as questions to a bank do."""
WARM_UP_SECONDS = 120.0


def load_model(settings: Settings) -> ServedModel:
    """Load the model of a server.

    Raises:
        InputError: There is no such task, or the model has no head for it, whose answers would mean nothing.
        DistilBertError: The model or its tokenizer cannot be read.
    """
    loaded = ServedModel(_pipeline(settings), settings)
    loaded.compute([[int(loaded.pipeline.tokenizer.unk_token_id)]])  # a model that cannot is not served
    if settings.warm_up:
        warm_up(loaded)
    return loaded


def _pipeline(settings: Settings) -> Pipeline:
    backend = settings.backend or (ONNX if is_export(settings.model) else None)
    threads = max(1, (os.cpu_count() or 1) // settings.workers)
    loaded_pipeline = pipeline(
        settings.task or None,
        settings.model,
        framework=backend,
        device=settings.device,
        revision=settings.revision or None,
        tokens_per_batch=settings.tokens_per_batch,
        model_kwargs={"threads": threads} if backend == ONNX and settings.workers > 1 else None,
    )
    report = getattr(loaded_pipeline.model, "load_report", None)
    if report is not None and report.new_head:
        raise InputError(
            f"{settings.model} has no head for {loaded_pipeline.task} ({', '.join(report.new_head)} are missing), so "
            "that its answers would mean nothing; name another task, or fine-tune the model first"
        )
    return loaded_pipeline


def warm_up(model: ServedModel) -> None:
    """Compute batches of the sizes that requests make, so that no request waits for a compilation."""
    start = time.monotonic()
    few_shapes = compiles_each_shape(model.pipeline.framework)
    for number, lists in enumerate(_batches(model, few_shapes)):
        model.compute(lists)
        if time.monotonic() - start > WARM_UP_SECONDS:
            _LOGGER.warning("the warm-up was cut short after %d batches", number + 1)
            return
    _LOGGER.info("warm after %.1f seconds", time.monotonic() - start)


def _batches(model: ServedModel, few_shapes: bool) -> Iterator[list[list[int]]]:
    """Yield token lists: of one short text to a full budget in powers of two, of short texts and with a long one."""
    token, budget = int(model.pipeline.tokenizer.unk_token_id), model.settings.tokens_per_batch
    longest = model.max_length
    sizes: Any = (1 << power for power in range(5, budget.bit_length())) if few_shapes else (SHORT_TEXT, budget)
    for total in sizes:
        short = min(SHORT_TEXT, longest)
        yield [[token] * short] * max(1, total // short)
        if total > longest:
            yield [[token] * longest] * (total // longest)
        elif few_shapes:
            yield [[token] * total]
