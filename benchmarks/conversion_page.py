"""The tables and the picture of docs/conversion.md, from the figures of `conversion.py`."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "docs"))

from distilbert_conversion import DIALECTS
from page_tables import fill_tables, markdown_table

Facts = dict[str, Any]
SPARE = 64 * 2**20  # bytes of memory that a conversion may take beside one and a half times the largest tensor


def write_page(facts: Facts, path: Path) -> None:
    """Write the tables into docs/conversion.md."""
    fill_tables(path, conversion_tables(facts))


def conversion_tables(facts: Facts) -> dict[str, str]:
    """Return the tables of docs/conversion.md."""
    header = ("from", "to", "identical", "seconds", "without verification", "MB/s", "`cp`", "peak MB")
    return {
        "summary": _summary(facts),
        "pairs": markdown_table(header, map(_pair, facts["cells"])),
        "transformers": _transformers(facts["transformers"], facts["cells"]),
    }


def _summary(facts: Facts) -> str:
    """Say what holds for all pairs."""
    cells, limit = facts["cells"], 1.5 * facts["largest"] + SPARE
    above_limit = [f"`{cell['source']}` to `{cell['target']}`" for cell in cells if cell["peak"] > limit]
    differing = [f"`{cell['source']}` to `{cell['target']}`" for cell in cells if not cell["identical"]]
    ratios = sorted(cell["seconds"] / cell["copy"] for cell in cells)
    peak = max(cell["peak"] for cell in cells) / 1e6
    verdict = f"over it: {', '.join(above_limit)}" if above_limit else "every pair keeps it"
    rows = [
        ("machine", facts["machine"]),
        ("size of the checkpoint", f"{cells[0]['nbytes'] / 1e6:.0f} MB"),
        ("runs of each pair", facts["repeats"]),
        ("bit-identical", f"{len(cells) - len(differing)} of {len(cells)} pairs{_listed(differing)}"),
        (
            "time with verification, beside `cp`",
            f"{ratios[0]:.1f} to {ratios[-1]:.1f} times, median {ratios[len(ratios) // 2]:.1f}",
        ),
        ("most memory above the imports'", f"{peak:.0f} MB (limit: {limit / 1e6:.0f} MB; {verdict})"),
    ]
    return markdown_table(("what", "figure"), rows)


def _listed(differing: list[str]) -> str:
    return f"; not: {', '.join(differing)}" if differing else ""


def _pair(cell: Facts) -> tuple[str, ...]:
    speed = cell["nbytes"] / cell["seconds"] / 1e6
    return (
        f"`{cell['source']}`",
        f"`{cell['target']}`",
        "yes" if cell["identical"] else "no",
        f"{cell['seconds']:.2f}",
        f"{cell['unverified']:.2f}",
        f"{speed:.0f}",
        f"{cell['copy']:.2f}",
        f"{cell['peak'] / 1e6:.0f}",
    )


def _transformers(routes: Facts, cells: list[Facts]) -> str:
    """Return the table of transformers' own routes; it has no rows where they were not measured."""
    ours = {f"{cell['source']} {cell['target']}": cell["seconds"] for cell in cells}
    rows = []
    for route, seconds in routes.items():
        source, target = route.split()
        result = f"{seconds:.2f}" if isinstance(seconds, float) else f"fails: {_plain(seconds)}"
        rows.append((f"`{source}`", f"`{target}`", result, f"{ours[route]:.2f}"))
    return markdown_table(("from", "to", "transformers", "`distilbert convert`"), rows)


def _plain(error: str) -> str:
    """Return an error without what would break a table or name a folder of this machine."""
    return re.sub(r"(?<=\s)/\S+", "its folder", error.replace("|", "/")).rstrip(".")


def write_picture(facts: Facts, path: Path) -> None:
    """Write docs/conversion.png: seconds, and peak memory, of every pair."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    sources, targets = list(DIALECTS), list(dict.fromkeys(cell["target"] for cell in facts["cells"]))
    figure, axes = plt.subplots(1, 2, figsize=(15, 6.2), layout="constrained")
    shown = (("seconds", "seconds, with verification", 1.0, ".1f"), ("peak", "peak memory, MB", 1e6, ".0f"))
    for axis, (key, title, unit, form) in zip(axes, shown, strict=True):
        table = {(cell["source"], cell["target"]): cell[key] / unit for cell in facts["cells"]}
        grid = [[table[source, target] for target in targets] for source in sources]
        image = axis.imshow(grid, cmap="YlGnBu", vmin=0)
        figure.colorbar(image, ax=axis, shrink=0.8)
        axis.set_xticks(range(len(targets)), targets, rotation=40, ha="right")
        axis.set_yticks(range(len(sources)), sources)
        axis.set(title=title, xlabel="to", ylabel="from")
        middle = max(map(max, grid)) / 2
        for row, line in enumerate(grid):
            for column, value in enumerate(line):
                color = "white" if value > middle else "black"
                axis.text(column, row, format(value, form), ha="center", va="center", color=color, fontsize=9)
    figure.suptitle("Converting a DistilBERT of 268 MB from every dialect to every other")
    figure.savefig(path, dpi=110)
