"""Trains a small model for 20 steps and distils one, in each of several processes; run as a program.

Usage: python distributed_run.py FRAMEWORK FOLDER [STEP]   with what `torchrun` sets: RANK, WORLD_SIZE, …

FOLDER holds `backbone`, `teacher` and `corpus.txt`. With STEP, the last process kills itself before that step.

The global batch is the same whatever the number of processes: each takes every so many-th row of it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from distilbert_common.training import EngineOptions, MicroBatch
from distilbert_tasks import distil
from distilbert_tasks.distillation import default_options
from distilbert_tasks.training import report
from parity_tests.helpers.engine_cases import NO_DROPOUT, batch_of, engine_of

HEAD = "ForTokenClassification"
STEPS = 20


def part_of(batch: MicroBatch, rank: int, world: int) -> MicroBatch:
    """Return the rows of one process, with their share of the labels."""
    labels = {name: array[rank::world] for name, array in batch.labels.items()}
    share = (labels["labels"] != -100).sum() / (batch.labels["labels"] != -100).sum()
    return MicroBatch({name: array[rank::world] for name, array in batch.inputs.items()}, labels, float(share))


def main() -> None:
    framework, folder = sys.argv[1], Path(sys.argv[2])
    name = f"{os.environ['WORLD_SIZE']}-{os.environ['RANK']}"
    dies_at = int(sys.argv[3]) if sys.argv[3:] else None
    (folder / f"{name}.json").write_text(json.dumps(train(framework, folder / "backbone", dies_at)))
    distil_corpus(framework, folder, folder / f"distilled-{os.environ['WORLD_SIZE']}")


def train(framework: str, backbone: Path, dies_at: int | None) -> dict[str, Any]:
    """Train, and return the losses and a figure of the weights; the last process may die before a step."""
    engine = engine_of(framework, HEAD, backbone, EngineOptions(weight_decay=0.1), **NO_DROPOUT)
    losses = []
    for step in range(STEPS):
        if step == dies_at and engine.rank == engine.world - 1:
            os.kill(os.getpid(), signal.SIGKILL)
        part = part_of(batch_of(HEAD, step), engine.rank, engine.world)
        losses.append(float(engine.train_step([part], step, 2e-3).loss))
    state = engine.state()
    digest = float(sum(np.abs(state[name]).sum(dtype=np.float64) for name in sorted(state)))
    return {"losses": losses, "state": digest, "world": engine.world}


def distil_corpus(framework: str, folder: Path, out: Path) -> None:
    """Distil the teacher; the first process to come makes the corpus."""
    report.draw_curves = lambda *_: None  # which takes longer than all else
    options = replace(default_options(), max_steps=6, batch_size=16, accumulation=2, eval_every=3, log_every=1)
    distil(
        folder / "teacher", folder / "corpus.txt", out=out, framework=framework, device="cpu", options=options,
        tensorboard=False,
    )  # fmt: skip


if __name__ == "__main__":
    main()
