"""Write the pages that are made from the code, and the demo's output in the README.

With --check, fail where a page is not what would be written.

Usage: make docs
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from distilbert_cli.tolerances import (
    BERT,
    FRAMEWORKS,
    GRADIENT,
    HALF,
    KERAS_HUB_MLM,
    MATRIX,
    TRAINING,
    TRIPLE_LOSS,
    Tolerance,
)
from distilbert_conversion import HEADS, WEIGHTS

HERE = Path(__file__).resolve().parent


def table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def weights_page() -> str:
    """Return the weight table as a page."""
    rows = [
        (
            f"`{row.canonical}`",
            f"`{row.tf}`",
            f"`{row.flax}`",
            f"`{row.keras}`",
            "yes" if row.transform == "transpose" else "",
            "(" + ", ".join(map(str, row.shape)) + ")",
            "all" if row.backbone else ", ".join(row.heads),
        )
        for row in WEIGHTS
    ]
    return f"""# The weight table

Every parameter of the six models ({", ".join(HEADS)}), its name in each framework and its shape in PyTorch. Readers,
writers, loading, sharding and tying derive from this one table, `distilbert_conversion.WEIGHTS`. `{{i}}` is the layer;
in Keras 3 weight files `{{_i}}` is empty for the first layer, then `_1`, `_2` and so on.

PyTorch and Flax put `distilbert` before the backbone's names in models with a head, TensorFlow and Keras in all.
`vocab_projector.weight` is stored only where `tie_word_embeddings` is false. "transposed" says that every framework
but PyTorch stores the matrix transposed.

{table(("PyTorch", "TensorFlow", "Flax", "Keras 3 `.weights.h5`", "transposed", "shape", "models"), rows)}
"""


def tolerances_page() -> str:
    """Return the tolerance table as a page."""
    named: dict[str, Tolerance] = {
        "outputs against transformers, float32": MATRIX,
        "gradients against transformers": GRADIENT,
        "triple loss, value and gradients, between frameworks": TRIPLE_LOSS,
        "loss curves between frameworks": TRAINING,
        "a BERT converted to DistilBERT": BERT,
        "masked-LM logits of a KerasHub preset": KERAS_HUB_MLM,
        **{f"{dtype} between frameworks (`distilbert parity`)": t for dtype, t in FRAMEWORKS.items()},
        **{f"{dtype} against float32": t for dtype, t in HALF.items()},
    }
    rows = [(what, f"{tolerance.value:g}", tolerance.reason) for what, tolerance in named.items()]
    return f"""# Tolerances

Every tolerance that a test or the command `distilbert parity` uses, from `distilbert_cli.tolerances`.

{table(("what", "figure", "reason"), rows)}
"""


PAGES: dict[str, Callable[[], str]] = {"weights.md": weights_page, "tolerances.md": tolerances_page}


def refresh_readme() -> None:
    """Put what the demo prints on this machine into the README; its last digits differ between processors."""
    readme = HERE.parent / "README.md"
    demo = [sys.executable, HERE.parent / "demo" / "demo.py"]
    printed = subprocess.run(demo, check=True, capture_output=True, text=True, env={**os.environ, "COLUMNS": "112"})
    before, _, rest = readme.read_text().partition("<!-- demo -->")
    _, _, after = rest.partition("<!-- /demo -->")
    shown = "\n".join(line.rstrip() for line in printed.stdout.splitlines())
    readme.write_text(f"{before}<!-- demo -->\n```\n{shown}\n```\n<!-- /demo -->{after}", encoding="utf-8")


def main() -> int:
    """Write or check every page; return 1 where a check fails."""
    stale = [name for name, page in PAGES.items() if not (HERE / name).is_file() or (HERE / name).read_text() != page()]
    if "--check" in sys.argv[1:]:
        for name in stale:
            print(f"docs/{name} is not what `make docs` writes; run it and commit the result")
        return 1 if stale else 0
    for name, page in PAGES.items():
        (HERE / name).write_text(page(), encoding="utf-8")
        print(f"docs/{name}" + (" (changed)" if name in stale else ""))
    refresh_readme()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
