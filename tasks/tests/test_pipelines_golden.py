"""What transformers 4.57.6's pipelines return on the same weights: all calls in PyTorch, some in Keras and Flax."""

from __future__ import annotations

import gzip
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distilbert_common.errors import InputError
from distilbert_tasks import pipeline
from parity_tests.helpers.pipeline_cases import CASES, Case, arguments
from parity_tests.helpers.pipeline_models import write_model
from parity_tests.helpers.pipeline_results import differences, digest

GOLDEN = Path(__file__).parent / "golden" / "pipelines"
Make = Callable[..., Any]
ALL = [(task, one) for task, cases in CASES.items() for one in cases]
IN_ALL_FRAMEWORKS = {
    "text-classification": (
        "sentence", "empty", "emoji, all labels", "top 10 of a list", "a pair", "truncated to 12",
        "a generator with top_k", "padded", "too long",
    ),
    "token-classification": (
        "sentence", "empty", "accents, first", "simple: a paragraph", "average: all labels", "max: cut off",
        "first: windows that share 9", "windows of texts", "max: lists of words", "a generator", "windows, none",
    ),
    "question-answering": (
        "context: sentence", "context: emoji", "question: special tokens", "top 5, impossible True", "windows of 24, 4",
        "windows of 32, 20: impossible", "a long context, {'top_k': 3}", "a list", "a generator",
        "tokens: answers of 2", "top 0",
    ),
    "fill-mask": (
        "sentence", "unknown", "mask alone", "top 10 of two masks", "three masks", "targets: unknown words",
        "targets and two masks", "a list with several masks", "a long text, cut", "a generator", "no mask",
    ),
    "feature-extraction": (
        "sentence", "empty", "emoji", "Chinese", "texts cut to 5", "cut", "a list", "a generator",
        "without special tokens", "too long",
    ),
    "zero-shot-classification": (
        "sentence", "emoji", "spaces, each for itself", "entailment-first: True", "no-entailment: False", "odd labels",
        "twelve labels", "a generator", "a long text", "no labels",
    ),
}  # fmt: skip
"""The calls that are made in Keras and Flax too, which differ from those in PyTorch by the engine alone."""


def expected_results(task: str) -> dict[str, Any]:
    results: dict[str, Any] = json.loads(gzip.decompress((GOLDEN / f"{task}.json.gz").read_bytes()))
    return results


EXPECTED = {task: expected_results(task) for task in CASES}


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Makes the pipeline of a case, once for each model and its defaults."""
    folder, made = tmp_path_factory.mktemp("models"), {}

    def make_once(task: str, one: Case, framework: str) -> Any:
        key = (task, one.model, str(one.defaults), framework)
        if key not in made:
            source = write_model(one.model, folder)
            made[key] = pipeline(task, str(source), framework=framework, device="cpu", **one.defaults)
        return made[key]

    return make_once


def call(pipe: Any, one: Case) -> Any:
    result = pipe(*arguments(one), **one.options)
    return result if isinstance(result, (list, dict)) else list(result)


def likely_answers(result: Any) -> Any:
    """Leave out answers of no probability, which transformers lists in an order that depends on how it sorts."""
    if isinstance(result, list) and result and all(isinstance(one, dict) for one in result):
        likely = [answer for answer in result if answer["score"] > 0]
        return likely[0] if len(likely) == 1 else likely
    return [likely_answers(one) for one in result] if isinstance(result, list) else result


def check(task: str, one: Case, pipe_of: Make, framework: str) -> None:
    expected = EXPECTED[task][one.name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if "error" in expected:
            with pytest.raises(InputError):
                call(pipe_of(task, one, framework), one)
            return
        result = call(pipe_of(task, one, framework), one)
    if task == "feature-extraction":
        result = digest(result)
    elif task == "question-answering":
        expected = likely_answers(expected)
    assert differences(result, expected) == []


@pytest.mark.parametrize(("task", "one"), ALL, ids=[f"{task}: {one.name}" for task, one in ALL])
def test_the_result_of_transformers(task: str, one: Case, make: Make) -> None:
    check(task, one, make, "pt")


@pytest.mark.parametrize("framework", ["tf", "flax"])
@pytest.mark.parametrize("task", CASES)
def test_the_same_in_the_other_frameworks(task: str, framework: str, make: Make) -> None:
    for one in CASES[task]:
        if one.name in IN_ALL_FRAMEWORKS[task]:
            check(task, one, make, framework)
