from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from killed_runs import content, killed
from safetensors.numpy import load_file

from distilbert_common import DistilBertConfig
from distilbert_common.errors import InputError, OutputExistsError
from distilbert_common.training import DistillationOptions
from distilbert_tasks import AheadOptions, CorpusOptions, DistilResult, distil, evaluate
from distilbert_tasks.distillation import default_options
from distilbert_tasks.training import report as report_module
from distilbert_tasks.training.progress import Asking, Event, Note, Progress, Tokenization
from distilbert_tasks.training.record import RunRecord
from parity_tests.helpers.engine_cases import FRAMEWORKS
from parity_tests.helpers.small_tasks import small_data, small_model

OPTIONS = replace(
    default_options(), max_steps=5, batch_size=16, accumulation=2, eval_every=2, save_every=2, log_every=1
)
CORPUS = CorpusOptions(shard_tokens=400)
"""Several shards."""


@pytest.fixture(autouse=True)
def no_pictures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw nothing, which takes longer than the training here, but in one test."""
    if "published" not in request.node.name:
        monkeypatch.setattr(report_module, "draw_curves", lambda lines, metric, path: None)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a teacher of four layers, and texts."""
    folder = tmp_path_factory.mktemp("small")
    small_model(folder / "teacher", "ForMaskedLM", n_layers=4, dropout=0.0, attention_dropout=0.0)
    small_data("fill-mask", folder / "corpus", slice(0, 100))
    small_data("fill-mask", folder / "held-out", slice(100, 120))
    return folder


def run(small: Path, out: Path, **changes: Any) -> DistilResult:
    arguments: dict[str, Any] = {"options": OPTIONS, "corpus_options": CORPUS, "device": "cpu", "tensorboard": False}
    arguments |= {"teacher": small / "teacher", "corpus": small / "corpus.txt", **changes}
    return distil(arguments.pop("teacher"), arguments.pop("corpus"), out=out, **arguments)


@pytest.fixture(scope="module")
def expected(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing stopped."""
    out = tmp_path_factory.mktemp("expected") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report_module, "draw_curves", lambda lines, metric, path: None)
        run(small, out)
    return out


def test_a_student_is_published_with_teacher_terms_and_scores(small: Path, tmp_path: Path) -> None:
    out, notes = tmp_path / "out", list[str]()

    def listen(event: Event) -> None:
        if isinstance(event, Note):
            notes.append(event.text)

    held_out = small / "held-out.txt"
    result = run(small, out, validation=held_out, on_progress=listen, command="distilbert distil …")
    assert (result.layers, result.student) == ((0, 3), "layers 0, 3 of its teacher")
    assert DistilBertConfig.from_pretrained(out).n_layers == 2
    assert evaluate(out, data=held_out, device="cpu") == pytest.approx(result.metrics["validation"], rel=1e-5)
    terms = {"loss_ce": 5.0, "loss_mlm": 2.0, "loss_cos": 1.0}
    steps = [line for line in result.history if line["kind"] == "train"]
    assert [line["step"] for line in steps] == [1, 2, 3, 4, 5]
    for line in steps:
        assert line["loss"] == pytest.approx(sum(alpha * line[name] for name, alpha in terms.items()), rel=1e-5)
    card = (out / "README.md").read_text()
    for words in (
        f"distilled from `{small / 'teacher'}` in PyTorch",
        "| the student began with | layers 0, 3 of its teacher |",
        "| alpha_ce | 5.0 |",
        "corpus.txt",
        "distilbert distil …",
        "](curves.png)",
    ):
        assert words in card
    assert (out / "curves.png").exists()
    assert "The student begins with layers 0, 3 of its teacher." in notes


def test_some_rows_of_the_corpus_validate_where_there_is_no_other_text(small: Path, tmp_path: Path) -> None:
    notes: list[Event] = []
    result = run(small, tmp_path / "out", on_progress=notes.append)
    assert set(result.metrics) == {"validation"}
    assert any("rows of the corpus, drawn with seed 0, are the validation set" in str(note) for note in notes)
    data = json.loads((tmp_path / "out" / "training.json").read_text())["data"]
    assert data["train"]["rows"] == 19 * data["validation"]["rows"] + data["train"]["rows"] % 19
    assert run(small, tmp_path / "none", validation_share=0.0).metrics == {}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_random_students_of_any_width_learn_in_each_framework(small: Path, tmp_path: Path, framework: str) -> None:
    config = DistilBertConfig.from_pretrained(small / "teacher")
    config.updated(dim=16, n_layers=1).save_pretrained(tmp_path / "narrow")
    settings = {"student": tmp_path / "narrow", "random_init": True, "framework": framework}
    with pytest.raises(InputError, match="project_hidden"):
        run(small, tmp_path / "out", **settings)
    projected = run(small, tmp_path / "out", distillation=DistillationOptions(project_hidden=True), **settings)
    assert {"loss_ce", "loss_mlm", "loss_cos"} <= set(projected.history[0])
    assert DistilBertConfig.from_pretrained(tmp_path / "out").dim == 16


def test_a_teacher_asked_ahead_of_time_teaches_the_same(small: Path, tmp_path: Path) -> None:
    vocab = DistilBertConfig.from_pretrained(small / "teacher").vocab_size
    ahead = AheadOptions(folder=tmp_path / "cache", top_k=vocab, hidden_type="float32")
    short = replace(OPTIONS, max_steps=2, eval_every=2)
    online, asked, again = run(small, tmp_path / "online", options=short), list[Event](), list[Event]()
    cached = run(small, tmp_path / "cached", options=short, ahead=ahead, on_progress=asked.append)
    assert [event.step for event in asked if isinstance(event, Asking)] == [1, 2]
    settings = {"options": short, "ahead": ahead, "on_progress": again.append}
    other = run(small, tmp_path / "flax", framework="flax", **settings)
    run(small, tmp_path / "again", **settings)
    assert not any(isinstance(event, Asking) for event in again)
    assert content(tmp_path / "again")["files"] == content(tmp_path / "cached")["files"]
    expected, *others = ([one for one in r.history if one["kind"] == "train"] for r in (online, cached, other))
    for lines in others:
        for before, line in zip(expected, lines, strict=True):
            for name in ("loss", "loss_ce", "loss_mlm", "loss_cos"):
                assert line[name] == pytest.approx(before[name], rel=2e-4), name
    assert f"| tokens it told for each position | {vocab} |" in (tmp_path / "cached" / "README.md").read_text()


def test_answers_for_one_epoch_are_repeated_and_belong_to_their_run(small: Path, tmp_path: Path) -> None:
    ahead, without_states = AheadOptions(folder=tmp_path / "cache", top_k=5), DistillationOptions(alpha_cos=0.0)
    long = replace(OPTIONS, max_steps=16, batch_size=16)
    run(small, tmp_path / "out", ahead=ahead, options=long, distillation=without_states)
    files = sorted((tmp_path / "cache").glob("step-*"))
    assert 0 < len(files) < 16
    assert set(load_file(files[0])) == {"indices", "logits"}
    arguments = {"ahead": ahead, "options": long, "distillation": without_states}
    for changes, message in (
        ({"ahead": replace(ahead, top_k=6)}, "top_k was 5 and is 6"),
        ({"options": replace(long, seed=1)}, "seed was 0 and is 1"),
        ({"ahead": replace(ahead, top_k=0)}, "top_k is 0; expected 1 to"),
        ({"ahead": replace(ahead, epochs=0)}, "at least 1 epoch"),
        ({"distillation": DistillationOptions(alpha_ce=0.0, alpha_cos=0.0)}, "no term of the loss needs a teacher"),
    ):
        with pytest.raises(InputError, match=message):
            run(small, tmp_path / "other", overwrite=True, **{**arguments, **changes})


MOMENTS: dict[str, Callable[[Event], bool]] = {
    "tokenizing": lambda event: isinstance(event, Tokenization),
    "first step": lambda event: isinstance(event, Progress) and event.step == 1,
    "after a checkpoint": lambda event: isinstance(event, Progress) and event.step == 3,
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_that_ended_anywhere_goes_on_to_the_same_last_bit(
    small: Path, tmp_path: Path, expected: Path, moment: str
) -> None:
    killed(partial(run, small, tmp_path / "out"), MOMENTS[moment])
    run(small, tmp_path / "out", resume=True)
    assert content(tmp_path / "out") == content(expected)


def test_a_run_that_was_begun_otherwise_does_not_go_on(small: Path, tmp_path: Path, expected: Path) -> None:
    before = content(expected)
    record = RunRecord.read(expected)
    assert record is not None
    assert run(small, expected, resume=True).best_step == record.best_step
    for changes, message in (
        ({"distillation": DistillationOptions(alpha_cos=0.0)}, "alpha_cos was 1.0 and is 0.0"),
        ({"layers": (0, 1)}, "student was 'layers 0, 3 of its teacher' and is 'layers 0, 1 of its teacher'"),
        ({"validation_share": 0.1}, "validation_share was 0.05 and is 0.1"),
    ):
        with pytest.raises(InputError, match=message):
            run(small, expected, resume=True, **changes)
    with pytest.raises(OutputExistsError, match="holds a run"):
        run(small, expected)
    assert content(expected) == before


def test_overwriting_keeps_a_corpus_that_fits(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(small, out)
    events: list[Event] = []
    run(small, out, overwrite=True, options=replace(OPTIONS, seed=1), on_progress=events.append)
    assert not any(isinstance(event, Tokenization) for event in events)
    run(small, out, overwrite=True, corpus_options=replace(CORPUS, max_length=32))
    assert json.loads((out / "training.json").read_text())["features"]["max_length"] == 32


def test_what_cannot_be_distilled_is_said(small: Path, tmp_path: Path) -> None:
    small_model(tmp_path / "bare")
    for changes, message in (
        ({"teacher": tmp_path / "bare"}, "has no head for fill-mask"),
        ({"corpus": tmp_path / "nowhere.txt"}, "nowhere.txt"),
        ({"validation_share": 1.0}, "validation_share is 1.0"),
        ({"corpus_options": CorpusOptions(max_length=100)}, r"give a max_length \(--max-length\) of 64 or less"),
        ({"distillation": DistillationOptions(temperature=0.0)}, "temperature is 0"),
        ({"distillation": DistillationOptions(alpha_ce=-1.0)}, "expected 0 or more"),
        ({"framework": "caffe"}, "'caffe' is not a framework"),
    ):
        with pytest.raises(InputError, match=message):
            run(small, tmp_path / "out", **changes)
    assert not (tmp_path / "out" / "training.json").exists()
