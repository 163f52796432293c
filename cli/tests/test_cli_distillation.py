from __future__ import annotations

import json
from pathlib import Path

import pytest

from parity_tests.helpers.command_line import assert_refused, run
from parity_tests.helpers.small_tasks import small_data, small_model

STEPS = ("--max-steps", 2, "--batch-size", 16, "--accumulation", 1, "--device", "cpu", "--no-tensorboard")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bare model, a masked LM, and texts."""
    folder = tmp_path_factory.mktemp("small")
    small_model(folder / "bare", n_layers=3)
    small_model(folder / "teacher", "ForMaskedLM", n_layers=3)
    small_data("fill-mask", folder / "corpus", slice(0, 60))
    small_data("text-classification", folder / "data", slice(0, 24))
    return folder


def test_a_teacher_gets_its_head_teaches_and_is_compared_with_its_student(small: Path, tmp_path: Path) -> None:
    text = small / "corpus.txt"
    status, _, errors = run("distil", small / "bare", text, "--out", tmp_path / "out", *STEPS)
    assert status == 2
    assert f"distilbert finetune {small / 'bare'} --task fill-mask --train DATA --out TEACHER" in errors
    fitting = ("--task", "fill-mask", "--train", text, "--out", tmp_path / "teacher", "--frozen", "transformer")
    status, _, errors = run("finetune", small / "bare", *fitting, *STEPS)
    assert status == 0, errors
    settings = ("--layers", "0,2", "--alpha-ce", 4, "--alpha-mlm", 3, "--alpha-cos", 0.5, "--max-length", 32)
    status, printed, errors = run(
        "distil", tmp_path / "teacher", text, "--out", tmp_path / "out", *settings, *STEPS, "--json"
    )
    assert status == 0, errors
    assert set(json.loads(printed)["metrics"]) == {"validation"}
    assert "The student begins with layers 0, 2 of its teacher." in errors
    record = json.loads((tmp_path / "out" / "training.json").read_text())
    assert {name: record["options"][name] for name in ("alpha_ce", "alpha_task", "alpha_cos", "learning_rate")} == {
        "alpha_ce": 4.0, "alpha_task": 3.0, "alpha_cos": 0.5, "learning_rate": 5e-4,
    }  # fmt: skip
    assert record["features"]["max_length"] == 32
    models = (tmp_path / "teacher", tmp_path / "out", "--data", text, "--max-rows", 20)
    status, printed, errors = run("compare", *models, "--json", "--plot", tmp_path / "compare.png")
    assert status == 0, errors
    facts = json.loads(printed)
    assert (facts["teacher"]["layers"], facts["student"]["layers"], facts["examples"]) == (3, 2, 20)
    assert (tmp_path / "compare.png").stat().st_size > 0


def test_the_table_of_a_comparison(small: Path) -> None:
    status, printed, _ = run("compare", small / "teacher", small / "teacher")
    assert status == 0
    for words in ("parameters", "100.0%", "x as fast", "on random tokens, as no data were given, in turns, pt on cpu"):
        assert words in " ".join(printed.split())


def test_a_task_is_learned_from_a_teacher(small: Path, tmp_path: Path) -> None:
    data = ("--task", "text-classification", "--train", small / "data.jsonl")
    status, _, errors = run("finetune", small / "bare", *data, "--out", tmp_path / "teacher", *STEPS)
    assert status == 0, errors
    student = ("finetune", small / "bare", *data, "--out", tmp_path / "out", *STEPS)
    status, _, errors = run(*student, "--teacher", tmp_path / "teacher", "--alpha-ce", 0.9, "--temperature", 3)
    assert status == 0, errors
    options = json.loads((tmp_path / "out" / "training.json").read_text())["options"]
    expected = {"alpha_ce": 0.9, "alpha_task": 0.5, "alpha_cos": 0.0, "temperature": 3.0}
    assert {name: options[name] for name in expected} == expected


BAD = {
    "layers": (("--layers", "0,x"), "--layers is '0,x'; expected numbers with commas between"),
    "layer": (("--layers", "7"), "expected numbers from 0 to 2"),
    "student": (("--layers", "0", "--student", "x"), "is a model of its own; leave one out"),
    "length": (("--max-length", "4000"), "give a max_length (--max-length) of 64 or less"),
    "sample": (("--sample-by", "word"), "sample_by is 'word'; choose from line"),
    "temperature": (("--temperature", "0"), "temperature is 0.0"),
    "precision": (("--teacher-precision", "int8"), "teacher_precision is 'int8'"),
}


@pytest.mark.parametrize(("arguments", "message"), BAD.values(), ids=BAD)
def test_what_cannot_be_used_is_one_sentence_and_status_2(
    small: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    ended = run("distil", small / "teacher", small / "corpus.txt", "--out", tmp_path / "out", *arguments)
    assert_refused(ended, message)


def test_options_of_a_teacher_need_one(small: Path, tmp_path: Path) -> None:
    data = ("--task", "text-classification", "--train", small / "data.jsonl", "--out", tmp_path / "out")
    status, _, errors = run("finetune", small / "bare", *data, "--alpha-ce", 1)
    assert status == 2
    assert "there is none; give a teacher (--teacher), or leave that out" in errors
