from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from data_cases import BANKING, tokenizer, write_lines
from pyarrow import parquet

from distilbert_common.errors import InputError, OutputExistsError
from distilbert_tasks.batches import BatchOptions, training_batches
from distilbert_tasks.corpus import Corpus, CorpusOptions, build_corpus
from distilbert_tasks.data.readers import read_file
from distilbert_tasks.training.progress import Note, Tokenization

TOKENIZER = tokenizer()


def questions() -> list[str]:
    """Return the questions of the demo's data."""
    lines = BANKING.read_text(encoding="utf-8").splitlines()[1:]
    return [line.rsplit(",", 1)[0].strip('"') for line in lines]


def write_text(path: Path, texts: list[str]) -> Path:
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return path


def build(sources: Any, folder: Path, **options: Any) -> Corpus:
    return build_corpus(sources, TOKENIZER, folder, CorpusOptions(**options))


def sequences(corpus: Corpus) -> list[list[int]]:
    return [corpus[index].tolist() for index in range(len(corpus))]


def by_the_papers_code(
    texts: list[str], max_length: int, min_length: int = 12, max_unknown: float = 0.5
) -> list[list[int]]:
    """Return the token lists of the training code of the paper, written anew, one text at a time."""
    cls, sep, unknown = TOKENIZER.cls_token_id, TOKENIZER.sep_token_id, TOKENIZER.unk_token_id
    out = []
    for text in texts:
        ids = TOKENIZER.encode(f"[CLS] {text.strip()} [SEP]", add_special_tokens=False, verbose=False)
        pieces = [ids]
        if len(ids) > max_length:
            pieces = [ids[start : start + max_length - 2] for start in range(0, len(ids), max_length - 2)]
            pieces = [piece if piece[0] == cls else [cls, *piece] for piece in pieces]
            pieces = [piece if piece[-1] == sep else [*piece, sep] for piece in pieces]
        pieces = [piece for piece in pieces if len(piece) >= min_length]
        out += [piece for piece in pieces if piece.count(unknown) / len(piece) < max_unknown]
    return out


@pytest.mark.parametrize("max_length", [16, 17, 25, 512])
def test_sequences_are_those_of_the_papers_code(tmp_path: Path, max_length: int) -> None:
    texts = ["  white space around  ", "", *questions()[:150], "\u2603 " * 40, " ".join(questions()[150:180])]
    corpus = build(write_text(tmp_path / "texts.txt", texts), tmp_path / "corpus", max_length=max_length)
    assert sequences(corpus) == by_the_papers_code(texts, max_length)
    statistics = corpus.statistics
    assert statistics.documents == 154
    assert (statistics.sequences, statistics.tokens) == (len(corpus), len(corpus.input_ids.values))
    assert statistics.short == len(by_the_papers_code(texts, max_length, 0, 2)) - len(
        by_the_papers_code(texts, max_length, 12, 2)
    )
    assert statistics.unknown == len(by_the_papers_code(texts, max_length, 12, 2)) - len(corpus) > 0


def test_counts_are_those_of_all_tokens(tmp_path: Path) -> None:
    corpus = build(write_text(tmp_path / "texts.txt", questions()), tmp_path / "corpus", shard_tokens=2000)
    counts = Counter(token for one in sequences(corpus) for token in one)
    assert len(list((tmp_path / "corpus").glob("*.json"))) > 5
    assert {token: count for token, count in enumerate(corpus.counts.tolist()) if count} == counts
    assert corpus.statistics.tokens == sum(counts.values()) == len(corpus.input_ids.values)


def test_any_format_gives_the_same_corpus(tmp_path: Path) -> None:
    texts = questions()[:100]
    rows = [{"id": number, "text": text} for number, text in enumerate(texts)]
    write_text(tmp_path / "plain.txt", texts)
    (tmp_path / "plain.txt.gz").write_bytes(gzip.compress((tmp_path / "plain.txt").read_bytes()))
    write_lines(tmp_path / "lines.jsonl", rows)
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "table.parquet")
    halves = tmp_path / "halves"
    halves.mkdir()
    write_text(halves / "a.txt", texts[:50])
    write_lines(halves / "b.jsonl", rows[50:])
    expected = by_the_papers_code(texts, 512)
    sources: list[Any] = [
        *(tmp_path / name for name in ("plain.txt", "plain.txt.gz", "lines.jsonl", "table.parquet", "halves")),
        str(halves / "*"),
        [halves / "a.txt", halves / "b.jsonl"],
        {"text": texts},
        rows,
    ]
    corpora = [build(source, tmp_path / f"corpus-{number}") for number, source in enumerate(sources)]
    assert [sequences(corpus) for corpus in corpora] == [expected] * len(sources)
    assert len({corpus.fingerprint for corpus in corpora}) == 1


def test_of_a_folder_the_training_set_is_read_or_all_of_it(tmp_path: Path) -> None:
    texts = questions()[:60]
    folder, events = tmp_path / "folder", list[Any]()
    folder.mkdir()
    write_text(folder / "a-test-of-time.txt", texts[:20])
    write_text(folder / "other.txt", texts[20:40])
    assert sequences(build(folder, tmp_path / "all")) == by_the_papers_code(texts[:40], 512)
    write_text(folder / "train.txt", texts[40:])
    corpus = build_corpus(folder, TOKENIZER, tmp_path / "train", on_progress=events.append)
    assert sequences(corpus) == by_the_papers_code(texts[40:], 512)
    notes = [event.text for event in events if isinstance(event, Note)]
    assert notes[0] == "Of folder, other.txt is left out: the name says no split."
    assert notes[1] == f"Of {folder}, test is left out."


def test_long_documents_are_read_a_few_at_a_time(tmp_path: Path) -> None:
    """Each format would else hold 10,000 books at once."""
    texts = [f"{text} {' ' * 400_000}." for text in questions()[:60]]
    rows = [{"text": text} for text in texts]
    write_text(tmp_path / "plain.txt", texts)
    write_lines(tmp_path / "lines.jsonl", rows)
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "table.parquet")
    for name in ("plain.txt", "lines.jsonl", "table.parquet"):
        sizes = [len(records) for records in read_file(tmp_path / name, "fill-mask")]
        assert sum(sizes) == 60
        assert max(sizes) <= 42


def test_paragraphs_and_files_can_be_texts(tmp_path: Path) -> None:
    lines = ["My card has not", "arrived yet, what should I do about it now?", "", "   ", "Why was I charged", "twice"]
    path = write_text(tmp_path / "book.txt", lines)
    by_paragraph = build(path, tmp_path / "1", sample_by="paragraph", min_length=0)
    by_document = build(path, tmp_path / "2", sample_by="document", min_length=0)
    assert sequences(by_paragraph) == by_the_papers_code([" ".join(lines[:2]), " ".join(lines[4:])], 512, 0)
    assert sequences(by_document) == by_the_papers_code([" ".join(lines)], 512, 0)


def test_duplicates_are_left_out_where_asked_for(tmp_path: Path) -> None:
    texts = [*questions()[:60], " " + questions()[3], questions()[2]] * 2
    path = write_text(tmp_path / "texts.txt", texts)
    assert len(build(path, tmp_path / "all")) == len(by_the_papers_code(texts, 512))
    corpus = build(path, tmp_path / "unique", deduplicate=True)
    assert sequences(corpus) == by_the_papers_code(texts[:60], 512)
    assert corpus.statistics.duplicates == 64


def test_a_text_of_ten_megabytes_on_one_line(tmp_path: Path) -> None:
    wide = (" " * 2000).join(questions()[:50])
    copies = 10_000_000 // len(wide) + 1
    corpus = build({"text": [" ".join([wide] * copies)]}, tmp_path / "corpus", max_length=64)
    ids = TOKENIZER.encode(wide, add_special_tokens=False, verbose=False)
    inner = corpus.input_ids.values
    inner = inner[~np.isin(inner, [TOKENIZER.cls_token_id, TOKENIZER.sep_token_id])]
    assert inner.tolist() == (ids * copies)[: len(inner)]
    assert len(ids) * copies - len(inner) < 12


BAD = {
    "byte.txt": (b"a good line\nbad \xff byte\n", "byte.txt, line 2: byte 0xff is not UTF-8"),
    "null.jsonl": (b'{"text": "fine"}\n{"text": null}\n', "null.jsonl, line 2, column 'text': there is no text"),
    "number.jsonl": (b'{"text": "fine"}\n{"text": 3}\n', "number.jsonl, line 2, column 'text': 3 is not text"),
    "long.jsonl": (b'{"text": ["' + b"word " * 1000 + b'"]}', "long.jsonl, line 1, column 'text': ['word word"),
    "column.jsonl": (b'{"id": 1}\n', "column.jsonl: no column is known to be the text"),
    "empty.txt": (b"", "Texts: 0; sequences: 0; tokens: 0; left out: nothing."),
    "short.txt": (b"too short\n", "left out: 1 too short."),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_texts_are_told_with_file_and_row(tmp_path: Path, name: str) -> None:
    content, message = BAD[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as error:
        build(tmp_path / name, tmp_path / "corpus")
    assert message in str(error.value)
    assert len(str(error.value)) < 500


def test_a_column_that_is_named_is_taken(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "two.jsonl", [{"text": "no", "story": text} for text in questions()[:40]])
    corpus = build(path, tmp_path / "corpus", text_column="story")
    assert sequences(corpus) == by_the_papers_code(questions()[:40], 512)
    with pytest.raises(InputError, match="there is no column 'tale'"):
        build(path, tmp_path / "other", text_column="tale")


def test_a_finished_corpus_is_opened_and_nothing_is_read(tmp_path: Path) -> None:
    path, folder = write_text(tmp_path / "texts.txt", questions()[:50]), tmp_path / "corpus"
    events: list[Any] = []
    first = build_corpus(path, TOKENIZER, folder, on_progress=events.append)
    steps = [event for event in events if isinstance(event, Tokenization)]
    notes = [event.text for event in events if isinstance(event, Note)]
    assert steps[-1].tokens == first.statistics.tokens
    assert notes[-1].startswith("Texts: 50; sequences: ")
    events.clear()
    again = build_corpus(path, TOKENIZER, folder, on_progress=events.append)
    assert not events
    assert again.fingerprint == first.fingerprint == Corpus.open(folder).fingerprint


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    path, folder = write_text(tmp_path / "texts.txt", questions()[:50]), tmp_path / "corpus"
    with pytest.raises(OutputExistsError, match="holds no corpus"):
        build(path, tmp_path)
    with pytest.raises(InputError, match="holds no corpus; build it first"):
        Corpus.open(tmp_path)
    first = build(path, folder)
    with pytest.raises(InputError, match="min_length was 12 and is 5"):
        build(path, folder, min_length=5)
    write_text(path, questions()[:150])
    with pytest.raises(InputError, match="the texts are not those"):
        build(path, folder)
    second = build_corpus(path, TOKENIZER, folder, overwrite=True)
    assert second.statistics.documents == 150
    assert second.fingerprint != first.fingerprint


def test_sequences_of_several_shards_are_those_of_one(tmp_path: Path) -> None:
    path = write_text(tmp_path / "texts.txt", questions() * 2)
    one, many = build(path, tmp_path / "one"), build(path, tmp_path / "many", shard_tokens=15_000)
    assert many.description.shards is not None
    assert many.description.shards > 3
    assert sequences(one) == sequences(many)
    values = many.input_ids.values
    assert np.array_equal(values[10_000:50_000], one.input_ids.values[10_000:50_000])
    assert np.array_equal(np.asarray(values), one.input_ids.values)
    options = BatchOptions(tokens_per_batch=2000)
    for ours, theirs in zip(*(training_batches(c.features, options, stop_step=3) for c in (one, many)), strict=True):
        assert np.array_equal(ours[0].inputs["input_ids"], theirs[0].inputs["input_ids"])
