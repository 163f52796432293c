"""What is measured: one row for each workload and framework."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """One comparison.

    Attributes:
        title: The workload, for the page.
        workload: The name of its batches; with "bfloat16" or "masked" in it, of the dtype or the head too.
        kind: What the workers do with them: see `speed_worker.RUNNERS`.
        framework: "pt", "tf" or "flax".
        goal: How many times as fast as transformers it should be.
        tolerance: How far the numbers of the two may lie apart.
        rounds: How many rounds are measured.
    """

    title: str
    workload: str
    kind: str
    framework: str
    goal: float
    tolerance: float
    rounds: int = 9


_FORWARD = (
    ("one sentence of 20 tokens", "1x20", 1.05, 15),
    ("one text of 128 tokens", "1x128", 1.05, 15),
    ("32 texts of 128 tokens", "32x128", 1.0, 9),
    ("SST-2 dev, 32 at a time in file order", "sst2", 2.0, 5),
)

ROWS = (
    *(Row(title, name, "forward", f, goal, 1e-4, n) for title, name, goal, n in _FORWARD for f in ("pt", "tf", "flax")),
    Row("the same, packed by `pack`, whole file", "sst2", "packed", "flax", 2.0, 1e-4, 5),
    Row("fine-tuning step, 32 sentences of SST-2", "train32", "step", "pt", 1.8, 1e-4),
    Row("masked-LM step, 4 rows of 512, 15 % labelled", "masked4x512", "step", "pt", 1.4, 1e-4, 5),
    Row("32 texts of 128 tokens, bfloat16", "bfloat16-32x128", "forward", "pt", 1.2, 5e-2),
    Row("tokenizing 10,000 sentences to padded arrays", "texts", "tokenize", "pt", 1.2, 0.0),
)
"""Every row; the goals are the project's own."""
