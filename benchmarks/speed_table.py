"""What is measured: one row for each workload, framework and baseline."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """One comparison.

    Attributes:
        title: The workload, for the page.
        workload: The name of its batches; with "bfloat16" or "masked" in it, of the dtype or the head too.
        kind: What the workers do with them: the name of a function in `runs_pt.py`, `runs_tf.py` and `runs_flax.py`.
        framework: "pt", "tf" or "flax".
        goal: How many times as fast as the baseline it should be; None where it is measured to be known.
        tolerance: How far the numbers of the two may lie apart.
        rounds: How many rounds are measured.
        baseline: Whose implementation is the other side; None where ours is measured alone.
        memory_goal: The share of the baseline's peak memory that ours may take; None where none is set.
    """

    title: str
    workload: str
    kind: str
    framework: str
    goal: float | None
    tolerance: float
    rounds: int = 9
    baseline: str | None = "transformers"
    memory_goal: float | None = None

    @property
    def repeat(self) -> int:
        """How often a round runs the workload: short ones many times, as one is over before clocks are sure."""
        return {"1x20": 20, "1x128": 5, "4x128": 2}.get(self.workload.removeprefix("grow-"), 1)


SHORT, LONG, FULL, SST2 = (
    "one sentence of 20 tokens",
    "one text of 128 tokens",
    "32 texts of 128 tokens",
    "SST-2 dev, 32 at a time in file order",
)
ENCODE, TRAIN = "SST-2 dev, whole at once, text to vectors", "fine-tuning step, 32 sentences of SST-2"
MASKED, HALF = "masked-LM step, 4 rows of 512, 15 % labeled", "32 texts of 128 tokens, bfloat16"
ALL = ("pt", "tf", "flax")
_FORWARD = (
    (SHORT, "1x20", (1.05, 1.05, 1.0), 15),  # Flax's baseline is jitted, as the plain call of its users is not
    (LONG, "1x128", (1.05, 1.05, 1.0), 15),
    (FULL, "32x128", (1.0, 1.0, 1.0), 9),
    (SST2, "sst2", (2.0, 2.0, 2.0), 9),
)

ROWS = (
    *(
        Row(title, name, "forward", f, goal, 1e-4, n)
        for title, name, goals, n in _FORWARD
        for f, goal in zip(ALL, goals, strict=True)
    ),
    *(Row(title, name, "forward", "flax", 3.0, 1e-4, 9, "unjitted") for title, name, *_ in _FORWARD[:2]),
    *(Row(ENCODE, "whole", "encode", f, 1.1, 1e-3, 9, "sentence-transformers") for f in ALL),
    *(Row(TRAIN, "train32", "step", f, 1.8, 1e-3) for f in ALL),
    *(Row(MASKED, "masked4x512", "step", f, 1.4, 1e-3, 9, "transformers", 0.6) for f in ALL),
    Row(f"{MASKED}, checkpointed", "masked4x512-checkpointed", "step", "pt", 1.4, 1e-3, 9, "transformers", 0.6),
    *(Row(HALF, "bfloat16-32x128", "forward", f, 1.2, 5e-2) for f in ALL),
    Row("tokenizing 10,000 sentences to padded arrays", "texts", "tokenize", "pt", 1.2, 0.0),
    *(Row(title, name, "prepacked", "pt", None, 1e-4, 9, "onnxruntime") for title, name, *_ in _FORWARD[:3]),
    Row(SHORT, "1x20", "prepacked", "pt", 1.05, 1e-4),
    *(Row(title, name, "xla", "tf", None, 1e-4) for title, name, *_ in _FORWARD[:3]),
    Row(HALF, "bfloat16-32x128", "prepacked", "pt", 1.2, 5e-2),
    *(Row(title, name, "first_token", "tf", None, 1e-4, 9, "keras-hub") for title, name, *_ in _FORWARD[:3]),
)
"""Every comparison; the goals are the project's own."""

RATES = tuple(
    Row("a matrix product of 4096 x 768 x 3072", name, "matrix", f, None, 1e-4, 9, None)
    for f in ALL
    for name in ("float32", "bfloat16")
)
"""What a matrix product of the model's shape reaches, which no model can pass."""

PRODUCTS = tuple(
    Row(f"the products of {title}", name, "products", f, None, 1e-4, 9, None)
    for title, name in ((SHORT, "1x20"), (LONG, "1x128"), (FULL, "32x128"), (HALF, "bfloat16-32x128"))
    for f in ALL
) + tuple(
    Row(f"the products of {title}", name, "step_products", f, None, 1e-4, 9, None)
    for title, name in ((TRAIN, "train32"), (MASKED, "masked4x512"))
    for f in ALL
)
"""What the matrix products of one call, or of one step, take alone: only the rest can be faster."""

GROWTH = tuple(
    Row(f"{batch} x {seq}", f"grow-{batch}x{seq}", "forward", f, None, 1e-4, 5, None)
    for batch, seq in ((1, 128), (4, 128), (16, 128), (32, 128), (64, 128), (32, 32), (16, 64), (8, 256), (4, 512))
    for f in ALL
)
"""How time grows with the batch, at 128 tokens, and with the length."""

EVERY = (*ROWS, *RATES, *PRODUCTS, *GROWTH)
"""All that is measured, but for the start of a process."""
