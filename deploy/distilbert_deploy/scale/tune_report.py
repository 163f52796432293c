"""What a search leaves: its record with the results, and a picture of all trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from distilbert_deploy.scale.search import Search
from distilbert_deploy.scale.trials import Outcome
from distilbert_tasks.pictures import new_figure, save_figure

__all__ = ["differing", "facts_of", "write_report"]

PICTURE = "tune.png"
_COLORS = {"finished": "#00798c", "stopped early": "#edae49", "failed": "#d1495b", "running": "grey"}


def facts_of(outcome: Outcome, metric: str) -> dict[str, Any]:
    """Return an outcome as JSON has it."""
    return {
        "trial": outcome.number,
        "status": outcome.status,
        metric: outcome.best(metric),
        "evaluations": [list(point) for point in outcome.points],
        "options": dict(outcome.options),
        **({"reason": outcome.reason} if outcome.reason else {}),
    }


def differing(options: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of options that are not the same in all trials."""
    return [name for name in options[0] if len({str(one[name]) for one in options}) > 1]


def write_report(search: Search, facts: Mapping[str, Any], outcomes: Sequence[Outcome]) -> None:
    """Write the record and the picture.

    Raises:
        MissingFrameworkError: matplotlib is not installed.
    """
    search.write(facts, results=[facts_of(one, search.metric) for one in outcomes])
    searched = differing(search.drawn)
    figure = new_figure("a picture of trials", 4.5 * (1 + len(searched)), 3.6)
    panels = figure.subplots(1, 1 + len(searched), squeeze=False)[0]
    _draw_curves(panels[0], outcomes, search.metric)
    for axes, name in zip(panels[1:], searched, strict=True):
        _draw_option(axes, outcomes, name, search.metric)
    save_figure(figure, search.folder / PICTURE)


def _draw_curves(axes: Any, outcomes: Sequence[Outcome], metric: str) -> None:
    """Draw what each trial measured, step by step."""
    for one in outcomes:
        if one.points:
            axes.plot(*zip(*one.points, strict=True), color=_COLORS[one.status], marker="o", markersize=3)
    for status in dict.fromkeys(one.status for one in outcomes):
        axes.plot([], [], color=_COLORS[status], label=status)
    axes.legend(fontsize=8)
    axes.set_xlabel("step")
    axes.set_title(metric.replace("_", " "))
    axes.grid(alpha=0.3)


def _draw_option(axes: Any, outcomes: Sequence[Outcome], name: str, metric: str) -> None:
    """Draw the best value of each trial over an option."""
    measured = [one for one in outcomes if one.points]
    values = [one.options[name] for one in measured]
    are_numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
    x_values = values if are_numbers else [str(value) for value in values]
    colors = [_COLORS[one.status] for one in measured]
    axes.scatter(x_values, [one.best(metric) for one in measured], c=colors, s=20)
    if are_numbers and min(values) > 0 and max(values) > 20 * min(values):
        axes.set_xscale("log")
    axes.set_xlabel(name.replace("_", " "))
    axes.set_title(f"best {metric.replace('_', ' ')}")
    axes.grid(alpha=0.3)
