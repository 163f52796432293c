"""Run a BERT of transformers on stored token ids; needs transformers and PyTorch, and nothing of this project.

Usage: python reference_bert.py MODEL INPUTS.npz OUTPUT.npz [EPSILON]
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from transformers import BertModel


def main(model: str, inputs: str, output: str, epsilon: str | None = None) -> None:
    """Write `last_hidden_state` for the `input_ids` and `attention_mask` of a file, all of token type 0.

    Args:
        model: The BERT's directory.
        inputs: Where the token ids are.
        output: Where to write.
        epsilon: Another epsilon for LayerNorm than the config's, to see what it changes.
    """
    with np.load(inputs) as arrays:
        batch = {name: torch.from_numpy(arrays[name].astype(np.int64)) for name in ("input_ids", "attention_mask")}
    changed = {} if epsilon is None else {"layer_norm_eps": float(epsilon)}
    bert = BertModel.from_pretrained(model, attn_implementation="eager", **changed).eval()
    with torch.no_grad():
        np.savez(output, last_hidden_state=bert(**batch).last_hidden_state.numpy())


if __name__ == "__main__":
    main(*sys.argv[1:])
