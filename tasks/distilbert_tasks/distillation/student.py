"""The student before its first step: layers of its teacher, random weights, or a checkpoint of its own.

Sanh et al., arXiv 1910.01108, section 3: a student takes every second layer of its teacher, and the embeddings with
them. No framework is needed, so that the student is the same in all three.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from distilbert_common import DistilBertConfig
from distilbert_common.errors import InputError
from distilbert_common.training_state import initial_weights
from distilbert_conversion import Checkpoint, LazyTensor, expected, open_checkpoint, save_checkpoint
from distilbert_conversion.encoder_layers import choose_layers
from distilbert_tasks.distillation.checks import check_vocabulary
from distilbert_tasks.model_config import folder_of
from distilbert_tasks.model_files import ModelFiles, open_model
from distilbert_tasks.task import TASKS

__all__ = ["Student", "StudentOptions", "alternate_layers", "make_student"]

HEAD = TASKS["fill-mask"].head
TRANSFORM = ("vocab_transform.", "vocab_layer_norm.")
"""How the names of the layers between the last hidden states and the vocabulary begin."""


@dataclass(frozen=True, kw_only=True)
class StudentOptions:
    """What a student begins with.

    Attributes:
        layers: The layers that it takes of its teacher, from 0; None for every second one.
        checkpoint: A checkpoint that it is instead; with `random_init`, only its config counts.
        random_init: Whether its weights are random.
        vocab_transform: Whether it takes the teacher's layers between the last hidden states and the vocabulary.
    """

    layers: tuple[int, ...] | None = None
    checkpoint: str | Path | None = None
    random_init: bool = False
    vocab_transform: bool = True

    def __post_init__(self) -> None:
        if self.checkpoint is not None and self.layers is not None:
            raise InputError(
                f"layers are taken of the teacher, and student ({self.checkpoint}) is a model of its own; leave one out"
            )
        if not self.vocab_transform and (self.checkpoint is not None or self.random_init):
            raise InputError(
                "vocab_transform says whether the teacher's is taken, and this student takes nothing of the teacher; "
                "leave it out"
            )


@dataclass(frozen=True)
class Student:
    """A student that is ready to be loaded.

    Attributes:
        path: What every family opens.
        config: Its config.
        origin: What it begins with, in words.
        layers: The layers that it took of its teacher, if it did.
    """

    path: str | Path
    config: DistilBertConfig
    origin: str
    layers: tuple[int, ...] | None = None


def alternate_layers(n_layers: int) -> tuple[int, ...]:
    """Return every second layer, from the first to the last: 0, 2, 4, 7, 9, 11 of 12, as the authors of the paper took.

    Args:
        n_layers: How many the teacher has.
    """
    count = (n_layers + 1) // 2
    gaps = max(1, count - 1)
    return tuple((2 * number * (n_layers - 1) + gaps) // (2 * gaps) for number in range(count))


def make_student(teacher: ModelFiles, options: StudentOptions, temporary: Path, seed: int = 0) -> Student:
    """Return the student of a teacher.

    Args:
        teacher: The teacher.
        options: What the student begins with.
        temporary: A folder for its weights, which must last until it is loaded.
        seed: What random weights depend on.

    Raises:
        InputError: The student does not read what its teacher reads, or has no weights.
        CheckpointError: The teacher has no such layer.
    """
    folder = temporary / "student"
    if options.checkpoint is None:
        layers = alternate_layers(teacher.config.n_layers) if options.layers is None else options.layers
        with open_checkpoint(teacher.source, fold_token_type=True) as opened:
            chosen = choose_layers(opened, layers)
            config = _masked_lm(chosen.config())
            _save(folder, _teacher_weights(chosen, options), config, seed)
        if options.random_init:
            return Student(folder, config, f"random weights in {len(layers)} layers")
        return Student(folder, config, f"layers {', '.join(map(str, layers))} of its teacher", layers)
    if options.random_init:
        config = _masked_lm(DistilBertConfig.from_pretrained(folder_of(options.checkpoint)))
        _save(folder, {}, config, seed)
        return Student(folder, config, f"random weights, as large as {options.checkpoint}")
    student = open_model(options.checkpoint, temporary)
    check_vocabulary(teacher, student.tokenizer(), student.source)
    return Student(student.path, _masked_lm(student.config), f"the weights of {student.source}")


def _teacher_weights(checkpoint: Checkpoint, options: StudentOptions) -> Mapping[str, LazyTensor]:
    """Return the weights that a student takes of a checkpoint."""
    if options.random_init:
        return {}
    left_out = () if options.vocab_transform else TRANSFORM
    return {name: tensor for name, tensor in checkpoint.tensors.items() if not name.startswith(left_out)}


def _masked_lm(config: DistilBertConfig) -> DistilBertConfig:
    return config.updated(architectures=[f"DistilBert{HEAD}"])


def _save(folder: Path, tensors: Mapping[str, LazyTensor], config: DistilBertConfig, seed: int) -> None:
    """Write a masked-LM model; weights that are not there get the values that new ones have in every framework."""
    shapes = expected(config, HEAD)
    new = initial_weights({name: shape for name, shape in shapes.items() if name not in tensors}, config, seed)
    weights = {name: tensors[name] if name in tensors else new[name] for name in shapes}
    save_checkpoint(folder, weights, config, HEAD, dtype="float32")
    config.save_pretrained(folder)
