"""The table and the plot of the ablation, from the figures of `ablation.py`."""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS))

from page_tables import fill_tables, markdown_table

__all__ = ["VARIANTS", "Variant", "ablation_tables", "write_page"]

Facts = dict[str, Any]


class Variant(NamedTuple):
    """One way to distil.

    Attributes:
        title: What the table calls it.
        settings: What differs from the paper's way.
        published: By how much the GLUE score of the paper changed.
    """

    title: str
    settings: dict[str, Any]
    published: float | None


VARIANTS = {
    "triple": Variant("triple loss", {}, None),
    "without-ce": Variant("without L_ce", {"alpha_ce": 0.0}, -2.96),
    "without-cos": Variant("without L_cos", {"alpha_cos": 0.0}, -1.46),
    "without-mlm": Variant("without L_mlm", {"alpha_task": 0.0}, -0.31),
    "random": Variant("triple loss, random weights", {"random_init": True}, -3.69),
}
MEASURES = {"mlm_loss": "masked-LM loss", "banking77": "BANKING77", "sst2": "SST-2"}


def write_page(figures: dict[str, Facts]) -> None:
    """Write the tables into docs/distillation.md, and the plots beside it."""
    fill_tables(DOCS / "distillation.md", ablation_tables(figures))
    for pair, facts in figures.items():
        draw(facts, DOCS / f"ablation-{pair}.png")


def ablation_tables(figures: dict[str, Facts]) -> dict[str, str]:
    """Return the tables of docs/distillation.md.

    Args:
        figures: What `ablation.py` left in ablation.json, by teacher.
    """
    tables = {f"ablation-{pair}": table(facts) for pair, facts in figures.items()}
    return tables | {f"ablation-{pair}-about": about(facts["about"], facts) for pair, facts in figures.items()}


def table(facts: Facts) -> str:
    """Return the table of the students of a teacher."""
    header = ("student", *MEASURES.values(), "mean of both tasks", "against the triple loss", "in the paper", "seeds")
    baseline = scores_of(facts, "triple")
    rows = [line_of(facts, name, baseline) for name in VARIANTS if scores_of(facts, name)]
    teacher = facts["teacher-0"]
    scores = [f"{100 * teacher[task]:.1f}" for task in list(MEASURES)[1:]]
    first = ("its teacher", f"{teacher['mlm_loss']:.3f}", *scores, f"{score(teacher):.1f}", "", "", "")
    return markdown_table(header, [first, *rows])


def about(settings: Facts, facts: Facts) -> str:
    """Say what was trained, on what, and how long it took."""
    minutes = sum(one.get("processor_seconds", 0.0) for one in facts.values()) / 60
    tasks = ", ".join(
        f"{MEASURES[task]} with {rows:,} rows, {epochs:g} epochs" for task, (rows, epochs) in settings["tasks"].items()
    )
    layers = settings["layers"]
    lines = [
        ("teacher and students", f"{layers} and {layers // 2} layers, {settings['dim']} wide"),
        ("distilled on", f"`{settings['corpus']}`, {settings['epochs']:g} epochs"),
        ("computed in", settings["precision"]),
        ("fine-tuned on", tasks),
        ("processor", settings["processor"]),
        ("processor time", f"{minutes:.0f} minutes"),
    ]
    return markdown_table(("what", ""), lines)


def runs_of(facts: Facts, name: str) -> list[Facts]:
    """Return the figures of a variant, one for each seed."""
    return [one for one in facts.values() if one.get("variant") == name]


def score(one: Facts) -> float:
    """Return the mean accuracy on the tasks, in percent."""
    return 100 * mean(one[task] for task in list(MEASURES)[1:])


def scores_of(facts: Facts, name: str) -> list[float]:
    """Return the scores of a variant, one for each seed."""
    return [score(one) for one in runs_of(facts, name)]


def line_of(facts: Facts, name: str, baseline: list[float]) -> tuple[str, ...]:
    """Return one line of the table."""
    variant, runs, scores = VARIANTS[name], runs_of(facts, name), scores_of(facts, name)
    cells = [spread([one[key] * (1 if key == "mlm_loss" else 100) for one in runs], key) for key in MEASURES]
    change = "" if name == "triple" else f"{mean(scores) - mean(baseline):+.1f}"
    published = "" if variant.published is None else f"{variant.published:+.2f}"
    return (variant.title, *cells, spread(scores, "score"), change, published, str(len(runs)))


def spread(values: list[float], key: str) -> str:
    """Return mean and standard deviation in words."""
    digits = 3 if key == "mlm_loss" else 1
    deviation = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):.{digits}f}{deviation}"


def draw(facts: Facts, path: Path) -> None:
    """Draw each measure of each variant: the seeds as points, their mean as a bar."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    names = [name for name in VARIANTS if runs_of(facts, name)]
    figure, axes = pyplot.subplots(1, len(MEASURES), figsize=(12, 3.6), sharey=True, layout="constrained")
    for axis, (key, title) in zip(axes, MEASURES.items(), strict=True):
        factor = 1 if key == "mlm_loss" else 100
        for row, name in enumerate(names):
            values = [one[key] * factor for one in runs_of(facts, name)]
            axis.barh(row, mean(values), color="tab:blue" if name == "triple" else "lightsteelblue")
            axis.plot(values, [row] * len(values), "o", color="black", markersize=4)
        teacher = facts["teacher-0"][key] * factor
        axis.axvline(teacher, color="tab:orange", linestyle="--", label="teacher")
        everything = [teacher, *(one[key] * factor for name in names for one in runs_of(facts, name))]
        margin = 0.15 * (max(everything) - min(everything))
        axis.set_xlim(min(everything) - margin, max(everything) + margin)
        axis.set_title(title + (" (less is better)" if key == "mlm_loss" else ", accuracy in %"))
    axes[0].set_yticks(range(len(names)), [VARIANTS[name].title for name in names])
    axes[0].invert_yaxis()
    axes[-1].legend(loc="lower right")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
