from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from distilbert_common import DistilBertConfig
from distilbert_common.errors import InputError
from distilbert_common.training import DistillationOptions
from distilbert_tasks import FinetuneResult, TrainingOptions, finetune
from distilbert_tasks.distillation.options import task_distillation
from distilbert_tasks.task import TASKS
from distilbert_tasks.training import report as report_module
from parity_tests.helpers.small_tasks import small_data, small_model, swap_last_words

OPTIONS = TrainingOptions(max_steps=2, batch_size=8, learning_rate=1e-3, log_every=1)
TAGS = ("O", "B-PIN", "B-PHONE", "B-CARD")
INTENTS = ("lost_or_stolen_phone", "card_arrival", "change_pin")
"""In another order than fine-tuning without a teacher gives them."""


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_module, "draw_curves", lambda lines, metric, path: None)
    monkeypatch.setattr(report_module, "write_confusion", lambda scores, path: False)


def teacher_of(task: str, folder: Path, **fields: Any) -> Path:
    labels = {"text-classification": INTENTS, "token-classification": TAGS}.get(task)
    named: dict[str, Any] = {} if labels is None else {"id2label": dict(enumerate(labels))}
    return small_model(folder, TASKS[task].head, **{"n_layers": 3, **named, **fields})


def run(folder: Path, task: str, **changes: Any) -> FinetuneResult:
    data = small_data(task, folder / "data", slice(0, 24))
    arguments: dict[str, Any] = {"out": folder / "out", "options": OPTIONS, "device": "cpu", "tensorboard": False}
    return finetune(task, folder / "student", train=data, validation=data, **{**arguments, **changes})


@pytest.mark.parametrize("task", TASKS)
def test_a_task_is_learned_from_a_teacher(tmp_path: Path, task: str) -> None:
    small_model(tmp_path / "student")
    teacher = teacher_of(task, tmp_path / "teacher")
    result = run(tmp_path, task, teacher=teacher)
    alphas = {"loss_ce": 5.0, "loss_mlm": 2.0, "loss_cos": 1.0} if task == "fill-mask" else {"loss_ce": 0.5}
    alphas |= {} if task == "fill-mask" else {"loss_task": 0.5}
    for line in result.history:
        if line["kind"] == "train":
            assert line["loss"] == pytest.approx(sum(alpha * line[name] for name, alpha in alphas.items()), rel=1e-5)
    card = (tmp_path / "out" / "README.md").read_text()
    for words in (f"with `{teacher}` as its teacher", "| its layers | 3 |", "| temperature | 2.0 |", "| alpha_ce | "):
        assert words in card
    facts = json.loads((tmp_path / "out" / "training.json").read_text())["teacher"]
    assert facts["teacher"] == str(teacher)
    config = DistilBertConfig.from_pretrained(tmp_path / "out")
    if task in ("text-classification", "token-classification"):
        assert tuple(config.id2label.values()) == (INTENTS if task == "text-classification" else TAGS)


def test_predictions_of_the_teacher_alone_teach(tmp_path: Path) -> None:
    small_model(tmp_path / "student")
    teacher = teacher_of("text-classification", tmp_path / "teacher")
    options = replace(
        OPTIONS, max_steps=12, distillation=DistillationOptions(alpha_ce=1.0, alpha_task=0.0, alpha_cos=0.0)
    )
    history = run(tmp_path, "text-classification", teacher=teacher, options=options).history
    losses = [line["loss_ce"] for line in history if line["kind"] == "train"]
    assert losses[-1] < 0.5 * losses[0]


def test_another_teacher_is_not_gone_on_with(tmp_path: Path) -> None:
    small_model(tmp_path / "student")
    teacher = teacher_of("text-classification", tmp_path / "teacher")
    run(tmp_path, "text-classification", teacher=teacher)
    other = teacher_of("text-classification", tmp_path / "other", n_layers=2)
    with pytest.raises(InputError, match=r"the weights of the teacher .* are not those of"):
        run(tmp_path, "text-classification", teacher=other, resume=True)
    changed = replace(OPTIONS, distillation=task_distillation("text-classification", temperature=4.0))
    with pytest.raises(InputError, match=r"temperature was 2.0 and is 4.0"):
        run(tmp_path, "text-classification", teacher=teacher, options=changed, resume=True)


def test_what_a_teacher_must_have_is_said(tmp_path: Path) -> None:
    small_model(tmp_path / "student")
    task = "text-classification"
    teacher = teacher_of(task, tmp_path / "teacher")
    with pytest.raises(InputError, match=r"there is none; give a teacher \(--teacher\)"):
        run(tmp_path, task, options=replace(OPTIONS, distillation=DistillationOptions()))
    with pytest.raises(InputError, match="was trained for fill-mask, and has no head for text-classification"):
        run(tmp_path, task, teacher=teacher_of("fill-mask", tmp_path / "mlm"))
    wide = teacher_of(task, tmp_path / "wide", dim=48)
    cosine = replace(OPTIONS, distillation=task_distillation(task, alpha_cos=1.0))
    with pytest.raises(InputError, match="48 entries, the student's 32"):
        run(tmp_path, task, teacher=wide, options=cosine)
    short = teacher_of(task, tmp_path / "short", max_position_embeddings=8)
    with pytest.raises(InputError, match=r"takes 8; give a max_length \(--max-length\) of 8 or less"):
        run(tmp_path, task, teacher=short)
    labels = teacher_of(task, tmp_path / "labels", id2label={0: "yes", 1: "no"})
    with pytest.raises(InputError, match="card_arrival"):
        run(tmp_path, task, teacher=labels)
    swap_last_words(teacher)
    with pytest.raises(InputError, match="give models of one vocabulary"):
        run(tmp_path, task, teacher=teacher)
