"""The picture of the servers' figures: answers a second and latency by the number of clients."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["draw"]


def draw(facts: Mapping[str, Any], names: Mapping[str, str], path: Path) -> None:
    """Draw what `serving.py` measured.

    Args:
        facts: Its figures.
        names: The servers' names by the short ones.
        path: Where to write the PNG.
    """
    import matplotlib.pyplot as plt

    figure, (rates, latencies) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for name, title in names.items():
        points = [point for point in facts["points"] if point["server"] == name]
        if not points:
            continue
        clients = [point["clients"] for point in points]
        rates.plot(clients, [point["per_second"] for point in points], marker="o", label=title)
        (line,) = latencies.plot(clients, [point["p99_ms"] for point in points], marker="o", label=f"{title}, p99")
        p50 = [point["p50_ms"] for point in points]
        latencies.plot(clients, p50, marker=".", linestyle=":", color=line.get_color(), label=f"{title}, p50")
    rates.set(xscale="log", xlabel="clients", ylabel="answers a second", title="Throughput")
    latencies.set(xscale="log", yscale="log", xlabel="clients", ylabel="ms", title="Latency")
    for axes in (rates, latencies):
        axes.set_xticks(sorted({point["clients"] for point in facts["points"]}), minor=False)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)
