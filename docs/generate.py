"""Write the tables of the pages that come from the code or from stored figures, and the demo's output in the README.

With --check, fail where a table is not what would be written. Prose is never touched: it stands in the pages.

Usage: make docs
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BENCHMARKS = ROOT / "benchmarks"
sys.path[:0] = [str(BENCHMARKS), str(ROOT)]

from ablation_page import ablation_tables
from conversion_page import conversion_tables
from distilbert_cli.tolerances import BETWEEN_FRAMEWORKS, Tolerance
from distilbert_conversion import WEIGHTS
from page_tables import fill_tables, markdown_table
from parity_tests.helpers.tolerances import BERT, GRADIENT, HALF, KERAS_HUB_MLM, MATRIX, TRAINING, TRIPLE_LOSS
from speed_page import speed_tables
from tasks_page import tasks_tables


def weight_tables() -> dict[str, str]:
    """Return the weight table."""
    header = ("PyTorch", "TensorFlow", "Flax", "Keras 3 `.weights.h5`", "transposed", "shape", "models")
    rows = [
        (
            f"`{row.canonical}`",
            f"`{row.tf}`",
            f"`{row.flax}`",
            f"`{row.keras}`",
            "yes" if row.transform == "transpose" else "",
            "(" + ", ".join(map(str, row.shape)) + ")",
            "all" if row.backbone else ", ".join(row.heads),
        )
        for row in WEIGHTS
    ]
    return {"weights": markdown_table(header, rows)}


def tolerance_tables() -> dict[str, str]:
    """Return the table of tolerances."""
    named: dict[str, Tolerance] = {
        "outputs against transformers, float32": MATRIX,
        "gradients against transformers": GRADIENT,
        "triple loss, value and gradients, between frameworks": TRIPLE_LOSS,
        "loss curves between frameworks": TRAINING,
        "a BERT converted to DistilBERT": BERT,
        "masked-LM logits of a KerasHub preset": KERAS_HUB_MLM,
        **{f"{dtype} between frameworks (`distilbert parity`)": t for dtype, t in BETWEEN_FRAMEWORKS.items()},
        **{f"{dtype} against float32": t for dtype, t in HALF.items()},
    }
    rows = [(what, f"{tolerance.value:g}", tolerance.reason) for what, tolerance in named.items()]
    return {"tolerances": markdown_table(("what", "figure", "reason"), rows)}


def figures(name: str, folder: Path = BENCHMARKS) -> dict[str, Any]:
    """Return the figures that a benchmark has left."""
    return dict(json.loads((folder / name).read_text(encoding="utf-8")))


PAGES: dict[str, Callable[[], dict[str, str]]] = {
    "weights.md": weight_tables,
    "tolerances.md": tolerance_tables,
    "conversion.md": lambda: conversion_tables(figures("conversion.json")),
    "benchmarks.md": lambda: speed_tables(figures("speed.json"), figures("gpu.json")),
    "tasks.md": lambda: tasks_tables(figures("tasks.json", HERE)),
    "distillation.md": lambda: ablation_tables(figures("ablation.json", HERE)),
}
"""The tables of each page. Those of docs/parity.md are measured, by `make parity-page`."""


def refresh_readme() -> None:
    """Put what the demo prints on this machine into the README; its last digits differ between processors."""
    readme = ROOT / "README.md"
    demo = [sys.executable, ROOT / "demo" / "demo.py"]
    printed = subprocess.run(demo, check=True, capture_output=True, text=True, env={**os.environ, "COLUMNS": "112"})
    before, _, marked = readme.read_text(encoding="utf-8").partition("<!-- demo -->")
    _, _, after = marked.partition("<!-- /demo -->")
    shown = "\n".join(line.rstrip() for line in printed.stdout.splitlines())
    readme.write_text(f"{before}<!-- demo -->\n```\n{shown}\n```\n<!-- /demo -->{after}", encoding="utf-8")


def main() -> int:
    """Write or check every page; return 1 where a check fails."""
    check = "--check" in sys.argv[1:]
    stale = {name: fill_tables(HERE / name, tables(), check=check) for name, tables in PAGES.items()}
    if check:
        for name, differing in stale.items():
            if differing:
                print(f"docs/{name}, {', '.join(differing)}: not what `make docs` writes; run it and commit the result")
        return 1 if any(stale.values()) else 0
    for name, differing in stale.items():
        print(f"docs/{name}" + (f" (changed: {', '.join(differing)})" if differing else ""))
    refresh_readme()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
