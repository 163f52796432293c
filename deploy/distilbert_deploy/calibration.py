"""Calibration: how large the inputs of each matrix are on texts like those of use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from distilbert_common.checks import check_ids
from distilbert_common.errors import InputError
from distilbert_deploy.onnx_model.graph import Graph
from distilbert_deploy.onnx_model.layers import Layers
from distilbert_deploy.onnx_model.model import build_model
from distilbert_deploy.onnx_model.quantized import Range
from distilbert_deploy.samples import Batch, padded_batch
from distilbert_deploy.session import open_session
from distilbert_deploy.weights import ModelWeights
from distilbert_tasks.data.column_names import NAMES
from distilbert_tasks.data.columns import Chosen, Requested, choose_columns
from distilbert_tasks.data.readers import is_plain_text
from distilbert_tasks.prediction import read_rows
from distilbert_tasks.prediction.examples import choose, example_of
from distilbert_tasks.prediction.inputs import Row
from distilbert_tasks.task import TASKS

__all__ = ["activation_ranges", "calibration_batches"]

_MAX_TEXTS, _BATCH = 512, 8


def calibration_batches(file: Path, tokenizer: Any, weights: ModelWeights, columns: Requested = None) -> list[Batch]:
    """Read texts to calibrate with: the first 512 of a file, one to a row.

    Args:
        file: txt with a text on each line, or csv, tsv, json, jsonl or parquet with `text` alone, or with the columns
            that `predict` takes.
        tokenizer: The model's.
        weights: The model.
        columns: The columns to take; None to look for well-known ones.

    Raises:
        InputError: There is no text, a row cannot be used, or the tokenizer has tokens that the model has not.
    """
    task = next((task.name for task in TASKS.values() if task.head == weights.head), "feature-extraction")
    texts = list(islice(_texts(file, task, columns), _MAX_TEXTS))
    if not texts:
        raise InputError(f"{file} holds no texts to calibrate with; give a file with some hundred of them")
    examples = [one[0] if len(one) == 1 else list(one) for one in texts]
    lists = sorted(tokenizer(examples, truncation=True)["input_ids"], key=len)
    check_ids("input_ids", min(map(min, lists)), max(map(max, lists)), weights.config.vocab_size, "vocab_size")
    batches = (padded_batch(lists[start : start + _BATCH]) for start in range(0, len(lists), _BATCH))
    if weights.is_multiple_choice:
        return [{name: values[:, None] for name, values in batch.items()} for batch in batches]  # (batch, 1, seq)
    return list(batches)


def _texts(file: Path, task: str, columns: Requested) -> Iterator[tuple[str, ...]]:
    """Yield the texts of a file, and pairs of them, but for empty ones, which say nothing of how large inputs are."""
    rows = read_rows(file)
    for first in rows:
        chosen = _chosen(file, task, first, columns)
        for number, row in enumerate(chain([first], rows), 1):
            yield from (one for one in _parts(example_of(row, chosen, number, str(file))) if "".join(one).strip())


def _chosen(file: Path, task: str, first: Row, columns: Requested) -> Chosen:
    """Return the columns to take: those of the task, or `text` where there is no other, which does for all tasks."""
    if list(first) != ["text"]:
        return choose(task, first, columns, str(file))
    of_data = {*NAMES.get(task, ()), "text_pair"} - (set() if is_plain_text(file) else {"text"})
    requested = {role: names for role, names in (columns or {}).items() if role not in of_data}
    return choose_columns(task, list(first), requested, False, str(file), roles=NAMES["fill-mask"])


def _parts(example: Any) -> list[tuple[str, ...]]:
    """Return the texts of an example as the model gets them: alone, or two together."""
    if isinstance(example, str):
        return [(example,)]
    if isinstance(example, list):
        return [(" ".join(map(str, example)),)]  # words
    if "choices" in example:
        prompt = (example["prompt"],) if example["prompt"] else ()
        return [(*prompt, choice) for choice in example["choices"]]
    return [tuple(example.values())]


def activation_ranges(weights: ModelWeights, batches: Iterable[Batch], opset: int) -> dict[str, Range]:
    """Return the lowest and the highest input of each module's matrix, by the module's name."""
    built: list[Layers] = []

    def make_layers(graph: Graph, weights: ModelWeights) -> Layers:
        built.append(Layers(graph, weights))
        return built[0]

    model = build_model(weights, opset=opset, make_layers=make_layers)
    inputs = built[0].linear_inputs
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
