"""The tables and the picture of docs/deployment.md, from the figures of `export.py`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "docs"))

from page_tables import fill_tables, markdown_table

__all__ = ["write_page"]

Facts = dict[str, Any]
HEADER = ("model", "target", "precision", "largest difference", "MB", "1 row, ms", "32 rows, ms", "of float32")


def write_page(figures: Facts, docs: Path) -> None:
    """Write the tables into docs/deployment.md, and draw its picture."""
    rows = [row for model in figures["models"].values() for row in _rows(model)]
    machine = figures["machine"]
    units = ", ".join(machine["units"])
    words = f"{machine['processor']}, {units}; ONNX Runtime {machine['onnxruntime']} in one thread"
    tables = {"exports": markdown_table(HEADER, rows), "machine": markdown_table(("measured on",), [(words,)])}
    heads = list(next(iter(figures["heads"].values())))
    differences = [(name, *(f"{one[head]:.1e}" for head in heads)) for name, one in figures["heads"].items()]
    tables["heads"] = markdown_table(("target", *heads), differences)
    fill_tables(docs / "deployment.md", tables)
    draw(figures, docs / "deployment.png")


def _rows(model: Facts) -> list[tuple[str, ...]]:
    base = next(row for row in model["rows"] if row["target"] == "onnx" and row["precision"] == "float32")
    return [_row(model, row, base) for row in model["rows"]]


def _row(model: Facts, row: Facts, base: Facts) -> tuple[str, ...]:
    times = row["processor"]
    name = f"{model['model']}, {model['layers']} layers of {model['dim']}, {model['seq']} tokens"
    difference = f"{row['absolute']:.1e} of {row['scale']:.3g}" if "absolute" in row else ""
    if row["precision"] == "int8":
        difference += f", rms {row['rms']:.3f}"
    size = f"{row['nbytes'] / 1e6:.1f}" if "nbytes" in row else ""
    milliseconds = [f"{times[shape] * 1e3:.1f}" for shape in ("1", "32")]
    ratio = f"{times['32'] / base['processor']['32']:.2f}"
    return (name, row["target"], row["precision"], difference, size, *milliseconds, ratio)


def draw(figures: Facts, path: Path) -> None:
    """Draw the processor time of each export of 32 rows, as a share of ONNX in float32."""
    models = list(figures["models"].values())
    figure, axes = plt.subplots(1, len(models), figsize=(5.5 * len(models), 4), squeeze=False)
    for axis, model in zip(axes[0], models, strict=True):
        base = next(row for row in model["rows"] if row["target"] == "onnx" and row["precision"] == "float32")
        names = [f"{row['target']}, {row['precision']}" for row in model["rows"]]
        shares = [row["processor"]["32"] / base["processor"]["32"] for row in model["rows"]]
        axis.barh(
            names, shares, color=["#00798c" if row["precision"] == "float32" else "#d1495b" for row in model["rows"]]
        )
        axis.axvline(1, color="grey", linewidth=0.8)
        axis.set_title(f"{model['model']}: {model['layers']} layers of {model['dim']}", fontsize=9)
        axis.set_xlabel("processor time of 32 rows, of ONNX in float32", fontsize=8)
        axis.tick_params(labelsize=8)
        axis.invert_yaxis()
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=150)
    plt.close(figure)
