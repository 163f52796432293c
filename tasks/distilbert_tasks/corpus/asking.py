"""Asking a teacher ahead of time: each step once, by one process or several."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from time import perf_counter, sleep
from typing import Any

from distilbert_common.training import Arrays
from distilbert_tasks.batches import BatchOptions, numbered_batches
from distilbert_tasks.corpus.teacher_cache import TeacherCache
from distilbert_tasks.features import Features
from distilbert_tasks.training.progress import Asking, Note, OnProgress, ignore

__all__ = ["ask_teacher"]

_SECONDS = 0.2
"""How long to wait before looking again whether other processes are done."""


def ask_teacher(
    cache: TeacherCache,
    teacher: Callable[[Mapping[str, Any]], Arrays],
    features: Features,
    options: BatchOptions,
    on_progress: OnProgress = ignore,
) -> None:
    """Ask a teacher for all steps of a cache that are missing, and wait until all processes have done so.

    Args:
        cache: Where the answers go.
        teacher: Returns `indices` and `logits` (batch, seq, k) and `hidden` (batch, seq, dim) for inputs, as the
            engines' `teacher_outputs` does.
        features: Those of the training set.
        options: The batches of the run; its processes divide the steps.
        on_progress: Who is told how far it is.
    """
    rank, world = options.rank, options.world
    one_process = replace(options, rank=0, world=1, accumulation=options.accumulation * world)
    steps = len(range(rank, cache.steps, world))
    cache.remove_leftovers(rank, world)
    missing = cache.missing(rank, world)
    started, tokens = perf_counter(), 0
    for number, (step, batches) in enumerate(numbered_batches(features, one_process, missing)):
        cache.write(step, batches, [teacher(batch.inputs) for batch, _ in batches])
        tokens += sum(int((numbers >= 0).sum()) for _, numbers in batches if numbers is not None)
        if number == 0 and rank == 0:
            on_progress(Note(f"What the teacher gives takes about {cache.expected_bytes(step) / 1e6:,.1f} MB."))
        done = steps - len(missing) + number + 1
        on_progress(Asking(done, steps, tokens / (perf_counter() - started)))
    while not cache.is_complete:
        sleep(_SECONDS)
