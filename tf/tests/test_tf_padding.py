"""What stands at padding that was left out: nothing that an argmax, a softmax or an n-best can choose."""

from __future__ import annotations

import numpy as np
import pytest
from tf_models import array, difference, load

from distilbert_common.constants import is_fast
from distilbert_common.errors import InputError

IDS = np.arange(1, 22).reshape(3, 7)
MASK = np.array([[1] * 7, [1, 1, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0]])
SEGMENTS = np.array([[1, 1, 1, 2, 2, 0, 0]])
FILLS = {"ForQuestionAnswering": "lowest", "ForTokenClassification": "zero", "ForMaskedLM": "zero", "Model": "zero"}


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("head", FILLS)
def test_values_at_padding(head: str, dtype: str, fast_and_plain: None) -> None:
    model, _ = load(head, dtype=dtype)
    masked = {"attention_mask": MASK, **({} if is_fast() else {"unpad": True})}  # "auto" computes padding when plain
    for call, padding in ((masked, MASK == 0), ({"segment_ids": SEGMENTS}, SEGMENTS == 0)):
        output = model(IDS[: len(padding)], **call)
        for name in model.logit_names:
            logits = array(output[name])
            lowest = {"float32": np.finfo("f4").min, "mixed_float16": -65504.0}.get(dtype, -3.3895314e38)
            assert (logits[padding] == (lowest if FILLS[head] == "lowest" else 0)).all(), (name, call)
            assert (logits[~padding] != 0).any()
    if head == "ForQuestionAnswering":
        padded = model(IDS, MASK, unpad=False)
        assert (array(output.start_logits).argmax(-1) < 5).all()
        assert (array(padded.end_logits)[MASK == 0] > -100).all(), "unpad=False computes padding as transformers does"


@pytest.mark.parametrize("jit", [True, False])
def test_unpad_has_one_meaning(jit: bool, fast_and_plain: None) -> None:
    model, _ = load("Model")
    computed = array(model(IDS, MASK, unpad=False, jit=jit)[0])
    left_out = array(model(IDS, MASK, unpad=True, jit=jit)[0])
    assert difference(left_out, computed * (MASK != 0)[..., None]) < 1e-5
    assert (computed[MASK == 0] != 0).all()
    few = np.ones_like(MASK)  # nothing to gain by leaving padding out
    few[1, 6] = 0
    assert (array(model(IDS, few, unpad=True, jit=jit)[0])[1, 6] == 0).all()


def test_a_mask_that_does_not_fit_is_refused_with_its_sizes() -> None:
    model, _ = load("Model")
    with pytest.raises(InputError, match=r"attention_mask has shape \(3, 5\).*batch 3 and seq 7"):
        model(IDS, MASK[:, :5])
    with pytest.raises(InputError, match=r"position_ids has shape \(3, 5\)"):
        model(IDS, position_ids=IDS[:, :5] % 16)
