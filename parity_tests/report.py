"""The parity report: every golden checkpoint, in every dialect, in every framework, against transformers' numbers.

With --page, the tables of docs/parity.md are written too.

Usage: make parity, make parity-page
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "docs"))
os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow", "JAX_PLATFORMS": "cpu"}

from rich.console import Console
from rich.progress import track
from rich.table import Table

from distilbert_cli.frameworks import FRAMEWORKS
from page_tables import fill_tables, markdown_table
from parity_tests.helpers import golden
from parity_tests.helpers.golden_files import WRITTEN, written_as_golden
from parity_tests.helpers.measures import cell_difference, gradient_difference, load_cell
from parity_tests.helpers.tolerances import GRADIENT, MATRIX

HEADER = (
    "config",
    "head",
    "files equal",
    *(f"{what} {framework.title}" for what in ("outputs", "gradient") for framework in FRAMEWORKS.values()),
)


def measure(config: Path, head: str) -> dict[str, Any]:
    """Return the figures of one model: files equal, and by framework the differences of outputs and gradients."""
    folders = golden.folders(config, head)
    written = [name for name in WRITTEN if name in folders]
    with tempfile.TemporaryDirectory() as directory:
        equal = sum(written_as_golden(config, head, name, Path(directory)) for name in written)
    return {
        "files": (equal, len(written)),
        "outputs": {
            name: [cell_difference(load_cell(config, head, folder, name), config, head, name) for folder in folders]
            for name in FRAMEWORKS
        },
        "gradients": {
            name: gradient_difference(config, head, name) for name in FRAMEWORKS if head != "Model"
        },
    }  # fmt: skip


def row(config: Path, head: str, figures: dict[str, Any]) -> list[str]:
    """Return the cells of one model."""
    outputs = [f"{len(cells)} x {max(cells):.1e}" for cells in figures["outputs"].values()]
    gradients = [f"{value:.1e}" for value in figures["gradients"].values()] or ["-"] * len(FRAMEWORKS)
    return [config.name, head, "{} of {}".format(*figures["files"]), *outputs, *gradients]


def is_within_tolerance(figures: dict[str, Any]) -> bool:
    """Whether every figure of one model is within its tolerance."""
    equal, written = figures["files"]
    cells = [difference for differences in figures["outputs"].values() for difference in differences]
    within = all(cell <= MATRIX.value for cell in cells)
    return equal == written and within and all(g <= GRADIENT.value for g in figures["gradients"].values())


def totals(results: list[dict[str, Any]]) -> tuple[int, int, int]:
    """Return the number of cells, of files equal and of files written."""
    cells = sum(len(cells) for figures in results for cells in figures["outputs"].values())
    equal, written = (sum(figures["files"][i] for figures in results) for i in (0, 1))
    return cells, equal, written


def write_page(rows: list[list[str]], results: list[dict[str, Any]]) -> None:
    """Write the tables into docs/parity.md."""
    cells, equal, written = totals(results)
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "tensorflow", "keras", "jax", "flax"))
    summary = [
        ("cells (model x stored dialect x framework)", cells),
        ("files equal", f"{equal} of {written}"),
        ("measured with", f"{platform.machine()}, {os.cpu_count()} cores, {versions}"),
    ]
    tables = {"models": markdown_table(HEADER, rows), "summary": markdown_table(("what", "figure"), summary)}
    fill_tables(ROOT / "docs" / "parity.md", tables)


def main() -> int:
    """Print the table; return 1 where a figure is past its tolerance."""
    console = Console(width=160)
    table = Table(title="largest difference from transformers 4.57.6 (its float64 outputs, its float32 gradients)")
    for header in HEADER[:3]:
        table.add_column(header, no_wrap=True)
    for header in HEADER[3:]:
        table.add_column(header, justify="right")
    results, rows = [], []
    for config, head in track(golden.cases(), "measuring", transient=True, console=Console(stderr=True)):
        figures = measure(config, head)
        results.append(figures)
        rows.append(row(config, head, figures))
        table.add_row(*rows[-1], style="" if is_within_tolerance(figures) else "bold red")
    console.print(table)
    cells, equal, written = totals(results)
    console.print(f"{cells} cells (model x stored dialect x framework); outputs: absolute, at most {MATRIX.value:g};")
    console.print(
        f"gradients: relative to the largest entry, at most {GRADIENT.value:g}; {equal} of {written} files equal."
    )
    if "--page" in sys.argv[1:]:
        write_page(rows, results)
    good = all(map(is_within_tolerance, results))
    console.print("[green]All hold.[/]" if good else "[bold red]Some do not hold.[/]")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
