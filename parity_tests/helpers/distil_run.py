"""Distils a small teacher, in one of several processes or alone; run as a program.

Usage: python distil_run.py FRAMEWORK FOLDER OUT   with what `torchrun` sets: RANK, WORLD_SIZE, …

FOLDER holds `teacher` and `corpus.txt`.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from distilbert_tasks import distil
from distilbert_tasks.distillation import default_options
from distilbert_tasks.training import report


def main() -> None:
    framework, folder, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    report.draw_curves = lambda *_: None  # which takes longer than all else
    options = replace(default_options(), max_steps=6, batch_size=16, accumulation=2, eval_every=3, log_every=1)
    distil(
        folder / "teacher", folder / "corpus.txt", out=out, framework=framework, device="cpu", options=options,
        tensorboard=False,
    )  # fmt: skip


if __name__ == "__main__":
    main()
