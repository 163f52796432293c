"""Running one checkpoint in several frameworks on the same text and measuring how far the results lie apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from distilbert_cli.frameworks import Arrays, Framework, zero_at_padding
from distilbert_cli.tolerances import BETWEEN_FRAMEWORKS as TOLERANCES
from distilbert_cli.tolerances import Tolerance
from distilbert_common import DistilBertConfig, DistilBertTokenizerFast
from distilbert_common.errors import CheckpointError, TokenizerError
from distilbert_conversion import open_checkpoint

__all__ = ["SENTENCES", "Comparison", "Row", "compare", "make_inputs", "measure", "run"]

SENTENCES = (
    "The quick brown fox jumps over the lazy dog.",
    "My card still has not arrived after two weeks; what can I do?",
    "Zoë's café in São Paulo opens at 8:30, doesn't it?",
    "Yes.",
)
"""What is compared when no text is given: lengths that need padding, accents, digits, an apostrophe."""


@dataclass(frozen=True)
class Row:
    """The largest difference of one output between each pair of frameworks.

    Attributes:
        output: `hidden_states/0`, `attentions/0`, `logits`, ….
        scale: The largest absolute value in any framework.
        differences: Absolute difference by pair, such as "pt-tf".
        limit: The largest difference allowed.
    """

    output: str
    scale: float
    differences: dict[str, float]
    limit: float

    @property
    def agree(self) -> bool:
        """Whether every difference is within the limit; NaN is not."""
        return all(difference <= self.limit for difference in self.differences.values())


@dataclass(frozen=True)
class Comparison:
    """The result of `compare`.

    Attributes:
        source: The checkpoint.
        dialect: How it is stored.
        head: Its model, "Model" for the bare one.
        dtype: The compute dtype.
        device: "cpu" or "gpu".
        texts: What was encoded; empty where the checkpoint has no vocabulary and fixed ids were used.
        shape: Shape of the ids.
        rows: One for each output, in the order of the forward pass.
        tolerance: The figure and its reason.
    """

    source: str
    dialect: str
    head: str
    dtype: str
    device: str
    texts: tuple[str, ...]
    shape: tuple[int, ...]
    rows: tuple[Row, ...]
    tolerance: Tolerance

    @property
    def agree(self) -> bool:
        """Whether all outputs agree within the tolerance."""
        return all(row.agree for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), "agree": self.agree}


def make_inputs(source: str | Path, head: str, config: DistilBertConfig, texts: tuple[str, ...]) -> tuple[Arrays, bool]:
    """Encode the texts with the checkpoint's vocabulary; without one, use the ids 0, 1, 2, … in rows of two lengths.

    Returns:
        input_ids and attention_mask, (batch, seq) or for multiple choice (1, choices, seq), and whether it was text.
    """
    try:
        tokenizer = DistilBertTokenizerFast.from_pretrained(source)
        length = config.max_position_embeddings
        encoded = dict(tokenizer(list(texts), padding=True, truncation=True, max_length=length, return_tensors="np"))
    except (CheckpointError, TokenizerError):
        tokenizer = None
        seq = min(12, config.max_position_embeddings)
        ids = np.arange(4 * seq).reshape(4, seq) % config.vocab_size  # (batch, seq)
        encoded = {"input_ids": ids, "attention_mask": (np.arange(seq) < [[seq], [seq // 2], [1], [seq]]).astype(int)}
    inputs = {name: np.asarray(encoded[name]) for name in ("input_ids", "attention_mask")}
    if head == "ForMultipleChoice":
        inputs = {name: array[None] for name, array in inputs.items()}  # (1, choices, seq)
    return inputs, tokenizer is not None


def run(framework: Framework, source: str | Path, head: str, inputs: Arrays, device: str, dtype: str | None) -> Arrays:
    """Return every output of the checkpoint in one framework: from the default path, attentions from the eager one.

    Hidden states and logits of padding are 0: the default path need not compute them.
    """
    model = framework.load(source, head, **({} if dtype is None else {"dtype": dtype}))
    outputs = framework.run(model, inputs, device, {"output_hidden_states": True})
    outputs = zero_at_padding(outputs, head, inputs["attention_mask"])
    eager = framework.run(model, inputs, device, {"output_attentions": True})
    return outputs | {name: array for name, array in eager.items() if name.startswith("attentions/")}


def compare(
    source: str | Path,
    frameworks: list[Framework],
    *,
    device: str = "cpu",
    texts: tuple[str, ...] = SENTENCES,
    dtype: str | None = None,
    advance: Callable[[str], None] = lambda _: None,
) -> Comparison:
    """Run one checkpoint in several frameworks on the same text.

    Args:
        source: A directory, a weights file or a hub id, in any dialect.
        frameworks: At least two make a comparison; with one there is nothing to compare.
        device: "cpu" or "gpu".
        texts: Sentences, encoded with the checkpoint's vocabulary.
        dtype: "float32", "float16" or "bfloat16"; the checkpoint's own when None.
        advance: Called with each framework's title before it runs.

    Raises:
        DistilBertError: The checkpoint cannot be loaded.
    """
    with open_checkpoint(source) as checkpoint:
        head, dialect, file_dtype = checkpoint.head or "Model", checkpoint.dialect, checkpoint.dtype
        inputs, real_text = make_inputs(source, head, checkpoint.config(), texts)
    outputs: dict[str, Arrays] = {}
    for framework in frameworks:
        advance(framework.title)
        outputs[framework.name] = run(framework, source, head, inputs, device, dtype)
    tolerance = TOLERANCES[dtype or file_dtype]
    return Comparison(
        source=str(source),
        dialect=dialect,
        head=head,
        dtype=dtype or file_dtype,
        device=device,
        texts=texts if real_text else (),
        shape=inputs["input_ids"].shape,
        rows=tuple(measure(outputs, tolerance.value)),
        tolerance=tolerance,
    )


def measure(outputs: dict[str, Arrays], tolerance: float) -> list[Row]:
    """Return one row for each output: hidden states and attentions by layer, then what the head gives."""
    rows = []
    for name in sorted(next(iter(outputs.values())), key=_in_forward_order):
        scale = max(float(np.abs(arrays[name]).max()) for arrays in outputs.values())
        differences = {
            f"{a}-{b}": float(np.abs(outputs[a][name].astype(float) - outputs[b][name]).max())
            for a, b in combinations(outputs, 2)
        }
        rows.append(Row(name, scale, differences, tolerance * max(1.0, scale)))
    return rows


def _in_forward_order(name: str) -> tuple[bool, int, str]:
    kind, _, layer = name.partition("/")
    return not layer, 2 * int(layer or 0) + (kind == "attentions"), name
