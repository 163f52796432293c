"""The page and the picture of the speed benchmark: text kept here, figures given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[1] / "docs"
TITLES = {"pt": "PyTorch", "tf": "Keras", "flax": "Flax"}
MEMORY_GOAL = 0.7
"""The share of transformers' peak memory that import and loading may take."""
Facts = dict[str, Any]

TEXT = """# Speed

Written by `make bench`. Ours and transformers' run in turn, round by round, each in a process that stays; medians, and
of the ratios the least and the most. Each row checks that both gave the same numbers. The model is full-size (6 layers,
768 wide, 12 heads, 30,522 words), float32 where no other type is named, with random weights; the texts are real.

- PyTorch: `model(...)` under `torch.inference_mode()`, against transformers {pt}.
- Keras: `tf.function` with sizes left open, against transformers {tf} in a `tf.function` of the same kind, on tf-keras.
- Flax: our plain call, which is compiled by default, against transformers {tf} under `jax.jit`.

{table}

![how many times as fast as transformers](benchmarks.png)

Peak memory of a fresh process that imports and loads: {memory}.

Measured on {processor}, {cores} cores ({flags}), Python {python}, {versions}.

## Where the time goes

- PyTorch multiplies float32 by MKL, which leaves AVX-512 unused on processors of other makers than Intel. Ours takes
  oneDNN, which is in every PyTorch for x86; on Intel the two are alike, and these ratios will be smaller there.
- A padded batch in PyTorch runs on its real tokens only. Keras and Flax compute padding; packed rows
  (`distilbert_common.packing.pack`, `segment_ids`) spare it in all three.
- `return_logits=False` projects labelled positions only: the masked-LM step skips 85 % of its largest product.

## Where we do not reach the goal

{lost}
"""


def cell(row: Facts) -> str:
    """Return one line of the table."""
    unit = 1000 if max(row["ours"], row["peer"]) < 10 else 1
    name = "ms" if unit == 1000 else "s"
    same = "-" if row["difference"] is None else f"{row['difference']:.0e}" if row["same"] else "**different**"
    ratio = f"**{row['ratio']:.2f}** ({row['least']:.2f} to {row['most']:.2f})"
    goal = f"{row['goal']:g}, {'reached' if row['ratio'] >= row['goal'] else 'not reached'}"
    parts = (
        row["title"], TITLES[row["framework"]], f"{row['ours'] * unit:.4g} {name}", f"{row['peer'] * unit:.4g} {name}",
        ratio, goal, same, str(row["rounds"]),
    )  # fmt: skip
    return f"| {' | '.join(parts)} |"


def draw(rows: list[Facts]) -> None:
    """Draw the ratio of every row."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    colours = {"pt": "#d1495b", "tf": "#edae49", "flax": "#00798c"}
    figure, axes = plt.subplots(figsize=(10, 0.34 * len(rows) + 1.2))
    for place, row in enumerate(rows):
        axes.barh(place, row["ratio"], color=colours[row["framework"]])
        axes.plot([row["least"], row["most"]], [place, place], color="black", linewidth=1)
        axes.plot([row["goal"]] * 2, [place - 0.4, place + 0.4], color="black", linewidth=2)
        axes.text(max(row["ratio"], row["most"]) + 0.03, place, f"{row['ratio']:.2f}", va="center", fontsize=8)
    axes.set_yticks(range(len(rows)), [f"{row['title']}, {TITLES[row['framework']]}" for row in rows], fontsize=8)
    axes.invert_yaxis()
    axes.axvline(1, color="grey", linewidth=0.8)
    axes.set_xlabel("times as fast as transformers (thin line: least and most; thick line: the goal)", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(DOCS / "benchmarks.png", dpi=150)


def write_page(results: Facts) -> None:
    """Write docs/benchmarks.md and docs/benchmarks.png."""
    rows, machine = results["rows"], results["machine"]
    head = "| workload | framework | ours | transformers | times as fast | goal | difference | rounds |"
    table = "\n".join([head, "|---|---|---|---|---|---|---|---|", *map(cell, rows)])
    memory = [
        f"{TITLES[r['framework']]} {r['memory'][0]:.0f} MB against {r['memory'][1]:.0f} MB"
        for r in rows
        if "memory" in r
    ]
    lost = [
        f"- {r['title']}, {TITLES[r['framework']]}: {r['ratio']:.2f} of {r['goal']:g}"
        for r in rows
        if r["ratio"] < r["goal"]
    ]
    for row in rows:
        if "memory" in row and row["memory"][0] > MEMORY_GOAL * row["memory"][1]:
            share = row["memory"][0] / row["memory"][1]
            lost.append(
                f"- memory after loading, {TITLES[row['framework']]}: {share:.2f} of transformers', not {MEMORY_GOAL}"
            )
    page = TEXT.format(
        table=table,
        memory=", ".join(memory) or "not measured",
        lost="\n".join(lost) or "Nowhere in this run.",
        pt=machine["peers"][".venv-bench-pt"],
        tf=machine["peers"][".venv-bench-tf"],
        flags=", ".join(machine["flags"]),
        versions=", ".join(f"{name} {version}" for name, version in machine["versions"].items()),
        **{name: machine[name] for name in ("processor", "cores", "python")},
    )
    (DOCS / "benchmarks.md").write_text(page, encoding="utf-8")
    draw(rows)
