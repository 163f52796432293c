from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from killed_runs import content, killed

from distilbert_common import DistilBertConfig
from distilbert_common.errors import InputError, MissingFrameworkError, OutputExistsError
from distilbert_tasks import FinetuneResult, TrainingOptions, evaluate, finetune
from distilbert_tasks import extras as extras_module
from distilbert_tasks.features import FeatureOptions
from distilbert_tasks.training import report as report_module
from distilbert_tasks.training.output import open_folder, remove_leftovers
from distilbert_tasks.training.progress import Evaluation, Event, Note, Progress
from parity_tests.helpers.small_tasks import TASKS, small_data, small_model

OPTIONS = TrainingOptions(epochs=2, batch_size=8, learning_rate=1e-3, log_every=2, eval_every=2, seed=3)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bare model, and training, validation and test data of each task."""
    folder = tmp_path_factory.mktemp("small")
    small_model(folder / "model")
    for task in TASKS:
        for split, rows in (("train", slice(0, 24)), ("validation", slice(24, 36)), ("test", slice(36, 48))):
            small_data(task, folder / f"{task}-{split}", rows)
    return folder


@pytest.fixture(autouse=True)
def few_pictures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw nothing, which takes longer than the training here, but in one test."""
    if "text-classification" not in request.node.name:
        monkeypatch.setattr(report_module, "draw_curves", lambda lines, metric, path: None)
        monkeypatch.setattr(report_module, "write_confusion", lambda scores, path: False)


@pytest.fixture(scope="module")
def expected(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing stopped."""
    out = tmp_path_factory.mktemp("expected") / "out"
    run(small, out)
    return out


def run(small: Path, out: Path, task: str = "text-classification", **changes: Any) -> FinetuneResult:
    suffix = "txt" if task == "fill-mask" else "jsonl"
    files = {split: small / f"{task}-{split}.{suffix}" for split in ("train", "validation", "test")}
    arguments = {**files, "options": OPTIONS, "device": "cpu", "tensorboard": False, **changes}
    return finetune(task, arguments.pop("model", small / "model"), out=out, **arguments)


METRICS = {
    "text-classification": {"accuracy", "f1_macro", "mcc", "loss"},
    "token-classification": {"f1", "precision", "recall", "accuracy", "loss"},
    "question-answering": {"f1", "exact_match", "loss"},
    "multiple-choice": {"accuracy", "loss"},
    "fill-mask": {"perplexity", "loss", "accuracy"},
}


@pytest.mark.parametrize("task", TASKS)
def test_a_task_is_learned_measured_and_written(small: Path, tmp_path: Path, task: str) -> None:
    out = tmp_path / "out"
    events: list[Event] = []
    result = run(small, out, task, on_progress=events.append, command="distilbert finetune …")
    assert set(result.metrics) == {"validation", "test"}
    assert METRICS[task] <= set(result.metrics["test"])
    data = small / f"{task}-test.{'txt' if task == 'fill-mask' else 'jsonl'}"
    assert evaluate(out, data=data, device="cpu") == pytest.approx(result.metrics["test"], rel=1e-5)
    card = (out / "README.md").read_text()
    for words in (
        "| metric | validation | test |",
        "| learning_rate | 0.001 |",
        f"{task}-train",
        "finetune …",
        "torch",
    ):
        assert words in card
    if task == "text-classification":
        for name in ("curves.png", "confusion_matrix.png"):
            assert (out / name).read_bytes()[:4] == b"\x89PNG"
            assert f"]({name})" in card
    steps = [event.step for event in events if isinstance(event, Progress)]
    assert steps == list(range(1, len(steps) + 1))
    assert [line["step"] for line in result.history if line["kind"] == "train"] == list(range(2, len(steps) + 1, 2))
    assert len([event for event in events if isinstance(event, Evaluation)]) == len(steps) // 2
    assert not list((out / "checkpoints").glob("best-*"))


def test_the_labels_are_in_the_config_and_the_best_weights_are_written(small: Path, tmp_path: Path) -> None:
    result = run(small, tmp_path / "out", options=replace(OPTIONS, metric_for_best="loss", epochs=3))
    config = DistilBertConfig.from_pretrained(tmp_path / "out")
    assert config.id2label == {0: "card_arrival", 1: "change_pin", 2: "lost_or_stolen_phone"}
    assert config.problem_type == "single_label_classification"
    assert config.architectures == ["DistilBertForSequenceClassification"]
    losses = {line["step"]: line["loss"] for line in result.history if line["kind"] == "validation"}
    assert result.best_step == min(losses, key=lambda step: losses[step])
    assert result.metrics["validation"]["loss"] == pytest.approx(losses[result.best_step], rel=1e-6)


def test_what_a_killed_run_left_half_written_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".model" / "saved").mkdir(parents=True)
    for name in (".training.json.ab12cd34", ".model.safetensors.x_y_z_00", ".gitattributes", ".notes.txt.ab12cd34"):
        (tmp_path / name).write_text("…")
    remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".gitattributes", ".notes.txt.ab12cd34"]


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_with_a_record_that_was_half_written_holds_no_run(resume: bool, tmp_path: Path) -> None:
    (tmp_path / ".training.json.ab12cd34").write_text('{"task": ')
    open_folder(tmp_path, resume=resume, overwrite=False)
    (tmp_path / "notes.txt").write_text("…")
    with pytest.raises(OutputExistsError, match="holds no run"):
        open_folder(tmp_path, resume=resume, overwrite=False)


@pytest.mark.parametrize("stop_at", [1, 5])
def test_a_run_that_ended_anywhere_goes_on_to_the_same_last_bit(
    small: Path, tmp_path: Path, expected: Path, stop_at: int
) -> None:
    killed(partial(run, small, tmp_path / "out"), lambda event: isinstance(event, Progress) and event.step == stop_at)
    run(small, tmp_path / "out", resume=True)
    assert content(tmp_path / "out") == content(expected)


def test_an_interrupted_run_is_saved_and_goes_on(small: Path, tmp_path: Path, expected: Path) -> None:
    def interrupt(event: Event) -> None:
        if isinstance(event, Progress) and event.step == 4:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match="stopped after step 4 of 6, which is saved; resume"):
        run(small, tmp_path / "out", on_progress=interrupt)
    assert (tmp_path / "out" / "checkpoints" / "step-4").is_dir()
    run(small, tmp_path / "out", resume=True)
    assert content(tmp_path / "out") == content(expected)


def test_a_finished_run_is_not_done_again(small: Path, expected: Path) -> None:
    before = content(expected)
    (expected / "checkpoints" / "best-4").mkdir()  # as a kill at the very end leaves it
    events: list[Event] = []
    again = run(small, expected, resume=True, on_progress=events.append)
    record = json.loads((expected / "training.json").read_text())
    assert (again.metrics, again.best_step) == (record["metrics"], record["best_step"])
    assert "finished already" in str(events[-1])
    assert not any(isinstance(event, Progress) for event in events)
    assert content(expected) == before
    assert [path.name for path in (expected / "checkpoints").iterdir()] == ["step-6"]


CHANGES: dict[str, tuple[Callable[[Path], dict[str, Any]], str]] = {
    "options": (
        lambda small: {"options": replace(OPTIONS, learning_rate=2e-3)}, "learning_rate was 0.001 and is 0.002",
    ),
    "data": (lambda small: {"train": small / "text-classification-test.jsonl"}, "the train data differ"),
    "weights": (lambda small: {"model": small / "other"}, "the weights of .* are not those of"),
    "seed": (lambda small: {"options": replace(OPTIONS, seed=4)}, "seed was 3 and is 4"),
}  # fmt: skip


@pytest.fixture(scope="module")
def stopped(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that ended after its first step."""
    out = tmp_path_factory.mktemp("stopped") / "out"
    killed(partial(run, small, out), lambda event: isinstance(event, Progress))
    return out


@pytest.mark.parametrize("name", CHANGES)
def test_a_run_that_was_begun_otherwise_does_not_go_on(small: Path, stopped: Path, name: str) -> None:
    changes, message = CHANGES[name]
    if name == "weights":
        weights = (small_model(small / "other") / "model.safetensors").read_bytes()
        (small / "other" / "model.safetensors").write_bytes(weights[:-4] + np.float32(1.0).tobytes())
    with pytest.raises(
        InputError, match=f"was begun otherwise: .*{message}.* to start anew overwrite .--overwrite. or another folder"
    ):
        run(small, stopped, resume=True, **changes(small))


def test_a_folder_that_is_not_empty_is_not_written_to(small: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("…")
    for changes in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(OutputExistsError, match="holds no run of training"):
            run(small, tmp_path, **changes)
    run(small, tmp_path / "out", options=replace(OPTIONS, max_steps=1))
    with pytest.raises(OutputExistsError, match="holds a run; go on with resume"):
        run(small, tmp_path / "out")
    result = run(small, tmp_path / "out", options=replace(OPTIONS, max_steps=2), overwrite=True)
    assert result.best_step == 2


def test_nothing_is_replaced_that_the_run_reads_or_before_its_data_are_found_good(
    small: Path, tmp_path: Path, expected: Path
) -> None:
    out = shutil.copytree(expected, tmp_path / "out")
    before = content(out)
    for changes in ({"model": out}, {"train": [small / "text-classification-train.jsonl", out / "metrics.jsonl"]}):
        with pytest.raises(OutputExistsError, match=r"is in .*out, which overwrite"):
            run(small, out, overwrite=True, **changes)
    with pytest.raises(InputError, match="there is no file"):
        run(small, out, overwrite=True, train=small / "nowhere.csv")
    assert content(out) == before


def test_a_run_goes_on_with_its_data_under_another_name_from_a_weights_file(
    small: Path, tmp_path: Path, expected: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = shutil.copytree(expected, tmp_path / "out")
    monkeypatch.chdir(small)
    model = small / "model" / "model.safetensors"
    again = run(small, out, resume=True, model=model, train="text-classification-train.jsonl")
    assert again.best_step == json.loads((out / "training.json").read_text())["best_step"]


def test_rows_of_several_numbers_are_learned_and_measured(small: Path, tmp_path: Path) -> None:
    data = {"text": ["a card", "a pin", "a phone"], "label": [[0.5, 1.5], [1.0, 2.0], [3.0, 0.0]]}
    options = replace(OPTIONS, max_steps=1, batch_size=2)
    result = run(small, tmp_path / "out", train=data, validation=data, test=None, options=options)
    assert DistilBertConfig.from_pretrained(tmp_path / "out").num_labels == 2
    assert evaluate(tmp_path / "out", data=data, device="cpu") == pytest.approx(result.metrics["validation"], rel=1e-5)


def test_a_model_of_one_number_is_measured_on_whole_numbers(small: Path, tmp_path: Path) -> None:
    data = {"text": ["a card", "a pin", "a phone"], "label": [0.5, 1.5, 3.0]}
    options = replace(OPTIONS, max_steps=1)
    run(small, tmp_path / "out", train=data, validation=data, test=None, options=options)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    (tmp_path / "out" / "config.json").write_text(json.dumps({**config, "problem_type": None}))  # as models for STS-B
    with pytest.raises(InputError, match="predicts 1 numbers a row, and the data has 2"):
        evaluate(tmp_path / "out", data={"text": ["a", "b"], "label": [[0.5, 1.5], [2.0, 3.0]]}, device="cpu")
    assert "mse" in evaluate(tmp_path / "out", data={"text": ["a", "b"], "label": [1, 5]}, device="cpu")


def test_a_model_keeps_the_order_of_labels_that_it_has_learned(small: Path, tmp_path: Path, expected: Path) -> None:
    lines = (small / "text-classification-train.jsonl").read_text().splitlines()
    two = [line for line in lines if json.loads(line)["label"] != "card_arrival"]
    (tmp_path / "two.jsonl").write_text("\n".join(two) + "\n")
    files = {"train": tmp_path / "two.jsonl", "validation": tmp_path / "two.jsonl", "test": None}
    run(small, tmp_path / "second", model=expected, options=replace(OPTIONS, max_steps=1), **files)
    config = DistilBertConfig.from_pretrained(tmp_path / "second")
    assert list(config.id2label.values()) == ["card_arrival", "change_pin", "lost_or_stolen_phone"]


def test_a_part_of_the_training_data_validates_where_there_is_no_other(small: Path, tmp_path: Path) -> None:
    notes: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, Note):
            notes.append(event.text)

    result = run(small, tmp_path / "out", validation=None, test=None, on_progress=listen)
    assert set(result.metrics) == {"validation"}
    assert any("validation" in note for note in notes)


def test_scores_that_mean_nothing_are_warned_of_and_bad_options_refused(small: Path, expected: Path) -> None:
    data = {"tokens": [["a", "card"]], "tags": [["O", "B-CARD"]]}
    with pytest.warns(UserWarning, match="trained for text-classification, and its scores mean nothing"):
        evaluate(expected, data=data, task="token-classification", device="cpu")
    with pytest.warns(UserWarning, match="the head is new, and its scores mean nothing"):
        evaluate(small / "model", data=data, task="token-classification", device="cpu")
    for name, value in (("layout", "tight"), ("tokens_per_batch", 0)):
        with pytest.raises(InputError, match=f"{name} is {value!r}"):
            evaluate(expected, data=data, **{name: value})


def test_missing_libraries_are_named_with_the_command_that_installs_them(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras_module, "find_spec", lambda name: None if name == "sklearn" else True)
    with pytest.raises(MissingFrameworkError, match=r"fine-tuning needs scikit-learn.*'distilbert\[train\]'"):
        run(small, tmp_path / "out")
    with pytest.raises(MissingFrameworkError, match=r"evaluation needs scikit-learn.*'distilbert\[train\]'"):
        evaluate(small / "model", data="x.csv")


def test_classes_are_balanced(small: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (small / "text-classification-train.jsonl").read_text().splitlines()]
    labels = sorted({row["label"] for row in rows})
    counts = [sum(row["label"] == label for row in rows) for label in labels]
    run(small, tmp_path / "out", options=replace(OPTIONS, balance_classes=True, epochs=1))
    record = json.loads((tmp_path / "out" / "training.json").read_text())
    expected = [len(rows) / len(labels) / count for count in counts]
    assert record["options"]["class_weights"] == pytest.approx(expected)
    for task, changes in (
        ("text-classification", {"class_weights": (1.0,) * len(labels)}),
        ("question-answering", {}),
    ):
        with pytest.raises(InputError, match="balance_classes"):
            run(small, tmp_path / task, task, options=replace(OPTIONS, balance_classes=True, **changes))


def test_a_run_that_fails_before_its_first_checkpoint_leaves_nothing_in_the_way(small: Path, tmp_path: Path) -> None:
    for changes in ({"metric_for_best": "bleu"}, {"learning_rate": 1e30, "max_grad_norm": 0.0}):
        with pytest.raises(InputError):
            run(small, tmp_path / "out", options=replace(OPTIONS, **changes))
    assert run(small, tmp_path / "out").best_step
    with pytest.raises(InputError, match=r"resume .*overwrite .*give one of them"):
        run(small, tmp_path / "out", resume=True, overwrite=True)


def test_texts_that_are_cut_and_splits_without_a_token_are_said(small: Path, tmp_path: Path) -> None:
    events: list[Event] = []
    features = FeatureOptions(max_length=8)
    run(small, tmp_path / "out", feature_options=features, on_progress=events.append)
    notes = [event.text for event in events if isinstance(event, Note)]
    assert any("texts of train fill 8 tokens, where longer ones are cut (max_length)" in note for note in notes)
    (tmp_path / "blank.txt").write_text("  \n\n")
    out, blank = tmp_path / "other", tmp_path / "blank.txt"
    run(small, out, "fill-mask", validation=blank, feature_options=FeatureOptions(), on_progress=events.append)
    assert "The validation set has no row with a token, and is not measured." in [
        event.text for event in events if isinstance(event, Note)
    ]
