"""The tables of docs/tasks.md, from the figures of `tasks.py`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from machine import read_figures, write_figures
from tasks_data import CASES

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
RESULTS = DOCS / "tasks.json"
sys.path.insert(0, str(DOCS))

from page_tables import fill_tables, markdown_table

__all__ = ["IMPLEMENTATIONS", "LOOPS", "read_facts", "tasks_tables", "write_facts"]

IMPLEMENTATIONS = {
    "transformers": "transformers' Trainer",
    "own-tokens": "the Trainer, its loss without padding",
    "pt": "PyTorch",
    "tf": "Keras",
    "flax": "Flax",
}
LOOPS = {"pt": "PyTorch, `Trainer`", "tf": "Keras 2, `fit`", "flax": "Flax, a jitted step"}
LOOPS_HEADER = (
    "beside",
    "a step",
    "its examples/s",
    "ours",
    "times",
    "by processor time",
    "its memory",
    "ours",
    "share",
)
Facts = dict[str, Any]


def read_facts() -> Facts:
    """Return what is in docs/tasks.json: "rows" of tasks, and "loops"."""
    facts = read_figures(RESULTS, {})
    return {"rows": facts.get("rows", []), "loops": facts.get("loops", [])}


def write_facts(facts: Facts) -> None:
    """Write docs/tasks.json, and its tables into docs/tasks.md."""
    write_figures(RESULTS, facts)
    fill_tables(DOCS / "tasks.md", tasks_tables(facts))


def tasks_tables(facts: Facts) -> dict[str, str]:
    """Return the tables of docs/tasks.md.

    Args:
        facts: What `tasks.py` left in tasks.json in "rows", and `training_loops.py` in "loops".
    """
    rows = facts["rows"]
    header = (
        "data",
        "by",
        "metric",
        "from the Trainer",
        "loss",
        "examples/s",
        "times the Trainer's",
        "by processor time",
    )
    table = markdown_table(
        (*header, "time", "trained on", "measured"), [line_of(row, baseline_of(row, rows)) for row in rows]
    )
    return {
        "tasks": table,
        "tasks-machine": machine(rows),
        "training-loops": markdown_table(LOOPS_HEADER, [line_of_loop(loop) for loop in facts["loops"]]),
    }


def baseline_of(row: Facts, rows: Iterable[Facts]) -> Facts | None:
    """Return the Trainer's figures on the same rows, where there are some."""
    same = ("data", "rows", "epochs", "dropout")
    others = (one for one in rows if one["implementation"] == "transformers" != row["implementation"])
    return next((one for one in others if all(one[key] == row[key] for key in same)), None)


def value_of(row: Facts) -> float:
    """Return the metric that is compared, shares in percent."""
    case = CASES[row["data"]]
    return float(row["metrics"][case.metric]) * (100 if case.percent else 1)


def difference(row: Facts, baseline: Facts) -> float:
    """Return how much more the metric is than the Trainer's: in points, or of perplexity in percent."""
    value, other = value_of(row), value_of(baseline)
    return value - other if CASES[row["data"]].metric != "perplexity" else 100 * (value / other - 1)


def ratio(row: Facts, baseline: Facts, rate: str = "examples_per_second") -> float | None:
    """Return how many times the Trainer's rate it is, where both took turns in one run."""
    return float(row[rate] / baseline[rate]) if row["run"] == baseline["run"] else None


def line_of(row: Facts, baseline: Facts | None) -> tuple[str, ...]:
    """Return one line of the table."""
    case = CASES[row["data"]]
    apart = speed = work = "-"
    if baseline is not None:
        unit = " %" if case.metric == "perplexity" else ""
        apart = f"{difference(row, baseline):+.2f}{unit}"
        times, by_work = ratio(row, baseline), ratio(row, baseline, "examples_per_processor_second")
        if times is not None and by_work is not None:
            speed, work = f"**{times:.2f}**", f"{by_work:.2f}"
    amount = f"{row['rows']:,} rows, {row['epochs']:g} epoch{'s' if row['epochs'] != 1 else ''}"
    rate, time = f"{row['examples_per_second']:.0f}", f"{row['seconds']:.0f} s"
    name = IMPLEMENTATIONS[row["implementation"]]
    metric = f"{case.metric} {value_of(row):.2f}"
    amount += f", {row['cores']} core{'s' if row['cores'] != 1 else ''}"
    loss = f"{row['metrics']['loss']:.6f}"
    return (case.title, name, metric, apart, loss, rate, speed, work, time, amount, row["date"])


def machine(rows: list[Facts]) -> str:
    """Say what was measured on, in which versions, and by which commands."""
    versions = {name: version for row in rows for name, version in row["versions"].items()}
    lines = [("processor", processor) for processor in dict.fromkeys(row["processor"] for row in rows)]
    lines += [("versions", ", ".join(f"{name} {version}" for name, version in versions.items()))]
    lines += [("command", f"`{command}`") for command in dict.fromkeys(row["command"] for row in rows)]
    return markdown_table(("what", ""), lines)


def line_of_loop(loop: Facts) -> tuple[str, ...]:
    """Return one line of the table of loops."""
    ours, theirs = loop["distilbert"], loop["transformers"]
    texts = f"{loop['batch']} rows of {loop['length']} tokens" if loop["fill"] else f"{loop['batch']} real sentences"
    rate, work, memory = (
        ours[name] / theirs[name] for name in ("examples_per_second", "examples_per_processor_second", "peak_bytes")
    )
    rates = f"{theirs['examples_per_second']:.1f}", f"{ours['examples_per_second']:.1f}"
    peaks = f"{theirs['peak_bytes'] / 2**30:.2f} GiB", f"{ours['peak_bytes'] / 2**30:.2f} GiB"
    return (LOOPS[loop["framework"]], texts, *rates, f"**{rate:.2f}**", f"{work:.2f}", *peaks, f"{memory:.2f}")
