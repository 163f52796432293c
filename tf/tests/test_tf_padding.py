"""What stands at padding that was left out: nothing that an argmax, a softmax or an n-best can choose."""

from __future__ import annotations

import numpy as np
import pytest
from tf_models import array, load

IDS = np.arange(1, 22).reshape(3, 7)
MASK = np.array([[1] * 7, [1, 1, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0]])
SEGMENTS = np.array([[1, 1, 1, 2, 2, 0, 0]])
FILLS = {"ForQuestionAnswering": "lowest", "ForTokenClassification": "zero", "ForMaskedLM": "zero", "Model": "zero"}


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("head", FILLS)
def test_values_at_padding(head: str, dtype: str) -> None:
    model, _ = load(head, dtype=dtype)
    for call, padding in (({"attention_mask": MASK}, MASK == 0), ({"segment_ids": SEGMENTS}, SEGMENTS == 0)):
        output = model(IDS[: len(padding)], **call)
        for name in model.logit_names:
            logits = array(output[name])
            lowest = {"float32": np.finfo("f4").min, "mixed_float16": -65504.0}.get(dtype, -3.3895314e38)
            assert (logits[padding] == (lowest if FILLS[head] == "lowest" else 0)).all(), (name, call)
            assert (logits[~padding] != 0).any()
    if head == "ForQuestionAnswering":
        real = model(IDS, MASK, unpad=False)
        assert (array(output.start_logits).argmax(-1) < 5).all()
        assert (array(real.end_logits)[MASK == 0] > -100).all(), "unpad=False computes padding as transformers does"
