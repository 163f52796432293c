"""Metrics as a table, to the digits that all frameworks agree on."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["rounded", "show_metrics"]

DIGITS = 4


def rounded(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return metrics to the digits that are shown."""
    return {name: round(value, DIGITS) for name, value in metrics.items()}


def show_metrics(metrics: Mapping[str, Mapping[str, float]]) -> None:
    """Print a row for each metric, and a column for each split."""
    from rich.console import Console
    from rich.table import Table

    table = Table("metric")
    for split in metrics:
        table.add_column(split, justify="right")
    for name in dict.fromkeys(name for values in metrics.values() for name in values):
        table.add_row(name, *(f"{values[name]:.{DIGITS}f}" if name in values else "" for values in metrics.values()))
    if metrics:
        Console(highlight=False).print(table)
