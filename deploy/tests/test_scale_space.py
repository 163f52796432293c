"""Search spaces: what is read, what is drawn, and what is refused with a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from distilbert_common.errors import InputError
from distilbert_deploy.scale import SearchSpace

GOOD = """
trials: 3
stop: median
space:
  learning_rate: {loguniform: [1e-5, 1e-3]}  # text to YAML, a number to us
  batch_size: {grid: [16, 32]}
  warmup_steps: {integer: [0, 3]}
  schedule: {choice: [linear, cosine]}
  epochs: 2
"""


def read(folder: Path, text: str, name: str = "space.yaml") -> SearchSpace:
    (folder / name).write_text(text)
    return SearchSpace.read(folder / name)


def test_trials_depend_on_the_file_alone_and_each_has_a_value_of_the_grid(tmp_path: Path) -> None:
    trials = read(tmp_path, GOOD).draw()
    assert trials == read(tmp_path, GOOD).draw()
    assert [trial["batch_size"] for trial in trials] == [16, 32] * 3
    assert all(1e-5 <= trial["learning_rate"] <= 1e-3 and trial["warmup_steps"] in range(4) for trial in trials)
    assert {trial["schedule"] for trial in trials} <= {"linear", "cosine"}
    assert {trial["epochs"] for trial in trials} == {2}
    assert len({trial["learning_rate"] for trial in trials}) == 6
    as_json = json.dumps({"trials": 1, "seed": 1, "space": {"learning_rate": 0.001, "epochs": "2"}})
    assert read(tmp_path, f"\ufeff{as_json}", "space.json").draw() == [{"learning_rate": 0.001, "epochs": 2}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds nothing"),
        ("- 1", "holds a list"),
        ("trials: 3", "has no 'space'"),
        ("space: {epochs: 1}\ntrails: 3", "has 'trails'; expected the names space, trials"),
        ("space: [", "cannot be read as YAML or JSON"),
        ("space: {epochs: 1, epochs: 2}", "'epochs' is given twice"),
        ("space: &a {epochs: *a}", "maximum recursion depth"),
        ("space: {}", "expected options of training"),
        ("space: {learning_rat: 1}", "did you mean learning_rate?"),
        ("space: {frozen: [x]}", "no option to search"),
        ("space: {epochs: {normal: [0, 1]}}", "expected a value, or one of choice"),
        ("space: {epochs: {choice: 3}}", "expected a list of values"),
        ("space: {learning_rate: {uniform: [1, 0]}}", "the lowest and the highest"),
        ("space: {label_smoothing: {loguniform: [0, 0.5]}}", "numbers above 0"),
        ("space: {batch_size: {integer: [1, 2.5]}}", "whole numbers"),
        ("space: {max_steps: {integer: [1, 10000000000000000000]}}", "whole numbers below"),
        ("space: {max_steps: {integer: [1]}}", "as .0, 100."),
        ("space: {epochs: {grid: [1, 2]}}\ntrials: 50001", "make 100,002 trials; expected at most 100,000"),
        ("space: {batch_size: {choice: [8, many]}}", "batch_size is 'many'"),
        ("space: {epochs: 1}\ntrials: 0", "trials is 0"),
        ("space: {epochs: 1}\nstop: never", "stop is 'never'"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message.replace("?", r"\?")) as caught:
        read(tmp_path, text)
    assert "space.yaml" in str(caught.value)


def test_values_that_no_training_takes_are_refused_before_the_first_trial(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="batch_size is 1"):
        read(tmp_path, "space: {batch_size: {uniform: [10, 20]}}").draw()
    with pytest.raises(InputError, match="cannot be read: No such file"):
        SearchSpace.read(tmp_path / "no.yaml")
