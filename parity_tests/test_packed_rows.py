"""Packed rows against each sequence alone, in each framework: values, losses, gradients."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distilbert_cli.frameworks import FRAMEWORKS
from distilbert_common.errors import InputError
from distilbert_common.packing import pack
from parity_tests.helpers.combinations import combinations
from parity_tests.helpers.gradients import GRADIENTS
from parity_tests.helpers.packing_cases import (
    HEADS,
    PER_LIST,
    alone,
    assert_same_gradients,
    labels_of,
    pack_labels,
    save_model,
    token_lists,
)
from parity_tests.helpers.tolerances import MATRIX

LISTS = token_lists(10, lengths=(15, 40))
PACKED = pack(LISTS, 64, rows_multiple=4)
PATHS = {"default": {}, "attentions": {"output_attentions": True}}
WAYS = list(itertools.product(PATHS, "10"))


def model_of(tmp_path: Path, framework: str, head: str, **fields: Any) -> Any:
    return FRAMEWORKS[framework].load(save_model(tmp_path / "model", head, **fields), head)


@pytest.mark.parametrize(
    ("framework", "head", "path", "fast_and_plain"),
    [(framework, head, *way) for framework, head, way in combinations([*FRAMEWORKS], ["Model", *HEADS], WAYS)],
    indirect=["fast_and_plain"],
)
def test_values(framework: str, head: str, path: str, fast_and_plain: None, tmp_path: Path) -> None:
    model, run = model_of(tmp_path, framework, head), FRAMEWORKS[framework].run
    flags = {"output_hidden_states": True, **PATHS[path]}
    outputs = run(model, PACKED.inputs, "cpu", flags)
    for at, tokens in enumerate(LISTS):
        expected = run(model, {"input_ids": np.array([tokens])}, "cpu", flags)
        assert expected.keys() == outputs.keys()
        for name in (name for name in outputs if not name.startswith("attentions")):
            per_list = name == "logits" and head in PER_LIST
            one = PACKED.unpack_lists(outputs[name])[at] if per_list else PACKED.unpack_tokens(outputs[name])[at]
            assert float(np.abs(one - expected[name][0]).max()) <= MATRIX.value, name
    for name in (name for name in outputs if "hidden" in name):
        assert (outputs[name][PACKED.segment_ids == 0] == 0).all(), name


@pytest.mark.parametrize(
    ("framework", "head", "fast_and_plain"), combinations([*FRAMEWORKS], HEADS, "10"), indirect=["fast_and_plain"]
)
def test_loss_and_gradients(framework: str, head: str, fast_and_plain: None, tmp_path: Path) -> None:
    model, labels = model_of(tmp_path, framework, head), labels_of(head, LISTS)
    inputs = {**PACKED.inputs, **pack_labels(PACKED, labels)}
    loss, expected_loss = float(FRAMEWORKS[framework].run(model, inputs, "cpu", {})["loss"]), 0.0
    expected: dict[str, np.ndarray] = {}
    for one, share in alone(LISTS, labels):
        expected_loss += share * float(FRAMEWORKS[framework].run(model, one, "cpu", {})["loss"])
        for name, gradient in GRADIENTS[framework](model, one).items():
            expected[name] = expected.get(name, 0) + share * gradient
    assert abs(loss - expected_loss) <= MATRIX.value
    assert_same_gradients(GRADIENTS[framework](model, inputs), expected, head)


@pytest.mark.parametrize(("num_labels", "shape"), [(1, ()), (3, (3,))], ids=["regression", "several labels"])
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_other_problem_types(framework: str, num_labels: int, shape: tuple[int, ...], tmp_path: Path) -> None:
    model = model_of(tmp_path, framework, "ForSequenceClassification", num_labels=num_labels)
    labels = np.random.default_rng(1).integers(0, 2, (len(LISTS), *shape)).astype(np.float32)
    run = FRAMEWORKS[framework].run
    outputs = run(model, {**PACKED.inputs, "labels": PACKED.pack_lists(labels, 0.0)}, "cpu", {})["loss"]
    each = [
        float(run(model, {"input_ids": np.array([tokens]), "labels": one[None]}, "cpu", {})["loss"])
        for tokens, one in zip(LISTS, labels, strict=True)
    ]
    assert abs(float(outputs) - np.mean(each)) <= MATRIX.value


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_positions_start_anew_and_segments_are_counted_where_none_are_given(framework: str, tmp_path: Path) -> None:
    model, run = model_of(tmp_path, framework, "ForSequenceClassification"), FRAMEWORKS[framework].run
    outputs = run(model, {n: PACKED.inputs[n] for n in ("input_ids", "segment_ids")}, "cpu", {})["logits"]
    expected = run(model, PACKED.inputs, "cpu", {})["logits"]
    assert np.array_equal(outputs, expected)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_wrong_inputs_are_refused(framework: str, tmp_path: Path) -> None:
    model, run = model_of(tmp_path, framework, "ForSequenceClassification"), FRAMEWORKS[framework].run
    with pytest.raises(InputError, match="attention_mask and segment_ids were both given"):
        run(model, {**PACKED.inputs, "attention_mask": PACKED.segment_ids}, "cpu", {})
    with pytest.raises(InputError, match="num_segments is -1"):
        run(model, {**PACKED.inputs, "num_segments": -1}, "cpu", {})
    choices = model_of(tmp_path / "choices", framework, "ForMultipleChoice")
    with pytest.raises(InputError, match="scores one choice in each row"):
        run(choices, {name: array[None] for name, array in PACKED.arrays.items()}, "cpu", {})
