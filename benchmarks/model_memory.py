"""What a model leaves behind in memory: one is made, used and deleted, again and again, in each framework.

Each use is measured in a process of its own: some turns to warm up, then turns that count. The figure is what the
process (Linux only) has grown by at the end, per turn; a model of 58 MB that stays shows as 58.

Usage: python benchmarks/model_memory.py [--framework flax] [--use call] [--turns 8]
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import importlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow", "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
os.environ |= QUIET
sys.path[:0] = [str(ROOT / name) for name in ("common", "conversion", "pt", "tf", "flax")]

import numpy as np

from distilbert_common import DistilBertConfig
from machine import kilobytes

FRAMEWORKS = {"pt": "memory_pt", "tf": "memory_tf", "flax": "memory_flax"}
"""The module of each framework: its `USES` is a dict of functions of (config, folder, batch), each one turn."""

CONFIG = DistilBertConfig(n_layers=8, dim=256, n_heads=4, hidden_dim=1024, num_labels=2)
"""14.4 million weights, 58 MB in float32, most of them the 30,522 words' as in the published checkpoints."""

Batch = dict[str, np.ndarray]
Use = Callable[[DistilBertConfig, Path, Batch], None]


def padded_batch() -> Batch:
    """Return ids, mask (8, 32), one full sentence and short ones, and labels (8,)."""
    ids = np.random.default_rng(0).integers(1, CONFIG.vocab_size, (8, 32), dtype=np.int32)
    mask = (np.arange(32) < np.where(np.arange(8) == 0, 32, 6)[:, None]).astype(np.int32)
    return {"input_ids": ids, "attention_mask": mask, "labels": np.arange(8, dtype=np.int32) % 2}


def resident() -> float:
    """Return the megabytes that the process holds, after all that can be given back has been."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    return kilobytes("VmRSS") * 1024 / 1e6


def growth(turn: Callable[[], None], turns: int, warm: int = 3) -> float:
    """Return by how many megabytes the process grows at each turn."""
    for _ in range(warm):
        turn()
    before = resident()
    for _ in range(turns):
        turn()
    return (resident() - before) / turns


def uses(framework: str) -> dict[str, Use]:
    """Return what is measured in a framework."""
    uses: dict[str, Use] = importlib.import_module(FRAMEWORKS[framework]).USES
    return uses


def measure(framework: str, use: str, turns: int) -> float:
    """Return by how many megabytes this process grows at each turn of one use."""
    turn = uses(framework)[use]
    with tempfile.TemporaryDirectory() as folder:
        return growth(lambda: turn(CONFIG, Path(folder), padded_batch()), turns)


def in_process(framework: str, use: str, turns: int) -> float:
    """Return what `measure` finds in a fresh process."""
    command = [sys.executable, __file__, "--framework", framework, "--use", use, "--turns", str(turns), "--here"]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--framework", choices=FRAMEWORKS, help="one framework; all when left out")
    parser.add_argument("--use", help="one use; all when left out")
    parser.add_argument("--turns", type=int, default=8, help="how many turns count")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Measure, and print a row for each use."""
    chosen: Any = arguments()
    if chosen.here:
        print(measure(chosen.framework, chosen.use, chosen.turns))
        return
    print("framework  use                MB a turn")
    for framework in [chosen.framework] if chosen.framework else FRAMEWORKS:
        for use in [chosen.use] if chosen.use else uses(framework):
            print(f"{framework:<10} {use:<18} {in_process(framework, use, chosen.turns):9.1f}", flush=True)


if __name__ == "__main__":
    main()
