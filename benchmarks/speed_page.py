"""The page and the pictures of the speed benchmark: its tables from the figures given."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path
from typing import Any

from runs import MATRIX
from speed_pictures import draw_growth, draw_ratios
from speed_text import TEXT

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
TITLES = {"pt": "PyTorch", "tf": "Keras", "flax": "Flax"}
SLOWEST = 1.25
"""No framework of ours should take longer than this times the fastest, for one text."""
SHARE = 0.85
"""The share of a matrix product's rate that a full batch should reach."""
FLAT = 0.15
"""How far the time for one token may vary from batch 1 to 64."""
Facts = dict[str, Any]


def name_of(row: Facts) -> str:
    """Return what a row is called."""
    return row["title"] + {"prepacked": ", prepacked", "xla": ", by XLA"}.get(row["kind"], "")


def cell(row: Facts) -> str:
    """Return one line of the table."""
    unit, name = (1000, "ms") if max(row["ours"], row["peer_seconds"]) < 10 else (1, "s")
    same = "-" if row["difference"] is None else f"{row['difference']:.0e}" if row["same"] else "**different**"
    ratio = f"**{row['ratio']:.2f}** ({row['least']:.2f} to {row['most']:.2f})"
    goal = "-" if row["goal"] is None else f"{row['goal']:g}, {'reached' if row['ratio'] >= row['goal'] else 'missed'}"
    seconds = (f"{row[side] * unit:.4g} {name}" for side in ("ours", "peer_seconds"))
    memory = "-" if row["memory_goal"] is None else "{:.0f}, {:.0f}".format(*row["memory"])
    parts = (name_of(row), TITLES[row["framework"]], row["peer"], *seconds, ratio, goal, memory, same, row["rounds"])
    return f"| {' | '.join(map(str, parts))} |"


def table(head: str, lines: list[str]) -> str:
    """Return a table in Markdown."""
    return "\n".join([f"| {head} |", "|" + "---|" * (head.count("|") + 1), *lines])


def side_by_side(rows: list[Facts], lost: list[str]) -> str:
    """Compare our frameworks with each other, for one text."""
    lines = []
    for workload in ("1x20", "1x128", "32x128", "sst2"):
        found = {
            r["framework"]: r
            for r in rows
            if (r["workload"], r["kind"], r["peer"]) == (workload, "forward", "transformers")
        }
        if len(found) < len(TITLES):
            continue
        seconds = {name: found[name]["ours"] for name in TITLES}
        least = min(seconds.values())
        cells = [f"{s * 1000:.4g} ms ({s / least:.2f})" for s in seconds.values()]
        lines.append(f"| {found['pt']['title']} | {' | '.join(cells)} |")
        if workload.startswith("1x"):
            lost += [
                f"- {found['pt']['title']}, {TITLES[name]}: {s / least:.2f} times our fastest, not {SLOWEST}"
                for name, s in seconds.items()
                if s > SLOWEST * least
            ]
    return table("workload | PyTorch | Keras | Flax", lines)


def operations(batch: int, seq: int, dim: int = 768, hidden_dim: int = 3072, layers: int = 6) -> int:
    """Return the operations of one forward pass: two for each weight and token, and attention's."""
    return layers * batch * seq * (2 * (4 * dim * dim + 2 * dim * hidden_dim) + 4 * seq * dim)


def shares(rows: list[Facts], lost: list[str]) -> str:
    """Compare the rate of the whole model with that of one matrix product."""
    lines = []
    for name, workload in (("float32", "32x128"), ("bfloat16", "bfloat16-32x128")):
        for framework, title in TITLES.items():
            kinds = {
                (r["kind"], r["workload"]): r
                for r in rows
                if r["framework"] == framework and r["peer"] in (None, "transformers")
            }
            product, model = kinds.get(("matrix", name)), kinds.get(("forward", workload))
            if product is None or model is None:
                continue
            limit, reached = 2 * prod(MATRIX) / product["ours"], operations(32, 128) / model["ours"]
            lines.append(f"| {title}, {name} | {limit / 1e9:.0f} | {reached / 1e9:.0f} | {reached / limit:.0%} |")
            if name == "float32" and reached < SHARE * limit:
                lost.append(f"- share of the matrix rate, {title}: {reached / limit:.0%}, not {SHARE:.0%}")
    return table("framework | product, GFLOP/s | model, GFLOP/s | share", lines)


def products(rows: list[Facts]) -> str:
    """Show what the products alone take of a call or a step, ours and the peer's."""
    lines = []
    whole = {"products": "forward", "step_products": "step"}
    for alone in (row for row in rows if row["kind"] in whole):
        place = (alone["workload"], whole[alone["kind"]], alone["framework"], "transformers")
        call = next((r for r in rows if (r["workload"], r["kind"], r["framework"], r["peer"]) == place), None)
        if call is not None:
            times = " | ".join(f"{s * 1000:.4g} ms" for s in (alone["ours"], call["ours"], call["peer_seconds"]))
            share = f"{alone['ours'] / call['ours']:.0%}"
            lines.append(f"| {call['title']} | {TITLES[alone['framework']]} | {times} | {share} |")
    return table("workload | framework | products alone | ours | transformers' | share of ours", lines)


def start(rows: list[Facts]) -> str:
    """Show what of the start-up is the framework's own import: seconds and MB."""
    lines = []
    for row in (row for row in rows if row["kind"] == "start"):
        (ours, peer), bare = row["memory"], row["bare_memory"]
        each = ((row["bare"], bare), (row["ours"], ours), (row["peer_seconds"], peer))
        lines.append(
            f"| {TITLES[row['framework']]} | " + " | ".join(f"{s:.2f} s, {mb:.0f} MB" for s, mb in each) + " |"
        )
    return table("framework | its import alone | ours | transformers", lines)


def growth(rows: list[Facts], lost: list[str]) -> str:
    """Show the time for one token as the batch and the length grow."""
    found = {(r["title"], r["framework"]): r for r in rows if r["workload"].startswith("grow")}
    lines = []
    for shape in dict.fromkeys(title for title, _ in found):
        batch, seq = map(int, shape.split(" x "))
        each = [found[shape, name]["fastest"] / (batch * seq) * 1e6 for name in TITLES]
        lines.append(f"| {shape} | {operations(1, seq) / seq / 1e6:.1f} | {' | '.join(f'{x:.0f}' for x in each)} |")
    for name, title in TITLES.items():
        times = [
            r["fastest"] / int(shape.split(" x ")[0])
            for (shape, f), r in found.items()
            if f == name and "x 128" in shape
        ]
        if times and max(times) > (1 + FLAT) * min(times):
            spread = max(times) / min(times) - 1
            lost.append(f"- time for one token from batch 1 to 64, {title}: varies by {spread:.0%}, not {FLAT:.0%}")
    return table("batch x seq | million operations a token | PyTorch, µs a token | Keras | Flax", lines)


def gpu_section() -> str:
    """Return the figures of a GPU, where `gpu.py` has left some."""
    path = ROOT / "benchmarks" / "gpu.json"
    if not path.is_file():
        return ""
    facts = json.loads(path.read_text())
    lines = []
    for row in facts["rows"]:
        shares, memory, peer = row.get("share", {}), row.get("memory", {}), row["seconds"]["transformers"]
        for name, seconds in row["seconds"].items():
            share = f"{shares[name]:.0%}" if name in shares else "-"
            held = f"{memory[name]:.0f} MB" if name in memory else "-"
            difference = f"{row['difference'][name]:.0e}"
            parts = (
                row["title"],
                row["dtype"],
                name,
                f"{seconds * 1000:.4g} ms",
                f"{peer / seconds:.2f}",
                share,
                held,
                difference,
            )
            lines.append(f"| {' | '.join(parts)} |")
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    head = (
        "workload | dtype | implementation | time | times as fast as transformers | share of the matrix rate"
        " | memory | difference"
    )
    about = f"{facts['device']}, {versions}; `make gpu`, float32 without TensorFloat-32."
    found = [f"{dtype} {max(apart.values()):.1e}" for dtype, apart in facts["parity"].items()]
    agree = f"The furthest that two families are apart there, in any output of {facts['parity_of']} on real sentences:"
    return f"\n## On a GPU\n\n{about}\n\n{table(head, lines)}\n\n{agree} {', '.join(found)}.\n"


def lost_rows(compared: list[Facts]) -> list[str]:
    """Return a line for each row whose goal is missed."""
    lost = [
        f"- {name_of(r)}, {TITLES[r['framework']]} against {r['peer']}: {r['ratio']:.2f} of {r['goal']:g}"
        for r in compared
        if r["goal"] is not None and r["ratio"] < r["goal"]
    ]
    for row in compared:
        goal, (ours, peer) = row["memory_goal"], row["memory"]
        if goal is not None and ours > goal * peer:
            lost.append(
                f"- memory, {name_of(row)}, {TITLES[row['framework']]}: {ours / peer:.2f} of the peer's, not {goal}"
            )
    return lost


def write_page(results: Facts) -> None:
    """Write docs/benchmarks.md and its pictures."""
    rows, machine = results["rows"], results["machine"]
    compared = [row for row in rows if row["peer"] is not None]
    lost = lost_rows(compared)
    head = "workload | framework | peer | ours | peer's | times as fast | goal | memory | difference | rounds"
    page = TEXT.format(
        table=table(head, [cell(row) for row in compared]),
        side=side_by_side(rows, lost),
        shares=shares(rows, lost),
        products=products(rows),
        start=start(rows),
        growth=growth(rows, lost),
        gpu=gpu_section(),
        lost="\n".join(lost) or "Nowhere in this run.",
        flags=", ".join(machine["flags"]),
        versions=", ".join(f"{name} {version}" for name, version in machine["versions"].items()),
        **machine["peers"],
        **{name: machine[name] for name in ("processor", "cores", "python")},
    )
    (DOCS / "benchmarks.md").write_text(page, encoding="utf-8")
    draw_ratios(
        DOCS / "benchmarks.png", [(f"{name_of(r)}, {TITLES[r['framework']]} / {r['peer']}", r) for r in compared]
    )
    points = [
        (*map(int, r["title"].split(" x ")), r["framework"], r["fastest"])
        for r in rows
        if r["workload"].startswith("grow")
    ]
    draw_growth(DOCS / "benchmarks-growth.png", points, operations, TITLES)
