"""Calibration: how large the inputs of each matrix are on texts like those of use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from distilbert_common.errors import InputError
from distilbert_deploy.onnx_model.graph import Graph
from distilbert_deploy.onnx_model.layers import Layers
from distilbert_deploy.onnx_model.model import build_model
from distilbert_deploy.onnx_model.quantized import Range
from distilbert_deploy.samples import Batch, padded_batch
from distilbert_deploy.session import open_session
from distilbert_deploy.weights import ModelWeights
from distilbert_tasks.data.column_names import NAMES
from distilbert_tasks.data.columns import Requested, choose_columns
from distilbert_tasks.prediction import read_rows

__all__ = ["activation_ranges", "calibration_batches"]

_MAX_TEXTS, _BATCH = 512, 8


def calibration_batches(file: Path, tokenizer: Any, weights: ModelWeights, columns: Requested = None) -> list[Batch]:
    """Read texts to calibrate with: the first 512 of a file, one to a row.

    Args:
        file: txt with a text on each line, or csv, tsv, json, jsonl or parquet with columns as `predict` takes them.
        tokenizer: The model's.
        weights: The model.
        columns: The columns to take, of which only `text` counts; None to look for well-known ones.

    Raises:
        InputError: There is no text.
    """
    texts = list(islice(_texts(file, columns), _MAX_TEXTS))
    if not texts:
        raise InputError(f"{file} holds no texts to calibrate with; give a file with some hundred of them")
    examples = [one[0] if len(one) == 1 else list(one[:2]) for one in texts]
    lists = sorted(tokenizer(examples, truncation=True)["input_ids"], key=len)
    batches = (padded_batch(lists[start : start + _BATCH]) for start in range(0, len(lists), _BATCH))
    if weights.is_multiple_choice:
        return [{name: values[:, None] for name, values in batch.items()} for batch in batches]  # (batch, 1, seq)
    return list(batches)


def _texts(file: Path, columns: Requested) -> Iterator[tuple[str, ...]]:
    """Yield the texts of a file, and pairs of them, but for empty ones, which say nothing of how large inputs are."""
    names: Sequence[str] = ()
    others = {role for roles in NAMES.values() for role in roles} - {"text"}  # of use for labeled data alone
    requested = {role: chosen for role, chosen in (columns or {}).items() if role not in others}
    for row in read_rows(file, None):
        if not names and not requested and {"question", "context"} <= row.keys():
            names = ("question", "context")
        names = names or choose_columns("fill-mask", list(row), requested, False, str(file))["text"]
        texts = tuple(str(row.get(name, "")) for name in names)
        if "".join(texts).strip():
            yield texts


def activation_ranges(weights: ModelWeights, batches: Iterable[Batch], opset: int) -> dict[str, Range]:
    """Return the lowest and the highest input of each module's matrix, by the module's name."""
    made: list[Layers] = []

    def make_layers(graph: Graph, weights: ModelWeights) -> Layers:
        made.append(Layers(graph, weights))
        return made[0]

    model = build_model(weights, opset=opset, make_layers=make_layers)
    inputs = made[0].linear_inputs
    names = sorted(set(inputs.values()))
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names]
    model.graph.output.extend(outputs)
    session = open_session(model.SerializeToString())
    ranges: dict[str, Range] = {}
    for batch in batches:
        for name, values in zip(names, session.run(names, batch), strict=True):
            low, high = ranges.get(name, (np.inf, -np.inf))
            ranges[name] = min(low, float(values.min())), max(high, float(values.max()))
    return {module: ranges[name] for module, name in inputs.items()}
