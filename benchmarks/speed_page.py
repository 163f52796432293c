"""The tables of docs/benchmarks.md, from the figures of `speed.py` and `gpu.py`."""

from __future__ import annotations

import json
import sys
from math import prod
from pathlib import Path
from typing import Any

from runs import MATRIX

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS))

from page_tables import fill_tables, markdown_table

TITLES = {"pt": "PyTorch", "tf": "Keras", "flax": "Flax"}
SLOWEST = 1.25
"""No framework of ours should take longer than this times the fastest, for one text."""
SHARE = 0.85
"""The share of a matrix product's rate that a full batch should reach."""
FLAT = 0.15
"""How far the time for one token may vary from batch 1 to 64."""
Facts = dict[str, Any]
Miss = tuple[str, str, str]
"""What misses its goal, what it reached, and the goal."""


def write_page(facts: Facts) -> None:
    """Write the tables into docs/benchmarks.md."""
    gpu = ROOT / "benchmarks" / "gpu.json"
    fill_tables(DOCS / "benchmarks.md", speed_tables(facts, json.loads(gpu.read_text(encoding="utf-8"))))


def speed_tables(facts: Facts, gpu: Facts) -> dict[str, str]:
    """Return the tables of docs/benchmarks.md.

    Args:
        facts: What `speed.py` left in speed.json.
        gpu: What `gpu.py` left in gpu.json.
    """
    rows = facts["rows"]
    missed = [*missed_goals(rows), *missed_side_by_side(rows), *missed_shares(rows), *missed_growth(rows)]
    return {
        "machine": machine(facts["machine"]),
        "speed": speed(rows),
        "side-by-side": side_by_side(rows),
        "shares": shares(rows),
        "products": products(rows),
        "start-up": start(rows),
        "growth": growth(rows),
        "gpu-machine": gpu_machine(gpu),
        "gpu": gpu_speed(gpu["rows"]),
        "missed": markdown_table(("what", "reached", "goal"), missed),
    }


def compared(rows: list[Facts]) -> list[Facts]:
    """Return the rows that have a baseline."""
    return [row for row in rows if row["baseline"] is not None]


def name_of(row: Facts) -> str:
    """Return what a row is called."""
    return str(row["title"]) + {"prepacked": ", prepacked", "xla": ", by XLA"}.get(row["kind"], "")


def machine(facts: Facts) -> str:
    """Say what was measured on, and in which versions."""
    baselines = facts["baselines"]
    rows = [
        ("processor", f"{facts['processor']}, {facts['cores']} cores ({', '.join(facts['flags'])})"),
        ("Python", facts["python"]),
        ("ours", ", ".join(f"{name} {version}" for name, version in facts["versions"].items())),
        ("baselines, PyTorch", _versions(baselines["pt"], "transformers", "sentence-transformers", "onnxruntime")),
        ("baselines, Keras and Flax", _versions(baselines["tf"], "transformers", "keras-hub")),
    ]
    return markdown_table(("what", "version"), rows)


def _versions(versions: dict[str, str], *names: str) -> str:
    return ", ".join(f"{name} {versions[name]}" for name in names)


def speed(rows: list[Facts]) -> str:
    """Compare each row with its baseline."""
    header = ("workload", "framework", "baseline", "ours", "baseline's", "times as fast", "goal", "memory")
    return markdown_table((*header, "difference", "rounds"), map(_comparison, compared(rows)))


def _comparison(row: Facts) -> tuple[object, ...]:
    unit, name = (1000, "ms") if max(row["ours"], row["baseline_seconds"]) < 10 else (1, "s")
    same = "-" if row["difference"] is None else f"{row['difference']:.0e}" if row["same"] else "**different**"
    ratio = f"**{row['ratio']:.2f}** ({row['least']:.2f} to {row['most']:.2f})"
    goal = "-" if row["goal"] is None else f"{row['goal']:g}, {'reached' if row['ratio'] >= row['goal'] else 'missed'}"
    seconds = (f"{row[side] * unit:.4g} {name}" for side in ("ours", "baseline_seconds"))
    memory = "-" if row["memory_goal"] is None else "{:.0f}, {:.0f}".format(*row["memory"])
    return (
        name_of(row), TITLES[row["framework"]], row["baseline"], *seconds, ratio, goal, memory, same, row["rounds"]
    )  # fmt: skip


def _one_text(rows: list[Facts], workload: str) -> dict[str, Facts]:
    """Return the plain calls of one workload by framework, nothing where one was not measured."""
    key = (workload, "forward", "transformers")
    calls = {r["framework"]: r for r in rows if (r["workload"], r["kind"], r["baseline"]) == key}
    return {name: calls[name] for name in TITLES} if len(calls) == len(TITLES) else {}


def side_by_side(rows: list[Facts]) -> str:
    """Compare our frameworks with each other."""
    lines = []
    for workload in ("1x20", "1x128", "32x128", "sst2"):
        if calls := _one_text(rows, workload):
            least = min(row["ours"] for row in calls.values())
            times = (f"{row['ours'] * 1000:.4g} ms ({row['ours'] / least:.2f})" for row in calls.values())
            lines.append((calls["pt"]["title"], *times))
    return markdown_table(("workload", *TITLES.values()), lines)


def missed_side_by_side(rows: list[Facts]) -> list[Miss]:
    """Return the frameworks of ours that are too far behind the fastest, for one text."""
    missed = []
    for calls in (_one_text(rows, "1x20"), _one_text(rows, "1x128")):
        least = min((row["ours"] for row in calls.values()), default=0.0)
        missed += [
            (f"{row['title']}, {TITLES[name]}, beside our fastest", f"{row['ours'] / least:.2f} times", f"{SLOWEST}")
            for name, row in calls.items()
            if row["ours"] > SLOWEST * least
        ]
    return missed


def operations(batch: int, seq: int, dim: int = 768, hidden_dim: int = 3072, layers: int = 6) -> int:
    """Return the operations of one forward pass: two for each weight and token, and attention's."""
    return layers * batch * seq * (2 * (4 * dim * dim + 2 * dim * hidden_dim) + 4 * seq * dim)


def _rates(rows: list[Facts]) -> list[tuple[str, str, float, float]]:
    """Return framework, dtype, the rate of one matrix product and the rate of the whole model."""
    rates = []
    for name, workload in (("float32", "32x128"), ("bfloat16", "bfloat16-32x128")):
        for framework, title in TITLES.items():
            kinds = {
                (r["kind"], r["workload"]): r
                for r in rows
                if r["framework"] == framework and r["baseline"] in (None, "transformers")
            }
            product, model = kinds.get(("matrix", name)), kinds.get(("forward", workload))
            if product is not None and model is not None:
                rates.append((title, name, 2 * prod(MATRIX) / product["ours"], operations(32, 128) / model["ours"]))
    return rates


def shares(rows: list[Facts]) -> str:
    """Compare the rate of the whole model with that of one matrix product."""
    lines = [
        (f"{title}, {dtype}", f"{limit / 1e9:.0f}", f"{reached / 1e9:.0f}", f"{reached / limit:.0%}")
        for title, dtype, limit, reached in _rates(rows)
    ]
    return markdown_table(("framework", "product, GFLOP/s", "model, GFLOP/s", "share"), lines)


def missed_shares(rows: list[Facts]) -> list[Miss]:
    """Return the frameworks that reach too little of a matrix product's rate."""
    return [
        (f"share of the matrix rate, {title}", f"{reached / limit:.0%}", f"{SHARE:.0%}")
        for title, dtype, limit, reached in _rates(rows)
        if dtype == "float32" and reached < SHARE * limit
    ]


def products(rows: list[Facts]) -> str:
    """Show what the products alone take of a call or a step, ours and the baseline's."""
    lines = []
    kinds = {"products": "forward", "step_products": "step"}
    for alone in (row for row in rows if row["kind"] in kinds):
        key = (alone["workload"], kinds[alone["kind"]], alone["framework"], "transformers")
        calls = (r for r in rows if (r["workload"], r["kind"], r["framework"], r["baseline"]) == key)
        if (call := next(calls, None)) is not None:
            times = (f"{s * 1000:.4g} ms" for s in (alone["ours"], call["ours"], call["baseline_seconds"]))
            share = f"{alone['ours'] / call['ours']:.0%}"
            lines.append((call["title"], TITLES[alone["framework"]], *times, share))
    header = ("workload", "framework", "products alone", "ours", "transformers'", "share of ours")
    return markdown_table(header, lines)


def start(rows: list[Facts]) -> str:
    """Show what of the start-up is the framework's own import: seconds and MB."""
    lines = []
    for row in (row for row in rows if row["kind"] == "start"):
        (ours, baseline), bare = row["memory"], row["bare_memory"]
        each = ((row["bare"], bare), (row["ours"], ours), (row["baseline_seconds"], baseline))
        lines.append((TITLES[row["framework"]], *(f"{s:.2f} s, {mb:.0f} MB" for s, mb in each)))
    return markdown_table(("framework", "its import alone", "ours", "transformers"), lines)


def growth(rows: list[Facts]) -> str:
    """Show the time for one token as the batch and the length grow."""
    timed = {(r["title"], r["framework"]): r for r in rows if r["workload"].startswith("grow")}
    lines = []
    for shape in dict.fromkeys(title for title, _ in timed):
        batch, seq = map(int, shape.split(" x "))
        each = [timed[shape, name]["fastest"] / (batch * seq) * 1e6 for name in TITLES]
        lines.append((shape, f"{operations(1, seq) / seq / 1e6:.1f}", *(f"{x:.0f}" for x in each)))
    header = ("batch x seq", "million operations a token", "PyTorch, µs a token", "Keras", "Flax")
    return markdown_table(header, lines)


def missed_growth(rows: list[Facts]) -> list[Miss]:
    """Return the frameworks whose time for one token varies too much with the batch."""
    missed = []
    for name, title in TITLES.items():
        times = [
            r["fastest"] / int(r["title"].split(" x ")[0])
            for r in rows
            if r["workload"].startswith("grow") and r["framework"] == name and "x 128" in r["title"]
        ]
        if times and max(times) > (1 + FLAT) * min(times):
            spread = max(times) / min(times) - 1
            missed.append((f"time for one token from batch 1 to 64, {title}", f"varies by {spread:.0%}", f"{FLAT:.0%}"))
    return missed


def missed_goals(rows: list[Facts]) -> list[Miss]:
    """Return the rows that miss their goal of speed, then those that miss their goal of memory."""
    slow = [
        (f"{name_of(r)}, {TITLES[r['framework']]} against {r['baseline']}", f"{r['ratio']:.2f}", f"{r['goal']:g}")
        for r in compared(rows)
        if r["goal"] is not None and r["ratio"] < r["goal"]
    ]
    large = []
    for row in compared(rows):
        goal, (ours, baseline) = row["memory_goal"], row["memory"]
        if goal is not None and ours > goal * baseline:
            name = f"memory, {name_of(row)}, {TITLES[row['framework']]}"
            large.append((name, f"{ours / baseline:.2f} of the baseline's", f"{goal}"))
    return slow + large


def gpu_machine(facts: Facts) -> str:
    """Say which GPU was measured, in which versions, and how far the families are apart there."""
    furthest = [f"{dtype} {max(apart.values()):.1e}" for dtype, apart in facts["parity"].items()]
    rows = [
        ("GPU", facts["device"]),
        ("versions", ", ".join(f"{name} {version}" for name, version in facts["versions"].items())),
        (f"largest difference between two families, any output of {facts['parity_of']}", ", ".join(furthest)),
    ]
    return markdown_table(("what", "figure"), rows)


def gpu_speed(rows: list[Facts]) -> str:
    """Show each implementation beside transformers on a GPU."""
    header = ("workload", "dtype", "implementation", "time", "times as fast as transformers")
    lines = (_on_gpu(row, name, seconds) for row in rows for name, seconds in row["seconds"].items())
    return markdown_table((*header, "share of the matrix rate", "memory", "difference"), lines)


def _on_gpu(row: Facts, name: str, seconds: float) -> tuple[str, ...]:
    share, memory = row.get("share", {}), row.get("memory", {})
    return (
        row["title"],
        row["dtype"],
        name,
        f"{seconds * 1000:.4g} ms",
        f"{row['seconds']['transformers'] / seconds:.2f}",
        f"{share[name]:.0%}" if name in share else "-",
        f"{memory[name]:.0f} MB" if name in memory else "-",
        f"{row['difference'][name]:.0e}",
    )
