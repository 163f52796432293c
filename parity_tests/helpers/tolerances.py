"""The tolerances of the tests, each with its reason; those of the commands are beside them. A figure is widened here.

What one framework may lie apart from another by is `distilbert_cli.tolerances.BETWEEN_FRAMEWORKS`.
"""

from __future__ import annotations

import ml_dtypes

from distilbert_cli.tolerances import Tolerance

MATRIX = Tolerance(
    2e-5,
    "absolute, against transformers in float64; float32 rounding through three layers with weights of std 0.2 "
    "reaches 4e-6 in transformers' own float32 run",
)
GRADIENT = Tolerance(
    1e-4,
    "relative to the largest entry of the gradient; the backward pass sums over batch and seq in another order in "
    "each framework",
)
TRIPLE_LOSS = Tolerance(
    1e-5, "relative to the largest entry; a log-softmax over the vocabulary and one mean in float32"
)
BERT = Tolerance(
    1e-5,
    "absolute, a BERT read as a DistilBERT against transformers' BERT, both in float32: token type and position are "
    "added in another order, and the error of one layer, about 1e-6, grows through six",
)
TRAINING = Tolerance(
    1e-3,
    "relative, of each loss over 50 steps of Adam; rounding of one step, about 1e-7, grows with every further step",
)
KERAS_HUB_MLM = Tolerance(
    1e-3,
    "absolute, masked-LM logits against KerasHub's, whose LayerNorm in the head has an epsilon of 1e-5, not 1e-12; "
    "random weights show 1.3e-4",
)
HALF: dict[str, Tolerance] = {
    "float16": Tolerance(2e-2, "absolute, against float32 on logits of size 1: 11 bits of mantissa, a few layers"),
    "bfloat16": Tolerance(1e-1, "absolute, against float32 on logits of size 1: 8 bits of mantissa, a few layers"),
}
"""Between half precision in one framework and float32, which in all frameworks agrees within `MATRIX`."""


def rounding(dtype: str) -> float:
    """Return what attention may differ by: one rounding of the context to the compute dtype, on values of size 1."""
    return 4 * float(ml_dtypes.finfo(dtype).eps)
