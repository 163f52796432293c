"""The data sets of the tasks' table: which files each is made of, and how one is cut to a number of rows.

A cut training set is drawn with a seed, so that it is the same for everyone who trains on it.
"""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tasks_settings import Training

__all__ = ["CASES", "Case", "write_data"]

Rows = list[Any]


class Case(NamedTuple):
    """One task on one data set, and how it is trained.

    Attributes:
        task: The task's name.
        title: What the table calls it.
        metric: The metric that is compared.
        percent: Whether the metric is a share, which is shown in percent.
        suffix: That of its files.
        training: How a model is trained on it.
    """

    task: str
    title: str
    metric: str
    percent: bool
    suffix: str
    training: Training


CASES = {
    "sst2": Case("text-classification", "SST-2, sentiment", "accuracy", True, "tsv", Training(2, 1e-4, 128)),
    "banking77": Case("text-classification", "BANKING77, 77 intents", "accuracy", True, "csv", Training(5, 2e-4, 128)),
    "wnut17": Case("token-classification", "WNUT-17, entities", "f1", True, "conll", Training(5, 2e-4, 128)),
    "xquad": Case("question-answering", "XQuAD, answers", "f1", False, "json", Training(5, 2e-4, 384, batch_size=16)),
    "comve": Case(
        "multiple-choice",
        "ComVE, which is nonsense",
        "accuracy",
        True,
        "csv",
        Training(3, 1e-4, 64, columns={"choices": ["sent0", "sent1"]}),
    ),
    "wikitext2": Case("fill-mask", "WikiText-2, masked tokens", "perplexity", False, "txt", Training(3, 3e-4, 128)),
}
"""The tasks by data set. The learning rates suit a model 384 wide."""


def write_data(name: str, source: Path, folder: Path, rows: int | None, seed: int = 0) -> tuple[Path, Path, int]:
    """Write the training and the validation file of a data set.

    Args:
        name: A key of `CASES`.
        source: The folder that holds `sst2`, `banking77` and so on.
        folder: Where to write.
        rows: The most rows of the training set; None for all.
        seed: What the choice of these depends on.

    Returns:
        The two files, and how many rows the first one has.
    """
    train, validation, write = READERS[name](source / name)
    if rows is not None and rows < len(train):
        train = random.Random(seed).sample(train, rows)
    paths = [folder / f"{split}.{CASES[name].suffix}" for split in ("train", "validation")]
    for path, part in zip(paths, (train, validation), strict=True):
        write(path, part)
    return paths[0], paths[1], len(train)


Write = Callable[[Path, Rows], None]
Splits = tuple[Rows, Rows, Write]
"""The rows of the training and the validation set, and how a file of them is written."""


def _table(path: Path, delimiter: str = ",", names: Sequence[str] | None = None) -> Rows:
    quoting = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, names, delimiter=delimiter, quoting=quoting))


def _write_table(delimiter: str) -> Write:
    def write(path: Path, rows: Rows) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)

    return write


def _sst2(folder: Path) -> Splits:
    return _table(folder / "train.tsv", "\t"), _table(folder / "dev.tsv", "\t"), _write_lines_of_tabs


def _write_lines_of_tabs(path: Path, rows: Rows) -> None:
    """Write sentences that may hold quotes as they are."""
    lines = ["\t".join(rows[0]), *("\t".join(row.values()) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _banking77(folder: Path) -> Splits:
    return _table(folder / "train.csv"), _table(folder / "test.csv"), _write_table(",")


def _wnut17(folder: Path) -> Splits:
    files = folder / "wnut17train.conll", folder / "emerging.test.annotated"
    train, test = (_sentences(path.read_text(encoding="utf-8").splitlines()) for path in files)
    return train, test, lambda path, rows: _write_text(path, ("\n".join([*lines, ""]) for lines in rows))


def _sentences(lines: Iterable[str]) -> Rows:
    """Return the sentences of a CoNLL file, each a list of lines."""
    sentences: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            sentences[-1].append(line)
        elif sentences[-1]:
            sentences.append([])
    return [sentence for sentence in sentences if sentence]


def _xquad(folder: Path) -> Splits:
    """Take the last 8 of the 48 English articles for validation."""
    articles = json.loads((folder / "xquad.en.json").read_text(encoding="utf-8"))["data"]
    train, validation = (
        [(part["context"], one) for article in some for part in article["paragraphs"] for one in part["qas"]]
        for some in (articles[:-8], articles[-8:])
    )

    def write(path: Path, rows: Rows) -> None:
        paragraphs = [{"context": context, "qas": [question]} for context, question in rows]
        path.write_text(json.dumps({"data": [{"title": "", "paragraphs": paragraphs}]}), encoding="utf-8")

    return train, validation, write


def _comve(folder: Path) -> Splits:
    pairs = (
        ("Training__Data__subtaskA_data_all.csv", "Training__Data__subtaskA_answers_all.csv"),
        ("Test_Data__subtaskA_test_data.csv", "Test_Data__subtaskA_gold_answers.csv"),
    )
    train, test = (
        [
            {"sent0": row["sent0"], "sent1": row["sent1"], "label": answer["label"]}
            for row, answer in zip(_table(folder / data), _table(folder / answers, names=("id", "label")), strict=True)
        ]
        for data, answers in pairs
    )
    return train, test, _write_table(",")


def _wikitext2(folder: Path) -> Splits:
    """Train on the validation file, the largest at hand, and take the first 200 lines of the test file."""
    train, test = (
        [line for line in (folder / name).read_text(encoding="utf-8").splitlines() if line.strip()]
        for name in ("valid.tokens.txt", "test.tokens.txt")
    )
    return train, test[:200], _write_text


def _write_text(path: Path, lines: Iterable[str]) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


READERS: dict[str, Callable[[Path], Splits]] = {
    "sst2": _sst2,
    "banking77": _banking77,
    "wnut17": _wnut17,
    "xquad": _xquad,
    "comve": _comve,
    "wikitext2": _wikitext2,
}
