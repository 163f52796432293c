from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas
import pytest
from data_cases import write_csv, write_lines

from distilbert_common.errors import InputError
from distilbert_tasks.data import load_data

Case = tuple[str, Callable[[Path], Any], dict[str, Any], tuple[str, ...]]
CLASSIFY, TAG, ANSWER, CHOOSE = "text-classification", "token-classification", "question-answering", "multiple-choice"


def csv_file(text: str | bytes, name: str = "a.csv") -> Callable[[Path], Path]:
    """Return what writes a file as it stands."""

    def write(folder: Path) -> Path:
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return folder / name

    return write


def lines(*rows: dict[str, Any]) -> Callable[[Path], Path]:
    return lambda folder: write_lines(folder / "a.jsonl", rows)


def labels(*values: Any) -> Callable[[Path], Path]:
    return lines(*({"text": "t", "label": value} for value in values))


QUESTION = {"question": "Who?", "context": "Bob ran."}
CHOICE = {"prompt": "p", "choices": ["a", "b"]}

CASES: list[Case] = [
    (CLASSIFY, csv_file("text,label\na,1\nb\nc,0\n"), {}, ("a.csv, row 2", "1 values for 2 columns", "double quotes")),
    (CLASSIFY, csv_file("text,label\na,1\nb,c,0\n"), {}, ("a.csv, row 2", "3 values for 2 columns")),
    (CLASSIFY, csv_file('text,label\na,1\n"' + "b,0\n" * 50000), {}, ("a.csv, row 2", "quote")),
    (CLASSIFY, csv_file(b"text,label\na,1\n\xe9,0\n"), {}, ("a.csv, line 3", "0xe9", "UTF-8")),
    (CLASSIFY, csv_file("text,text\na,1\n"), {}, ("a.csv", "two columns called 'text'")),
    (CLASSIFY, csv_file(""), {}, ("a.csv", "first line", "column_names")),
    (CLASSIFY, csv_file("text,label\n"), {}, ("no rows",)),
    (CLASSIFY, csv_file("text, label\na,x\nb,y\ntext, label\n"), {}, ("a.csv, row 3", "names of columns again")),
    (CLASSIFY, csv_file("text,label\na,1\nb,NaN\n"), {}, ("a.csv, row 2, column 'label'", "no label")),
    (CLASSIFY, csv_file("x", "a.xlsx"), {}, ("a.xlsx", "save the data as one of them")),
    (CLASSIFY, csv_file("x", "a.zip"), {}, ("a.zip", "cannot be read")),
    (TAG, csv_file("a\tO\nb\tO\n", "a.tsv"), {}, ("a.tsv", "format conll")),
    (TAG, lines({"tokens": ["a"], "tags": ["O"]}), {}, ("all words have the tag 'O'",)),
    (TAG, csv_file("1\ta\n", "a.conllu"), {}, ("a.conllu, line 1", "2 values; expected 10")),
    (CLASSIFY, csv_file("text,label\na,1\nb, \n"), {}, ("a.csv, row 2, column 'label'", "no label")),
    (CLASSIFY, csv_file("a,b\n1,2\n"), {}, ("a.csv", "text", "'a', 'b'", 'columns={"text"')),
    (CLASSIFY, csv_file("text,review,label\n1,2,3\n"), {}, ("'text' or 'review'", 'columns={"text": "text"}')),
    (CLASSIFY, csv_file("text,label\na,1\n"), {"columns": {"text": "body"}}, ("no column 'body'", "'text', 'label'")),
    (CLASSIFY, csv_file("text,label\na,1\n"), {"columns": {"words": "text"}}, ("'words'", "text, label, text_pair")),
    (CLASSIFY, csv_file("{", "a.jsonl"), {}, ("a.jsonl, line 1", "not JSON")),
    (CLASSIFY, csv_file("[1]", "a.jsonl"), {}, ("a.jsonl, line 1", "a list", "object")),
    (CLASSIFY, csv_file("[1]", "a.json"), {}, ("a.json", "list of objects")),
    (CLASSIFY, csv_file("x", "a.parquet"), {}, ("a.parquet", "not a Parquet file")),
    (CLASSIFY, csv_file("x", "a.arrow"), {}, ("a.arrow", "not an Arrow file")),
    (CLASSIFY, csv_file("x", "a.csv.gz"), {}, ("a.csv.gz", "cannot be read")),
    (CLASSIFY, csv_file("x", "a.docx"), {}, ("a.docx", "file_format", "jsonl")),
    (CLASSIFY, lambda folder: folder / "b.csv", {}, ("b.csv", "no file")),
    (CLASSIFY, lambda folder: str(folder / "*.csv"), {}, ("no file fits",)),
    (CLASSIFY, lambda folder: folder, {}, ("holds no file", ".jsonl")),
    (CLASSIFY, lines({"text": "a", "label": 1}, {"text": 7}), {}, ("line 2, column 'text'", "7 is not text")),
    (CLASSIFY, lines({"text": "a", "label": 1}, {"text": "b"}), {}, ("line 2, column 'label'", "no label")),
    (CLASSIFY, lines({"text": "a", "label": 1}, {"label": 1}), {}, ("line 2, column 'text'", "no text")),
    (CLASSIFY, lines({"text": "\ud800", "label": 1}), {}, ("line 1, column 'text'", "surrogate")),
    (TAG, lines({"tokens": ["a", "\ud800"], "tags": [1, 2]}), {}, ("line 1, column 'tokens'", "surrogate")),
    (CHOOSE, lines({**CHOICE, "choices": ["a", "\ud800"], "label": 1}), {}, ("line 1, column 'choices'", "surrogate")),
    (CLASSIFY, lambda folder: {"text": ["a"], "label": [1, 2]}, {}, ("differ in length", "'label': 2")),
    (CLASSIFY, lambda folder: {"text": "abc"}, {}, ("'text' is a str",)),
    (CLASSIFY, lambda folder: " ", {}, ("name of a file is empty",)),
    (CLASSIFY, labels(1, 2), {"columns": "text"}, ("columns is 'text'", '{"text": "review"}')),
    (CLASSIFY, labels(1, 2), {"columns": {"text": 3}}, ("3 for text",)),
    (CLASSIFY, labels([1, [2]], []), {}, ("line 1", "not a list of labels")),
    (TAG, lines({"tokens": ["a"], "tags": [["O"]]}), {}, ("line 1", "token 1, 'a'", "name or a number")),
    (CLASSIFY, labels(1, 1), {}, ("the label '1'", "at least two")),
    (CLASSIFY, labels(0.5, "high", 1.5), {}, ("line 2, column 'label'", "'high' is not a number")),
    (CLASSIFY, labels("1", "high"), {"problem_type": "regression"}, ("line 2", "'high' is not a number")),
    (CLASSIFY, labels(["a"], "b"), {}, ("line 2, column 'label'", "lists")),
    (CLASSIFY, labels([1, 0], [1]), {"labels": ["a"]}, ("'0'", "labels")),
    (CLASSIFY, labels("a", "b"), {"labels": ["a", "c"]}, ("line 2", "'b'", "none of 'a', 'c'")),
    (CLASSIFY, labels("a", "b"), {"problem_type": "multi_label_classification"}, ("line 1", "'a' is not a list")),
    (CLASSIFY, labels(1, 2), {"problem_type": "ranking"}, ("'ranking'", "regression")),
    (CLASSIFY, labels("a", "b"), {"labels": ["a", "b", "a"]}, ("two labels are called 'a'",)),
    (CLASSIFY, labels(1.0, 0.0), {"labels": ["neg", "pos"]}, ("none of 'neg', 'pos': '0.0', '1.0'",)),
    (CLASSIFY, labels([], []), {}, ("no row has a label",)),
    (CLASSIFY, lambda folder: {"text": ["t"], "x": [1], "y": [0]},
     {"columns": {"label": ["x", "y"]}, "labels": ["x", "z"]}, ("the column 'y' is none of the labels x, z",)),
    (CLASSIFY, csv_file("text,label\ra,1\rb,0\r"), {}, ("a.csv, line 1", "line feed")),
    (CLASSIFY, csv_file("[" * 100_000, "a.json"), {}, ("a.json", "cannot be read")),
    (CLASSIFY, csv_file('{"label": ' + "1" * 5000 + "}", "a.jsonl"), {}, ("a.jsonl, line 1",)),
    (ANSWER, csv_file('{"data": [{"paragraphs": [{"context": "c", "qas": {"id": 1}}]}]}', "a.json"), {}, ("SQuAD",)),
    (TAG, lines({"tokens": ["a", "b"], "tags": ["O"]}), {}, ("line 1, column 'tags'", "1 tags for 2 tokens")),
    (TAG, lines({"tokens": ["a"], "tags": [None]}), {}, ("line 1", "token 1, 'a', has no tag")),
    (TAG, lines({"tokens": [3], "tags": ["O"]}), {}, ("line 1, column 'tokens'", "list of words")),
    (TAG, csv_file("a O\nb x O\n", "a.conll"), {}, ("a.conll, line 2", "3 values, and 2")),
    (ANSWER, lines({**QUESTION, "answers": {"text": ["Bob"], "answer_start": [1]}}), {},
     ("line 1, column 'answers'", "'ob '", "'Bob'", "stands at 0")),
    (ANSWER, lines({**QUESTION, "answers": {"text": ["Al"], "answer_start": [1]}}), {}, ("does not hold it",)),
    (ANSWER, lines({**QUESTION, "answers": {"text": ["Bob"], "answer_start": [None]}}), {}, ("no answer_start",)),
    (ANSWER, lines({**QUESTION, "answers": None}), {}, ("line 1, column 'answers'", "no answers", "empty lists")),
    (CHOOSE, lines(*({**CHOICE, "label": n} for n in (0, 2))), {}, ("line 2, column 'label'", "2 is none of the 2")),
    (CHOOSE, lines({**CHOICE, "label": ""}), {}, ("line 1, column 'label'", "no label")),
    (CHOOSE, lines({**CHOICE, "label": 0}, {"prompt": "p", "choices": ["a"] * 3, "label": 0}), {},
     ("line 2, column 'choices'", "3 choices, and 2")),
    (CHOOSE, lines({"prompt": "p", "choices": "a", "label": 0}), {}, ("line 1", "not a list of choices")),
    (CHOOSE, lines({"choices": {"text": None, "label": None}, "label": 0}), {}, ("line 1", "not a list of choices")),
]  # fmt: skip


@pytest.mark.parametrize(("task", "write", "options", "parts"), CASES, ids=[str(case[3]) for case in CASES])
def test_what_is_wrong_is_said_with_its_place(
    task: str, write: Callable[[Path], Any], options: dict[str, Any], parts: tuple[str, ...], tmp_path: Path
) -> None:
    with pytest.raises(InputError) as error:
        load_data(task, write(tmp_path), **options)
    assert not [part for part in parts if part not in str(error.value)], str(error.value)


def test_files_of_other_columns_are_named(tmp_path: Path) -> None:
    pairs = write_csv(tmp_path / "a.csv", [{"text": "a", "text_pair": "b", "label": 0}])
    texts = write_csv(tmp_path / "b.csv", [{"text": "a", "label": 1}])
    with pytest.raises(InputError, match=r"b.csv lacks text_pair, unlike the files before it"):
        load_data(CLASSIFY, [pairs, texts])


def test_labels_that_training_lacks_are_named(tmp_path: Path) -> None:
    train = write_csv(tmp_path / "train.csv", [{"text": "a", "label": "x"}, {"text": "b", "label": "y"}])
    other = write_csv(tmp_path / "dev.csv", [{"text": "a", "label": "x"}, {"text": "c", "label": "z"}])
    with pytest.raises(InputError, match=r"dev.csv, row 2, column 'label'.*the train set lacks: 'z'.*labels=\["):
        load_data(CLASSIFY, train, other)
    assert load_data(CLASSIFY, train, other, labels=["z", "y", "x"]).validation["label"][:] == [2, 0]


def test_bad_options_are_named() -> None:
    for options in ({"validation_share": 1.0}, {"max_rows": 0}):
        with pytest.raises(InputError, match=next(iter(options))):
            load_data(CLASSIFY, {"text": ["a"], "label": [0]}, **options)
    with pytest.raises(InputError, match="no data was given"):
        load_data(CLASSIFY)


def test_archives_of_several_files_and_tables_of_mixed_values_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.csv", "text,label\n")
        archive.writestr("b.csv", "text,label\n")
    with pytest.raises(InputError, match=r"two.zip holds 2 files; unpack it"):
        load_data(CLASSIFY, tmp_path / "two.zip")
    frame = pandas.DataFrame({"text": ["a", 1], "label": [0, 1]})
    with pytest.raises(InputError, match=r"the data frame: .*column text.*one type"):
        load_data(CLASSIFY, frame)


def test_labels_that_differ_in_case_alone_are_said() -> None:
    data = load_data(CLASSIFY, {"text": ["a", "b", "c"], "label": ["True", "TRUE", "False"]}, validation_share=0)
    assert any("'TRUE', 'True' differ in case alone" in note for note in data.notes)


def test_of_columns_that_differ_in_case_alone_the_well_known_one_is_taken() -> None:
    for text, other in (("text", "Text"), ("Text", "Label2")):
        data = load_data(CLASSIFY, {text: ["a", "b"], other: ["x", "y"], "label": [0, 1]}, validation_share=0)
        assert data.train["text"][:] == ["a", "b"]
