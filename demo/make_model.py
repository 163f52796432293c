"""Makes the demo's model as the DistilBERT paper made its own: a teacher first, then a student of half its layers.

Usage: make demo-model

Both begin with random weights, and learn from the training set of BANKING77 alone; the test set is only measured on. A
run that was stopped goes on where it was. Writes `demo/teacher` and `demo/model`: config, weights and vocabulary.
"""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from time import perf_counter

os.environ["DISTILBERT_FAST"] = "0"  # steps of so small a model take less time so, 0.16 to 0.22 s against 0.25 to 0.29

import numpy as np
import torch
from tokenizers import BertWordPieceTokenizer

from distilbert_cli.training_progress import in_words, training_progress
from distilbert_common.training import DistillationOptions
from distilbert_conversion import convert
from distilbert_pt import DistilBertConfig, DistilBertForMaskedLM, DistilBertTokenizerFast
from distilbert_tasks import CorpusOptions, DataOptions, FeatureOptions, TrainingOptions, distil, evaluate, finetune
from distilbert_tasks.training.progress import OnProgress

HERE = Path(__file__).resolve().parent
TRAIN, TEST = HERE / "data" / "banking77_train.csv", HERE / "data" / "banking77_test.csv"
STAGES = HERE / "stages"
VOCABULARY, SEED = 2000, 56
SIZES = {"max_position_embeddings": 64, "n_layers": 6, "n_heads": 4, "dim": 128, "hidden_dim": 256}
COPIES, DROPPED = 3, 0.15
"""How many copies of each question the intents are learned from too, and the share of words that these lack."""
EVERY_ROW = DataOptions(validation_share=0)
LINES = FeatureOptions(line_by_line=True, mlm_probability=0.2)
FROM_TEACHER = DistillationOptions(alpha_ce=0.5, alpha_task=0.5, alpha_cos=1.0)


def options(epochs: float, learning_rate: float) -> TrainingOptions:
    """Return how a stage is trained; all but these two is the same in each."""
    return TrainingOptions(
        epochs=epochs, learning_rate=learning_rate, batch_size=64, schedule="cosine", warmup_ratio=0.1,
        weight_decay=0.01, log_every=50, seed=SEED,
    )  # fmt: skip


def read_questions() -> list[dict[str, str]]:
    """Return the rows of the training set: `text` and `category`."""
    with TRAIN.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def vocabulary() -> Path:
    """Return the file of the vocabulary; where it is gone, make one of the questions.

    The trainer breaks ties at random, so that only with this file are the models the same again.
    """
    file = HERE / "model" / "vocab.txt"
    if not file.exists():
        trainer = BertWordPieceTokenizer(lowercase=True)
        texts = [row["text"] for row in read_questions()]
        trainer.train_from_iterator(texts, vocab_size=VOCABULARY, min_frequency=2, show_progress=False)
        file.parent.mkdir(exist_ok=True)
        trainer.save_model(str(file.parent))
    return file


def write_untrained(folder: Path) -> Path:
    """Write a masked LM with random weights; return its folder."""
    tokenizer = DistilBertTokenizerFast(vocabulary(), model_max_length=SIZES["max_position_embeddings"])
    torch.manual_seed(SEED)
    config = DistilBertConfig(vocab_size=len(tokenizer), attention_dropout=0.0, **SIZES)
    DistilBertForMaskedLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_varied_questions(path: Path) -> Path:
    """Write the training set, and copies in which words are missing, so that no question is known by one word."""
    random, rows = np.random.default_rng(SEED), read_questions()
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["text", "category"])
        writer.writeheader()
        writer.writerows(rows)
        for row in rows * COPIES:
            words = row["text"].split()
            remain = random.random(len(words)) >= DROPPED
            text = " ".join(word for word, remains in zip(words, remain, strict=True) if remains)
            writer.writerow({"text": text or row["text"], "category": row["category"]})
    return path


def report(stage: str, metrics: Mapping[str, float]) -> None:
    """Print what the model of a stage scores on the test set."""
    print(f"{stage}: {in_words(metrics)}", flush=True)


def make_teacher(questions: Path, on_progress: OnProgress) -> tuple[Path, Path]:
    """Train the teacher, as a masked LM and then for the intents; return the folders of both."""
    lm, intents = STAGES / "teacher_lm", STAGES / "teacher"
    finetune(
        "fill-mask", write_untrained(STAGES / "untrained"), train=TRAIN, out=lm, options=options(6, 1e-3),
        data_options=EVERY_ROW, feature_options=LINES, resume=True, on_progress=on_progress,
    )  # fmt: skip
    report("teacher, masked LM", evaluate(lm, data=TEST, feature_options=LINES))
    result = finetune(
        "text-classification", lm, train=questions, test=TEST, out=intents, options=options(2.5, 1e-3),
        data_options=EVERY_ROW, resume=True, on_progress=on_progress,
    )  # fmt: skip
    report("teacher, intents", result.metrics["test"])
    return lm, intents


def make_student(lm: Path, intents: Path, questions: Path, on_progress: OnProgress) -> Path:
    """Train the student, as a masked LM and then for the intents, each on what its teacher predicts."""
    student_lm, student = STAGES / "student_lm", STAGES / "student"
    distil(
        lm, TRAIN, out=student_lm, options=options(2, 1e-3), corpus_options=CorpusOptions(min_length=0),
        validation_share=0, resume=True, on_progress=on_progress,
    )  # fmt: skip
    report("student, masked LM", evaluate(student_lm, data=TEST, feature_options=LINES))
    result = finetune(
        "text-classification", student_lm, teacher=intents, train=questions, test=TEST, out=student,
        options=replace(options(4, 1e-3), distillation=FROM_TEACHER), data_options=EVERY_ROW, resume=True,
        on_progress=on_progress,
    )  # fmt: skip
    report("student, intents", result.metrics["test"])
    return student


def publish(trained: Path, folder: Path, dtype: str) -> None:
    """Write what the demo needs of a trained model."""
    converted = STAGES / f"{folder.name}_{dtype}"
    convert(trained, converted, to="pt", dtype=dtype, overwrite=True)
    folder.mkdir(exist_ok=True)
    for name in ("config.json", "model.safetensors", "vocab.txt"):
        shutil.copyfile(converted / name, folder / name)


def main() -> None:
    """Train teacher and student, and put them beside the demo."""
    started = perf_counter()
    STAGES.mkdir(exist_ok=True)
    torch.set_num_threads(1)  # so small a model gains next to nothing by more, and sums have one order
    with training_progress() as on_progress:
        questions = write_varied_questions(STAGES / "questions.csv")
        lm, intents = make_teacher(questions, on_progress)
        student = make_student(lm, intents, questions, on_progress)
    publish(intents, HERE / "teacher", "float16")
    publish(student, HERE / "model", "float32")
    print(f"{(perf_counter() - started) / 60:.0f} minutes")


if __name__ == "__main__":
    main()
