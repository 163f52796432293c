from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pytest
from data_cases import REVIEWS, write_csv, write_lines
from pyarrow import feather, parquet

from distilbert_tasks.data import load_data
from distilbert_tasks.data.storage import TableWriter

TEXTS = [row["text"] for row in REVIEWS]


def as_table() -> Any:
    return pa.Table.from_pylist([dict(row) for row in REVIEWS])


def write_json(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def write_arrow(path: Path, new: Callable[..., Any]) -> Path:
    with new(str(path), as_table().schema) as writer:
        writer.write_table(as_table())
    return path


def compress(path: Path, suffix: str, compress_bytes: Callable[[bytes], bytes]) -> Path:
    compressed = path.with_name(path.name + suffix)
    compressed.write_bytes(compress_bytes(path.read_bytes()))
    path.unlink()
    return compressed


def save_parquet(path: Path) -> Path:
    parquet.write_table(as_table(), path)
    return path


def zstd(data: bytes) -> bytes:
    return pa.compress(data, "zstd", asbytes=True)


def zipped(name: str) -> Callable[[bytes], bytes]:
    """Return what packs bytes as the only file of a .zip, beside what macOS adds."""

    def pack(data: bytes) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr(name, data)
            archive.writestr(f"__MACOSX/._{name}", b"")
        return buffer.getvalue()

    return pack


def zip_files(path: Path, name: str, source: Path) -> Path:
    path.write_bytes(zipped(name)(source.read_bytes()))
    source.unlink()
    return path


def write_feather(path: Path) -> Path:
    feather.write_feather(as_table(), str(path))
    return path


COLUMNS = {name: [row[name] for row in REVIEWS] for name in ("text", "label")}


class Stream:
    """What is needed of an `IterableDataset`, whose own code imports every framework there is."""

    features = None

    def iter(self, batch_size: int) -> Iterator[dict[str, list[str]]]:
        for start in (0, 2):
            yield {name: values[start : start + 2] for name, values in COLUMNS.items()}


SOURCES: dict[str, Callable[[Path], Any]] = {
    "csv": lambda folder: write_csv(folder / "a.csv", REVIEWS),
    "semicolons": lambda folder: write_csv(folder / "a.csv", REVIEWS, ";"),
    "quoted tsv": lambda folder: write_csv(folder / "a.tsv", REVIEWS, "\t"),
    "jsonl": lambda folder: write_lines(folder / "a.jsonl", REVIEWS),
    "lines in .json": lambda folder: write_lines(folder / "a.json", REVIEWS),
    "list of objects": lambda folder: write_json(folder / "a.json", REVIEWS),
    "data": lambda folder: write_json(folder / "a.json", {"version": 1, "data": REVIEWS}),
    "object of columns": lambda folder: write_json(folder / "a.json", COLUMNS),
    "parquet": lambda folder: save_parquet(folder / "a.parquet"),
    "arrow stream": lambda folder: write_arrow(folder / "a.arrow", pa.ipc.new_stream),
    "arrow file": lambda folder: write_arrow(folder / "a.arrow", pa.ipc.new_file),
    "gz": lambda folder: compress(write_csv(folder / "a.csv", REVIEWS), ".gz", gzip.compress),
    "bz2": lambda folder: compress(write_csv(folder / "a.tsv", REVIEWS, "\t"), ".bz2", bz2.compress),
    "xz": lambda folder: compress(write_lines(folder / "a.jsonl", REVIEWS), ".xz", lzma.compress),
    "zip": lambda folder: compress(write_csv(folder / "a.csv", REVIEWS), ".zip", zipped("b.csv")),
    "zip of any name": lambda folder: zip_files(folder / "b.zip", "a.jsonl", write_lines(folder / "a", REVIEWS)),
    "feather": lambda folder: write_feather(folder / "a.feather"),
    "zst": lambda folder: compress(write_lines(folder / "a.jsonl", REVIEWS), ".zst", zstd),
    "several files": lambda folder: [
        write_csv(folder / "b.csv", REVIEWS[:1]), write_lines(folder / "a.jsonl", REVIEWS[1:])
    ],
    "pattern": lambda folder: [write_csv(folder / f"{i}.csv", [row]) for i, row in enumerate(REVIEWS)]
    and str(folder / "*.csv"),
    "folder": lambda folder: [write_csv(folder / f"{i}.csv", [row]) for i, row in enumerate(REVIEWS)] and folder,
    "data frame": lambda folder: as_table().to_pandas(),
    "table": lambda folder: as_table(),
    "names with spaces": lambda folder: write_csv(
        folder / "a.csv", [{" text": row["text"], "label ": f" {row['label']} "} for row in REVIEWS]
    ),
    "dataset": lambda folder: datasets.Dataset.from_dict(COLUMNS),
    "stream": lambda folder: Stream(),
    "columns": lambda folder: COLUMNS,
    "rows": lambda folder: REVIEWS,
}  # fmt: skip


@pytest.mark.parametrize("name", SOURCES)
def test_every_format_gives_the_same_rows(name: str, tmp_path: Path) -> None:
    data = load_data("text-classification", SOURCES[name](tmp_path), validation_share=0)
    assert data.train["text"][:] == TEXTS
    assert (data.labels, data.train["label"][:]) == (("bad", "good"), [1, 0, 1, 1])


def test_quotes_in_tsv_are_characters_unless_they_enclose_values(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text('sentence\tlabel\n"Wow\t1\nso good" , he said\t0\n', encoding="utf-8")
    data = load_data("text-classification", path, validation_share=0)
    assert data.train["text"][:] == ['"Wow', 'so good" , he said']


def test_line_breaks_within_quotes_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('\ufefftext,label\r\n"two\nlines",1\r\nb,0\r\n', encoding="utf-8", newline="")
    assert load_data("text-classification", path, validation_share=0).train["text"][:] == ["two\nlines", "b"]


def test_files_without_names_of_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("fine,1\nbad,0\n", encoding="utf-8")
    data = load_data("text-classification", path, column_names=("text", "label"), validation_share=0)
    assert data.train["text"][:] == ["fine", "bad"]


def test_conll(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text(
        "-DOCSTART- -X- -X- O\n\n# id 1 domain=en\nBob NNP B-NP B-PER\nran VBD B-VP O\n\t\nHi UH B-INTJ O",
        encoding="utf-8",
    )
    data = load_data("ner", path, validation_share=0)
    assert data.train["tokens"][:] == [["Bob", "ran"], ["Hi"]]
    assert (data.labels, data.train["tags"][:]) == (("B-PER", "O"), [[0, 1], [1]])
    chunks = load_data("ner", path, columns={"tags": "2"}, validation_share=0)
    assert chunks.labels == ("B-INTJ", "B-NP", "B-VP")


def test_universal_dependencies(tmp_path: Path) -> None:
    lines = ["# newdoc", "# sent_id = 1", "1-2\tdu\t_\t_\t_\t_\t_\t_\t_\t_", "1\tde\tde\tADP\tP\t_\t0\troot\t_\t_",
             "2\tle\tle\tDET\tD\t_\t1\tdet\t_\t_", "2.1\tx\tx\tX\tX\t_\t_\t_\t_\t_", "",
             "1\tNew York\t_\tPROPN\tN\t_\t0\troot\t_\t_"]  # fmt: skip
    (tmp_path / "a.conllu").write_text("\n".join(lines), encoding="utf-8")
    data = load_data("token-classification", tmp_path / "a.conllu", validation_share=0)
    assert data.train["tokens"][:] == [["de", "le"], ["New York"]]
    assert (data.labels, data.train["tags"][:]) == (("ADP", "DET", "PROPN"), [[0, 1], [2]])
    by_name = load_data("token-classification", tmp_path / "a.conllu", columns={"tags": "xpos"}, validation_share=0)
    assert by_name.labels == ("D", "N", "P")


def test_a_no_break_space_in_conll_parts_no_words(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text("10\N{NO-BREAK SPACE}000 B\neuros  O \n", encoding="utf-8")
    data = load_data("ner", tmp_path / "a.conll", validation_share=0)
    assert (data.train["tokens"][:], data.train["tags"][:]) == ([["10\N{NO-BREAK SPACE}000", "euros"]], [[0, 1]])


def test_words_and_tags_in_csv_are_lists_or_text(tmp_path: Path) -> None:
    rows = [
        {"words": "['Bob', 'ran']", "tags": "['B', 'O']"},
        {"words": "Hi there", "tags": "O O"},
        {"words": "['Bob\\'s' \"'\"\n 'a  b']", "tags": "['B' 'O'\n 'O']"},  # as pandas writes arrays of NumPy
        {"words": "{[1]: [", "tags": "O O"},
    ]
    data = load_data("ner", write_csv(tmp_path / "a.csv", rows), validation_share=0)
    assert data.train["tokens"][:] == [["Bob", "ran"], ["Hi", "there"], ["Bob's", "'", "a  b"], ["{[1]:", "["]]
    assert data.train["tags"][:] == [[0, 1], [1, 1], [0, 1, 1], [1, 1]]


SQUAD = {
    "version": "v2.0",
    "data": [
        {
            "title": "A",
            "paragraphs": [
                {
                    "context": "Bob ran.",
                    "qas": [
                        {"id": "1", "question": "Who?", "answers": [{"text": "Bob", "answer_start": 0}] * 2},
                        {"id": "2", "question": "Why?", "answers": [], "is_impossible": True},
                    ],
                }
            ],
        }
    ],
}


def test_squad(tmp_path: Path) -> None:
    data = load_data("qa", write_json(tmp_path / "a.json", SQUAD), validation_share=0)
    assert data.train["id"][:] == ["1", "2"]
    assert data.train["answers"][:] == [
        {"text": ["Bob", "Bob"], "answer_start": [0, 0]},
        {"text": [], "answer_start": []},
    ]


def test_answers_in_columns_of_their_own(tmp_path: Path) -> None:
    rows = [
        {"question": "Who?", "context": "Bob ran.", "answer_text": "Bob", "answer_start": 0},
        {"question": "Why?", "context": "Bob ran.", "answer_text": "", "answer_start": ""},
        {"question": "What?", "context": "Bob ran.", "answer_text": "ran", "answer_start": "4.0"},
    ]
    data = load_data("qa", write_csv(tmp_path / "a.csv", rows), validation_share=0)
    assert [answer["text"] for answer in data.train["answers"]] == [["Bob"], [], ["ran"]]


def test_large_columns_go_to_a_file_and_stay_readable() -> None:
    writer = TableWriter(memory_bytes=100)
    for start in range(0, 60, 20):
        writer.add({"text": [f"number {i}" for i in range(start, start + 20)]})
    table = writer.table()
    assert table["text"].to_pylist() == [f"number {i}" for i in range(60)]
    assert writer.is_on_disk
