from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distilbert_common.errors import InputError
from distilbert_tasks import compare, evaluate
from distilbert_tasks.comparison import speed as speed_module
from distilbert_tasks.comparison.speed import random_features, speeds
from distilbert_tasks.task import TASKS
from parity_tests.helpers.small_tasks import small_data, small_model, swap_last_words

LABELS = {
    "text-classification": ("card_arrival", "change_pin", "lost_or_stolen_phone"),
    "token-classification": ("B-CARD", "B-PHONE", "B-PIN", "O"),
}


@pytest.fixture(autouse=True)
def few_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time few texts: what is timed is no matter here."""
    monkeypatch.setattr(speed_module, "TEXTS", 4)
    monkeypatch.setattr(speed_module, "TOKENS", 100)


def pair(folder: Path, task: str) -> tuple[Path, Path]:
    labels: dict[str, Any] = {"id2label": dict(enumerate(LABELS[task]))} if task in LABELS else {}
    head = TASKS[task].head
    return (
        small_model(folder / "teacher", head, n_layers=2, **labels),
        small_model(folder / "student", head, n_layers=1, **labels),
    )


@pytest.mark.parametrize("task", TASKS)
def test_scores_are_those_of_evaluate_and_a_model_agrees_with_itself(tmp_path: Path, task: str) -> None:
    teacher, student = pair(tmp_path, task)
    data = small_data(task, tmp_path / "data", slice(0, 18))
    result = compare(teacher, student, data=data)
    for figures in (result.teacher, result.student):
        assert figures.metrics == pytest.approx(evaluate(figures.path, data=data, device="cpu"), rel=1e-6)
    assert result.agreement is not None
    assert 0 <= result.agreement < 1
    assert compare(teacher, teacher, data=data).agreement == 1.0


def test_figures_as_table_json_and_picture(tmp_path: Path) -> None:
    teacher, student = pair(tmp_path, "text-classification")
    data = small_data("text-classification", tmp_path / "data", slice(0, 18))
    result = compare(teacher, student, data=data, plot=tmp_path / "picture.png")
    layer = 4 * (32 * 32 + 32) + 2 * 32 * 48 + 48 + 32 + 4 * 32
    assert result.teacher.parameters - result.student.parameters == layer
    assert result.teacher.nbytes == (teacher / "model.safetensors").stat().st_size
    assert (result.teacher.layers, result.student.layers, result.examples) == (2, 1, 18)
    facts = json.loads(json.dumps(result.to_dict()))
    accuracy = facts["student"]["metrics"]["accuracy"] / facts["teacher"]["metrics"]["accuracy"]
    assert facts["retained"]["accuracy"] == accuracy
    assert "loss" not in facts["retained"]
    assert (
        facts["ratios"]["latency"] == facts["teacher"]["speed"]["latency_ms"] / facts["student"]["speed"]["latency_ms"]
    )
    rows = {row[0]: row[1:] for row in result.rows()}
    assert rows["layers"] == ("2", "1", "")
    assert rows["accuracy"][2] == f"{accuracy:.1%} retained"
    assert (tmp_path / "picture.png").read_bytes()[:4] == b"\x89PNG"


def test_size_and_speed_need_no_data_and_a_bert_is_read(tmp_path: Path) -> None:
    bert = Path(__file__).resolve().parents[2] / "parity_tests" / "data" / "bert" / "pt"
    result = compare(bert, bert)
    assert (result.task, result.agreement, result.examples) == ("fill-mask", None, 0)
    assert result.teacher.metrics == result.retained == {}
    assert [row[0] for row in result.rows()] == [
        "layers", "width", "parameters", "size, MB", "one text, ms", "texts/s", "tokens/s",
    ]  # fmt: skip


class Clock:
    """An engine that notes when it is asked, and with how many tokens."""

    def __init__(self, name: str, calls: list[tuple[str, int]]) -> None:
        self.name, self.calls = name, calls

    def eval_step(self, inputs: Any) -> dict[str, Any]:
        self.calls.append((self.name, inputs["input_ids"].size))
        return {}


def test_models_take_turns_on_the_same_inputs() -> None:
    calls: list[tuple[str, int]] = []
    engines: list[Any] = [Clock("a", calls), Clock("b", calls)]
    result = speeds(engines, random_features("text-classification", 50, 64), few_shapes=False, rounds=2)
    assert all(one.latency_ms > 0 and one.tokens_per_second > one.texts_per_second > 0 for one in result)
    turns = np.asarray([name for name, _ in calls]).reshape(-1, 2)  # (turns, 2)
    assert all(set(turn) == {"a", "b"} for turn in turns.tolist())
    sizes = np.asarray([size for _, size in calls]).reshape(-1, 2)  # (turns, 2)
    assert (sizes[:, 0] == sizes[:, 1]).all()
    assert {"a", "b"} == set(turns[:, 0].tolist()), "each comes first in some of the rounds"


def test_models_that_cannot_be_compared_are_named(tmp_path: Path) -> None:
    teacher, student = pair(tmp_path, "text-classification")
    data = small_data("text-classification", tmp_path / "data", slice(0, 9))
    other = small_model(tmp_path / "other", "ForMaskedLM")
    with pytest.raises(InputError, match="a DistilBertForMaskedLM; give two models of one task"):
        compare(teacher, other)
    bare = small_model(tmp_path / "bare")
    with pytest.raises(InputError, match="are bare models, which predict nothing"):
        compare(bare, bare)
    named = small_model(tmp_path / "named", "ForSequenceClassification", id2label={0: "no", 1: "yes", 2: "maybe"})
    with pytest.raises(InputError, match="the same labels in the same order"):
        compare(teacher, named, data=data)
    swap_last_words(student)
    with pytest.raises(InputError, match="give models of one vocabulary"):
        compare(teacher, student, data=data)
