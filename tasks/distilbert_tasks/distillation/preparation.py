"""What a distillation needs before its first step: the tokenized corpus, and text to validate on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from distilbert_common.errors import InputError
from distilbert_tasks.corpus import Corpus, CorpusOptions, build_corpus
from distilbert_tasks.data.splits import draw_validation
from distilbert_tasks.distillation.student import Student
from distilbert_tasks.features import FeatureOptions, Features, Ragged, SelectedRows
from distilbert_tasks.masking import Masking
from distilbert_tasks.model_files import ModelFiles
from distilbert_tasks.preparation import Prepared, in_words, prepare
from distilbert_tasks.run import Run
from distilbert_tasks.task import TASKS
from distilbert_tasks.training.output import CORPUS
from distilbert_tasks.training.progress import Note

__all__ = ["Texts", "prepare_distillation"]

TASK = TASKS["fill-mask"]


@dataclass(frozen=True, kw_only=True)
class Texts:
    """The texts of a distillation.

    Attributes:
        corpus: What `build_corpus` takes.
        validation: What `load_data` takes; None for a share of the corpus.
        validation_share: How much of it; 0 for nothing.
        options: How texts become rows of tokens; a max_length that nobody chose is cut to what both models take.
        folder: Where the corpus is, or is to be; None for a folder in that of the run.
    """

    corpus: Any
    validation: Any = None
    validation_share: float = 0.05
    options: CorpusOptions = field(default_factory=CorpusOptions)
    folder: str | Path | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.validation_share < 1:
            raise InputError(f"validation_share is {self.validation_share}; it must be from 0 to below 1")

    def fitting_options(self, teacher: ModelFiles, student: Student) -> CorpusOptions:
        """Return how texts become rows that both models take.

        Raises:
            InputError: Rows were asked for that are longer.
        """
        positions = min(int(one.config.max_position_embeddings) for one in (teacher, student))
        if self.options.max_length == CorpusOptions.max_length > positions:
            return replace(self.options, max_length=positions)
        if self.options.max_length > positions:
            raise InputError(
                f"max_length is {self.options.max_length}, and teacher and student take {positions} tokens in a row; "
                f"give a max_length (--max-length) of {positions} or less"
            )
        return self.options


def prepare_distillation(
    teacher: ModelFiles, student: Student, texts: Texts, options: CorpusOptions, seed: int, run: Run
) -> Prepared:
    """Tokenize the corpus of a run, and set text to validate on aside.

    Args:
        teacher: The teacher.
        student: The student.
        texts: What both read.
        options: How texts become rows of tokens.
        seed: What the choice of rows to validate on depends on.
        run: Where the run writes, and who is told.

    Raises:
        InputError: Texts cannot be used.
    """
    tokenizer = teacher.tokenizer()
    corpus = build_corpus(
        texts.corpus,
        tokenizer,
        run.folder / CORPUS if texts.folder is None else texts.folder,
        options,
        run.on_progress,
        overwrite=run.overwrite and texts.folder is None,
    )
    data, features = _splits(corpus, teacher, texts, options, seed, run)
    return Prepared(
        task=TASK,
        config=student.config,
        tokenizer=tokenizer,
        data=data,
        features=features,
        labels=None,
        sources={"train": in_words(texts.corpus), "validation": in_words(texts.validation)},
        fingerprints={"train": corpus.fingerprint},
    )


def _splits(
    corpus: Corpus, teacher: ModelFiles, texts: Texts, options: CorpusOptions, seed: int, run: Run
) -> tuple[dict[str, Any], dict[str, Features]]:
    """Return the examples and the features of each split; in the corpus, rows are the examples."""
    features = corpus.features
    if texts.validation is not None:
        made_with = FeatureOptions(max_length=options.max_length)
        sources = {"validation": texts.validation}
        prepared = prepare(TASK, teacher.path, sources, options.data, made_with, run.on_progress)
        return {"train": features, **prepared.data}, {"train": features, **prepared.features}
    rows, drawn = draw_validation(len(features), texts.validation_share, seed)
    if not texts.validation_share or not len(drawn):
        run.on_progress(Note("There is no validation set, so that nothing is measured."))
        return {"train": features}, {"train": features}
    run.on_progress(
        Note(
            f"{len(drawn):,} of the {len(features):,} rows of the corpus, drawn with seed {seed}, are the validation "
            "set, as none was given."
        )
    )
    ids = features.input_ids
    train = Features(SelectedRows(ids.values, ids.offsets, rows), {}, rows, details=features.details, task=TASK.name)
    masking = Masking.of(teacher.tokenizer(), options.mask_probability)
    validation = Features(
        Ragged.from_lists(ids.take(drawn)), {}, np.arange(len(drawn)), details={"masking": masking}, task=TASK.name
    )
    splits = {"train": train, "validation": validation}
    return dict(splits), splits
