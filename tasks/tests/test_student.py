from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distilbert_common import DistilBertConfig
from distilbert_common.errors import CheckpointError, InputError
from distilbert_tasks.distillation import StudentOptions, alternate_layers
from distilbert_tasks.distillation.checks import check_positions, check_task, check_vocabulary
from distilbert_tasks.distillation.student import Student, make_student
from distilbert_tasks.model_files import ModelFiles, open_model
from distilbert_tasks.task import TASKS
from parity_tests.helpers.checkpoints import read_all
from parity_tests.helpers.small_tasks import small_model

BERT = Path(__file__).resolve().parents[2] / "parity_tests" / "data" / "bert" / "pt"
TEACHER_LAYERS = 5


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    folder = tmp_path_factory.mktemp("teacher")
    return open_model(small_model(folder / "model", "ForMaskedLM", n_layers=TEACHER_LAYERS), folder)


def student_of(teacher: ModelFiles, folder: Path, **options: Any) -> Student:
    return make_student(teacher, StudentOptions(**options), folder, seed=3)


def test_every_second_layer_is_taken_as_the_authors_took_them() -> None:
    assert alternate_layers(12) == (0, 2, 4, 7, 9, 11)
    assert [alternate_layers(layers) for layers in (1, 2, 3, 5)] == [(0,), (0,), (0, 2), (0, 2, 4)]
    for layers in range(3, 30):
        taken = alternate_layers(layers)
        assert (len(taken), taken[0], taken[-1]) == ((layers + 1) // 2, 0, layers - 1)
        assert set(np.diff(taken)) <= {2, 3}


@pytest.mark.parametrize("layers", [None, (4, 1, 1)])
def test_weights_come_from_the_layers_of_the_teacher(
    teacher: ModelFiles, tmp_path: Path, layers: tuple[int, ...] | None
) -> None:
    student = student_of(teacher, tmp_path, layers=layers)
    numbers = layers or (0, 2, 4)
    assert (student.layers, student.config.n_layers) == (numbers, 3)
    ours, theirs = read_all(student.path), read_all(Path(teacher.path))
    sources = {f"transformer.layer.{number}.": f"transformer.layer.{layer}." for number, layer in enumerate(numbers)}
    for name, array in ours.items():
        start = next((start for start in sources if name.startswith(start)), "")
        assert np.array_equal(array, theirs[sources.get(start, "") + name.removeprefix(start)]), name
    assert DistilBertConfig.from_pretrained(student.path).architectures == ["DistilBertForMaskedLM"]


def test_the_layer_before_the_vocabulary_may_stay_behind(teacher: ModelFiles, tmp_path: Path) -> None:
    ours = read_all(student_of(teacher, tmp_path, vocab_transform=False).path)
    theirs = read_all(Path(teacher.path))
    assert np.array_equal(ours["vocab_projector.bias"], theirs["vocab_projector.bias"])
    assert not np.array_equal(ours["vocab_transform.weight"], theirs["vocab_transform.weight"])
    assert np.array_equal(ours["vocab_layer_norm.weight"], np.ones(32))


def test_random_weights_depend_on_the_seed_alone(teacher: ModelFiles, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
    first, again = (student_of(teacher, tmp_path / name, random_init=True, layers=(0, 1)) for name in "ab")
    assert (first.layers, first.config.n_layers) == (None, 2)
    ours, theirs = read_all(first.path), read_all(Path(teacher.path))
    assert all(np.array_equal(array, read_all(again.path)[name]) for name, array in ours.items())
    for name in ("embeddings.word_embeddings.weight", "transformer.layer.0.ffn.lin1.weight", "vocab_transform.weight"):
        assert not np.array_equal(ours[name], theirs[name])


def test_a_config_alone_is_enough_for_random_weights(teacher: ModelFiles, tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    teacher.config.updated(dim=16, n_layers=2).save_pretrained(tmp_path / "small")
    student = student_of(teacher, tmp_path, checkpoint=tmp_path / "small", random_init=True)
    assert read_all(student.path)["vocab_transform.weight"].shape == (16, 16)
    with pytest.raises(CheckpointError, match="has no weights"):
        student_of(teacher, tmp_path, checkpoint=tmp_path / "small")


def test_a_bert_teaches_as_the_distilbert_that_equals_it(tmp_path: Path) -> None:
    bert = open_model(BERT, tmp_path)
    assert "token type 0 is folded" in bert.notes[0]
    check_task(bert, TASKS["fill-mask"])
    ours, theirs = read_all(student_of(bert, tmp_path, layers=(1,)).path), read_all(Path(bert.path))
    for name in ("embeddings.position_embeddings.weight", "vocab_layer_norm.bias"):
        assert np.array_equal(ours[name], theirs[name])
    assert np.array_equal(ours["transformer.layer.0.ffn.lin2.bias"], theirs["transformer.layer.1.ffn.lin2.bias"])


def test_what_cannot_be_a_student_is_said(teacher: ModelFiles, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="expected numbers from 0 to 4"):
        student_of(teacher, tmp_path, layers=(0, 5))
    with pytest.raises(InputError, match="is a model of its own; leave one out"):
        StudentOptions(layers=(0,), checkpoint="x")
    with pytest.raises(InputError, match="takes nothing of the teacher; leave it out"):
        StudentOptions(random_init=True, vocab_transform=False)


def test_a_teacher_without_a_head_is_refused_with_what_gives_it_one(teacher: ModelFiles, tmp_path: Path) -> None:
    bare = open_model(small_model(tmp_path / "bare"), tmp_path)
    with pytest.raises(InputError, match=r"is a DistilBertModel, and has no head .* finetune .* --task fill-mask"):
        check_task(bare, TASKS["fill-mask"])
    with pytest.raises(InputError, match="was trained for fill-mask, and has no head for question-answering"):
        check_task(teacher, TASKS["question-answering"])


def test_other_vocabularies_and_shorter_positions_are_refused(teacher: ModelFiles, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    shutil.copytree(teacher.path, folder)
    check_vocabulary(teacher, open_model(folder, tmp_path).tokenizer(), folder)
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    with pytest.raises(InputError, match="have one vocabulary, and differ in lower-casing"):
        check_vocabulary(teacher, open_model(folder, tmp_path).tokenizer(), folder)
    words = (folder / "vocab.txt").read_text().splitlines()
    (folder / "vocab.txt").write_text("\n".join([*words[:-2], words[-1], words[-2]]) + "\n")
    with pytest.raises(InputError, match="give models of one vocabulary"):
        student_of(teacher, tmp_path, checkpoint=folder)
    check_positions(teacher, 64)
    with pytest.raises(InputError, match=r"give a max_length \(--max-length\) of 64 or less"):
        check_positions(teacher, 65)
