"""Trains a small model for 20 steps in each of several processes, and writes the losses; run as a program.

Usage: python distributed_run.py FRAMEWORK BACKBONE OUT.json [STEP]   with what `torchrun` sets: RANK, WORLD_SIZE, …

With STEP, the last process kills itself before that step.

The global batch is the same whatever the number of processes: each takes every so many-th row of it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np

from distilbert_common.training import EngineOptions, MicroBatch
from parity_tests.helpers.engine_cases import NO_DROPOUT, batch_of, engine_of

HEAD = "ForTokenClassification"
STEPS = 20


def part_of(batch: MicroBatch, rank: int, world: int) -> MicroBatch:
    """Return the rows of one process, with their share of the labels."""
    labels = {name: array[rank::world] for name, array in batch.labels.items()}
    share = (labels["labels"] != -100).sum() / (batch.labels["labels"] != -100).sum()
    return MicroBatch({name: array[rank::world] for name, array in batch.inputs.items()}, labels, float(share))


def main() -> None:
    framework, source, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    engine = engine_of(framework, HEAD, source, EngineOptions(weight_decay=0.1), **NO_DROPOUT)
    losses = []
    for step in range(STEPS):
        if sys.argv[4:] == [str(step)] and engine.rank == engine.world - 1:
            os.kill(os.getpid(), signal.SIGKILL)
        part = part_of(batch_of(HEAD, step), engine.rank, engine.world)
        losses.append(float(engine.train_step([part], step, 2e-3).loss))
    state = engine.state()
    digest = float(sum(np.abs(state[name]).sum(dtype=np.float64) for name in sorted(state)))
    out.with_suffix(f".{engine.rank}").write_text(
        json.dumps({"losses": losses, "state": digest, "world": engine.world})
    )


if __name__ == "__main__":
    main()
