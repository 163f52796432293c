from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from distilbert_cli import __main__
from parity_tests.helpers.command_line import Ended, assert_refused, run
from parity_tests.helpers.small_tasks import DEMO, small_data, small_model


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bare model, data to train on and data to measure on."""
    folder = tmp_path_factory.mktemp("small")
    small_model(folder / "model")
    small_data("text-classification", folder / "train", slice(0, 24))
    small_data("text-classification", folder / "test", slice(24, 36))
    return folder


def finetune(small: Path, out: Path, *more: object) -> Ended:
    options = ("--task", "text-classification", "--train", small / "train.jsonl", "--device", "cpu")
    return run("finetune", small / "model", *options, "--out", out, *more)


def test_of_several_processes_the_first_alone_speaks(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finetune(small, tmp_path / "out", "--epochs", 1, "--batch-size", 8)
    monkeypatch.setenv("RANK", "1")  # this one finds the run finished, and would say so
    assert finetune(small, tmp_path / "out", "--epochs", 1, "--batch-size", 8, "--resume") == (0, "", "")
    monkeypatch.setenv("RANK", "0")
    status, text, errors = finetune(small, tmp_path / "out", "--epochs", 1, "--batch-size", 8, "--resume")
    assert (status, "finished already" in errors, "The model is in" in text) == (0, True, True)


def test_from_own_data_to_a_model_to_predictions_to_the_same_score(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    status, text, errors = finetune(
        small, out, "--test", small / "test.jsonl", "--epochs", 2, "--batch-size", 8, "--learning-rate", 1e-3, "--json",
        "--class-weights", "balanced", "--cache-dir", tmp_path / "features",
    )  # fmt: skip
    assert status == 0, errors
    assert any((tmp_path / "features").rglob("*"))
    assert json.loads((out / "training.json").read_text())["options"]["class_weights"]
    facts = json.loads(text)
    assert (facts["path"], set(facts["metrics"])) == (str(out), {"validation", "test"})
    assert "the best so far" in errors
    status, text, _ = run(
        "evaluate", out, small / "test.jsonl", "--device", "cpu", "--json", "--report", tmp_path / "r"
    )
    assert status == 0
    assert json.loads(text) == facts["metrics"]["test"]
    assert {path.name for path in (tmp_path / "r").iterdir()} == {"metrics.json", "classes.md", "confusion_matrix.png"}
    rows = [json.loads(line) for line in (small / "test.jsonl").read_text().splitlines()]
    status, _, errors = run("predict", out, "--file", small / "test.jsonl", "--output", tmp_path / "out.jsonl")
    assert (status, f"12 rows are in {tmp_path / 'out.jsonl'}." in errors) == (0, True)
    predicted = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["text"] for row in predicted] == [row["text"] for row in rows]
    right = sum(row["predicted_label"] == row["label"] for row in predicted)
    assert round(right / len(rows), 4) == facts["metrics"]["test"]["accuracy"]
    status, text, _ = run("predict", out, stdin="".join(f"{row['text']}\n" for row in rows))
    assert status == 0
    assert [line.split("\t")[1] for line in text.splitlines()] == [
        "label",
        *(row["predicted_label"] for row in predicted),
    ]


def test_texts_on_the_command_line(tmp_path: Path) -> None:
    status, text, _ = run(
        "predict", DEMO / "model", "I lost my phone!", '{"text": "Where is my card?"}', "--framework", "pt"
    )
    assert status == 0
    lines = [line.split("\t") for line in text.splitlines()]
    assert lines[0] == ["text", "label", "score"]
    assert [line[:2] for line in lines[1:]] == [
        ["I lost my phone!", "lost_or_stolen_phone"],
        ["Where is my card?", "card_arrival"],
    ]
    status, text, _ = run("predict", DEMO / "model", "I lost my phone!", "--top-k", 2, "--json")
    assert status == 0
    assert [len(json.loads(line)["labels"]) for line in text.splitlines()] == [2]


def test_standard_input_with_the_mark_that_windows_writes() -> None:
    for options, text in (((), "Where is my card?\r\n"), (("--format", "csv"), "text\r\nWhere is my card?\r\n")):
        status, text, _ = run("predict", DEMO / "model", *options, "--json", stdin=f"\ufeff{text}")
        assert status == 0
        assert json.loads(text)["text"] == "Where is my card?"


@pytest.mark.filterwarnings("ignore:the checkpoint has no qa_outputs")
def test_questions_in_a_file_about_a_context_on_the_command_line(small: Path, tmp_path: Path) -> None:
    (tmp_path / "questions.txt").write_text("Who ran?\nWho sat?\n")
    options = ("--task", "question-answering", "--context", "Bob ran.", "--framework", "pt", "--json")
    status, text, errors = run("predict", small / "model", "--file", tmp_path / "questions.txt", *options)
    assert status == 0, errors
    rows = [json.loads(line) for line in text.splitlines()]
    assert [(row["question"], row["context"]) for row in rows] == [("Who ran?", "Bob ran."), ("Who sat?", "Bob ran.")]


def test_a_masked_lm_is_measured_as_it_was_trained(small: Path, tmp_path: Path) -> None:
    text, options = small_data("fill-mask", tmp_path / "text", slice(0, 12)), ("--line-by-line", "--whole-word-mask")
    run_of = ("--train", text, "--validation", text, "--out", tmp_path / "out", "--max-steps", 1, "--json")
    task = ("--task", "fill-mask", "--mlm-probability", 0.4, "--device", "cpu")
    status, printed, errors = run("finetune", small / "model", *task, *options, *run_of)
    assert status == 0, errors
    status, again, _ = run("evaluate", tmp_path / "out", text, *task, *options, "--json")
    assert status == 0
    assert json.loads(again) == json.loads(printed)["metrics"]["validation"]


BAD = {
    "task": (("--task", "translation"), "'translation' is not a task"),
    "framework": (("--framework", "caffe"), "'caffe' is not a framework; choose from pt, tf, flax"),
    "rate": (("--learning-rate", "-1"), "learning_rate is -1.0; it must be a number above 0"),
    "column": (("--column", "text"), "--column is 'text'; expected a role and a column, as text=review"),
    "absent": (("--column", "text=review"), "'review'"),
    "weights": (("--class-weights", "1,x"), "--class-weights is '1,x'; expected numbers"),
    "classes": (("--class-weights", "1,2"), "2 class_weights were given for 3 classes"),
    "metric": (("--metric-for-best", "bleu", "--max-steps", "1"), "no metric 'bleu'"),
    "file": (("--test", "nowhere.csv"), "nowhere.csv"),
    "device": (("--device", "tpu"), "device is 'tpu'"),
    "share": (("--mlm-probability", "15"), "mlm_probability is 15.0; it is a share"),
    "cut": (("--truncation", "left"), "truncation is 'left'; choose from longest_first"),
    "frozen": (("--frozen", "layer.7"), "no parameter in 'layer.7'"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_used_is_one_sentence_and_status_2(small: Path, tmp_path: Path, name: str) -> None:
    arguments, message = BAD[name]
    assert_refused(finetune(small, tmp_path / "out", *arguments), message)


def test_evaluate_and_predict_refuse_what_they_cannot_use(small: Path) -> None:
    for arguments, message in (
        (("evaluate", small / "model", small / "test.jsonl"), "which tells no task; name one of"),
        (("evaluate", DEMO / "model", "nowhere.csv"), "nowhere.csv"),
        (("predict", small / "nowhere", "text"), "nowhere"),
        (("predict", DEMO / "model", "text", "--file", small / "test.jsonl"), "exactly one of them"),
        (("predict", DEMO / "model", "text", "--top-k", 0), "top_k is 0"),
        (("predict", DEMO / "model", "--file", "x.doc"), "x.doc"),
        (("predict", DEMO / "model", "--file", "x.csv", "--output", "./x.csv"), "is the file with the examples"),
        (("predict", DEMO / "model", "text", "--output", small / "test.jsonl" / "x.csv"), "where a folder has to be"),
    ):
        status, _, errors = run(*arguments)
        assert status == 2
        assert message in errors
        assert "Traceback" not in errors


def test_ctrl_c_while_the_command_is_loaded_ends_it_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "distilbert_cli.main", SimpleNamespace(main=interrupted))
    with pytest.raises(SystemExit, match="130"):
        __main__.main()


def test_ctrl_c_saves_says_so_and_resume_goes_on(small: Path, tmp_path: Path) -> None:
    command = [
        *(sys.executable, "-m", "distilbert_cli", "finetune", str(small / "model"), "--task", "text-classification"),
        *("--train", str(small / "train.jsonl"), "--out", str(tmp_path / "out"), "--device", "cpu", "--log-every", "1"),
        *("--max-steps", "100000", "--batch-size", "2"),
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        metrics = tmp_path / "out" / "metrics.jsonl"
        while not (metrics.exists() and metrics.read_text().count("\n") > 3):
            assert process.poll() is None, process.communicate()
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode == 130
    last = errors.splitlines()[-1]
    assert last.startswith("distilbert: stopped after step ")
    assert last.endswith(" of 100000, which is saved; resume the run to go on from there")
    step = int(last.split()[4])
    assert (tmp_path / "out" / "checkpoints" / f"step-{step}").is_dir()
