"""The pictures of the speed benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt

from speed_page import DOCS, TITLES, compared, name_of, operations

COLORS = {"pt": "#d1495b", "tf": "#edae49", "flax": "#00798c"}
DPI = 150


def draw_pictures(rows: list[dict[str, Any]]) -> None:
    """Draw the pictures of docs/benchmarks.md from the rows of speed.json."""
    named = [(f"{name_of(row)}, {TITLES[row['framework']]} / {row['baseline']}", row) for row in compared(rows)]
    draw_ratios(DOCS / "benchmarks.png", named)
    points = [
        (*map(int, row["title"].split(" x ")), row["framework"], row["fastest"])
        for row in rows
        if row["workload"].startswith("grow")
    ]
    draw_growth(DOCS / "benchmarks-growth.png", points)


def draw_ratios(path: Path, rows: list[tuple[str, dict[str, Any]]]) -> None:
    """Draw how many times as fast as its baseline each row is.

    Args:
        path: The file to write.
        rows: The name of each row and its figures.
    """
    figure, axes = plt.subplots(figsize=(11, 0.3 * len(rows) + 1.2))
    for position, (_, row) in enumerate(rows):
        axes.barh(position, row["ratio"], color=COLORS[row["framework"]])
        axes.plot([row["least"], row["most"]], [position, position], color="black", linewidth=1)
        if row["goal"] is not None:
            axes.plot([row["goal"]] * 2, [position - 0.4, position + 0.4], color="black", linewidth=2)
        end = max(row["ratio"], row["most"], row["goal"] or 0)
        axes.text(end + 0.05, position, f"{row['ratio']:.2f}", va="center", fontsize=8)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows], fontsize=8)
    axes.margins(y=0.01)
    axes.invert_yaxis()
    axes.axvline(1, color="grey", linewidth=0.8)
    axes.set_xlabel("times as fast as the baseline (thin line: least and most; thick line: the goal)", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=DPI)
    plt.close(figure)


def draw_growth(path: Path, points: list[tuple[int, int, str, float]]) -> None:
    """Draw the time for one token against the batch, and against the length beside what the operations explain.

    Args:
        path: The file to write.
        points: Batch, length, framework and seconds of each measurement.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), sharey=True)
    for name, title in TITLES.items():
        mine = [(batch, seq, seconds / (batch * seq) * 1e6) for batch, seq, f, seconds in points if f == name]
        batches = sorted((batch, each) for batch, seq, each in mine if seq == 128)
        lengths = sorted((seq, each) for batch, seq, each in mine if batch * seq in (1024, 2048))
        if not lengths:
            continue
        left.plot(*zip(*batches, strict=True), "o-", color=COLORS[name], label=title)
        right.plot(*zip(*lengths, strict=True), "o-", color=COLORS[name], label=title)
        first, start = lengths[0]
        scale = start / (operations(1, first) / first)
        explained = [operations(1, seq) / seq * scale for seq, _ in lengths]
        right.plot([seq for seq, _ in lengths], explained, ":", color=COLORS[name])
    left.set_xlabel("batch, 128 tokens each")
    left.set_ylabel("microseconds for one token")
    right.set_xlabel("length (dotted: growing as the operations do)")
    for axes in (left, right):
        axes.set_xscale("log", base=2)
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
    left.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=DPI)
    plt.close(figure)
