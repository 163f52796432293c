from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from distilbert_common.errors import InputError
from distilbert_tasks.data import load_data
from distilbert_tasks.prediction import read_rows, rows_of_stream, rows_of_texts, write_rows

ROWS = [
    {"text": 'A "card", lost', "score": 0.5, "entities": [{"word": "card", "start": 3}]},
    {"text": "Zürich\nin two lines", "score": 0.25, "entities": []},
]


def test_rows_come_back_from_every_format_that_is_written(tmp_path: Path) -> None:
    for suffix in ("jsonl", "parquet"):
        path = tmp_path / "deep" / f"out.{suffix}"
        assert write_rows(iter(ROWS), path) == 2
        assert list(read_rows(path)) == ROWS
    for suffix in ("csv", "tsv"):  # where lists are JSON, and all is text
        path = tmp_path / f"out.{suffix}"
        write_rows(iter(ROWS), path)
        assert [row["text"] for row in read_rows(path)] == [row["text"] for row in ROWS]
        assert [json.loads(row["entities"]) for row in read_rows(path)] == [row["entities"] for row in ROWS]


def test_no_rows_make_an_empty_file(tmp_path: Path) -> None:
    for suffix in ("jsonl", "csv", "parquet"):
        assert write_rows(iter(()), tmp_path / f"out.{suffix}") == 0
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "out.csv").read_bytes() == b""
    assert pyarrow.parquet.read_table(tmp_path / "out.parquet").num_rows == 0


def test_long_values_and_questions_within_articles_are_read(tmp_path: Path) -> None:
    (tmp_path / "long.csv").write_text(f"text\n{'w' * 200_000}\n")
    assert [len(row["text"]) for row in read_rows(tmp_path / "long.csv")] == [200_000]
    paragraph = {"context": "Bob ran.", "qas": [{"id": "1", "question": "Who?"}, {"id": "2", "question": "What?"}]}
    (tmp_path / "squad.json").write_text(json.dumps({"data": [{"paragraphs": [paragraph]}]}))
    rows = list(read_rows(tmp_path / "squad.json"))
    assert [(row["id"], row["question"], row["context"]) for row in rows] == [
        ("1", "Who?", "Bob ran."),
        ("2", "What?", "Bob ran."),
    ]


def test_an_error_in_the_middle_leaves_what_was_there_before(tmp_path: Path) -> None:
    def rows() -> Any:
        yield from ROWS
        raise InputError("the third")

    for suffix in ("jsonl", "csv", "parquet"):
        path = tmp_path / f"out.{suffix}"
        path.write_bytes(b"before")
        with pytest.raises(InputError, match="the third"):
            write_rows(rows(), path)
        assert path.read_bytes() == b"before"
    assert len(list(tmp_path.iterdir())) == 3


def test_a_text_is_a_row_and_an_object_its_columns(tmp_path: Path) -> None:
    texts = ["I lost it", '{"question": "Who?", "context": "Me."}', "{not JSON}", ""]
    expected = [{"text": texts[0]}, {"question": "Who?", "context": "Me."}, {"text": texts[2]}, {"text": ""}]
    assert list(rows_of_texts(texts)) == expected
    (tmp_path / "texts.txt.gz").write_bytes(gzip.compress("\r\n".join(texts).encode()))
    assert list(read_rows(tmp_path / "texts.txt.gz")) == expected[:3]  # the last line is empty, and no line
    assert list(rows_of_stream(io.StringIO("\n".join(texts) + "\n"), "text", "standard input")) == expected


BAD: dict[str, tuple[str, bytes, str]] = {
    "format": ("x.xls", b"", "x.xls ends in .xls; name its format, one of text, jsonl, json, csv, tsv, parquet"),
    "line": ("x.jsonl", b'{"a": 1}\n{"a": \n', "x.jsonl, line 2 is not JSON"),
    "list": ("x.jsonl", b"[1]\n", "x.jsonl, line 1 holds a list; expected an object"),
    "json": ("x.json", b'{"a": 1}', "x.json holds an object; expected a list of objects"),
    "many": ("x.csv", b"a,b\n1,2,3\n", "x.csv, line 2: too many values for 2 columns"),
    "few": ("x.tsv", b"a\tb\n1\n", "x.tsv, line 2: too few values for 2 columns"),
    "utf8": ("x.txt", b"Z\xfcrich\n", "x.txt is not UTF-8 text"),
    "parquet": ("x.parquet", b"PAR1", "x.parquet cannot be read as parquet"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_read_is_named_with_its_place(tmp_path: Path, name: str) -> None:
    filename, data, message = BAD[name]
    (tmp_path / filename).write_bytes(data)
    with pytest.raises(InputError) as caught:
        list(read_rows(tmp_path / filename))
    assert message in str(caught.value)


def test_what_is_no_file_is_said(tmp_path: Path) -> None:
    for place, file_format, message in (("x.csv", None, "is not there"), (".", None, "folder"), (".", "csv", "folder")):
        with pytest.raises(InputError, match=message):
            list(read_rows(tmp_path / place, file_format))


def test_rows_of_other_columns_need_another_format(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"a": 1}, {"a": 1, "b": 2}]
    for name in ("x.csv", "x.parquet"):
        with pytest.raises(InputError, match=r"write \.jsonl"):
            write_rows(rows, tmp_path / name)
    with pytest.raises(InputError, match=r"x\.doc ends in \.doc; expected one of jsonl, csv"):
        write_rows(rows, tmp_path / "x.doc")


def test_files_are_read_as_those_that_a_model_is_trained_on(tmp_path: Path) -> None:
    texts = {
        "semicolons.csv": "text; label\na, b;1\n",
        "quotes.tsv": 'text\tlabel\n"Wow\t1\nso good" , he said\t0\n',
        "spaces.csv": "text, label\na,1\n",
        "other.tab": "text\tlabel\na\t1\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        rows = [row["text"] for row in read_rows(tmp_path / name)]
        assert (
            rows
            == load_data("text-classification", tmp_path / name, labeled=False, validation_share=0).train["text"][:]
        )
    with pytest.raises(InputError, match=r"two columns called 'text'"):
        list(rows_of_stream(io.StringIO("text,text\na,b\n"), "csv", "standard input"))
