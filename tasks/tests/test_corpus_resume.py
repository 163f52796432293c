"""A corpus whose build is stopped at any moment goes on from its last shard, and becomes what it would have been."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_cases import BANKING, ROOT
from forks import content, killed_at_any_moment, together

from distilbert_common import DistilBertTokenizer
from distilbert_common.errors import InputError, UnreadableFileError
from distilbert_tasks.corpus import Corpus, CorpusOptions, build_corpus
from distilbert_tasks.corpus import build as building

TOKENIZER = DistilBertTokenizer.from_pretrained(ROOT / "demo" / "model")  # in plain Python, which a fork does not hurt
OPTIONS = CorpusOptions(shard_tokens=250, deduplicate=True, min_length=8)


@pytest.fixture
def texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # what a loss of power leaves is not tested
    lines = BANKING.read_text(encoding="utf-8").splitlines()[1:60]
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(lines + lines[:20]), encoding="utf-8")
    return path


def make(texts: Path, folder: Path, tell: Callable[..., None] = lambda event: None) -> Corpus:
    return build_corpus(texts, TOKENIZER, folder, OPTIONS, tell)


def test_a_build_that_is_killed_at_any_moment_goes_on_as_if_it_had_not_been(texts: Path, tmp_path: Path) -> None:
    expected = make(texts, tmp_path / "expected")
    assert (expected.description.shards or 0) > 3
    assert expected.statistics.duplicates == 20
    shards, count = set(), 0
    for moment, folder in killed_at_any_moment(tmp_path / "killed", lambda *where: make(texts, *where), every=3):
        shards.add(len(list(folder.glob("shard-*.json"))))
        assert make(texts, folder).fingerprint == expected.fingerprint, f"killed at moment {moment}"
        assert content(folder) == content(tmp_path / "expected"), f"killed at moment {moment}"
        count += 1
    assert count > 30
    assert shards == set(range((expected.description.shards or 0) + 1))


@pytest.mark.parametrize("failing", range(1, 9, 2))
def test_a_full_disk_leaves_the_shards_before(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    expected = make(texts, tmp_path / "expected")
    saved, tokenized = [0], []

    def save(file: Any, array: Any) -> None:
        saved[0] += 1
        if saved[0] == failing:
            file.write(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        np.lib.format.write_array(file, np.asarray(array))

    monkeypatch.setattr(np, "save", save)
    folder = tmp_path / "full"
    with pytest.raises(OSError, match="No space"):
        make(texts, folder)
    assert not list(folder.glob(".*"))
    shards = (failing - 1) // 2
    assert len(list(folder.glob("shard-*.json"))) == shards
    make_sequences = building.make_sequences
    monkeypatch.setattr(
        building, "make_sequences", lambda t, *others: (tokenized.extend(t), make_sequences(t, *others))[1]
    )
    assert make(texts, folder).fingerprint == expected.fingerprint
    assert content(folder) == content(tmp_path / "expected")
    done = sum(one.statistics.documents for one in building.read_shards(folder)[:shards])
    assert (
        tokenized == texts.read_text(encoding="utf-8").splitlines()[done:59]
    )  # no text of these shards, and none twice


def test_texts_that_have_changed_since_are_told(texts: Path, tmp_path: Path) -> None:
    lines = texts.read_text(encoding="utf-8").splitlines()
    make(texts, tmp_path / "corpus")
    changes = {
        "another": ["Another text in the place of the first one", *lines[1:]],
        "fewer": lines[:40],
        "more": [*lines, "One text more than there were"],
        "moved": lines[::-1],
    }
    for name, changed in changes.items():
        (tmp_path / name).mkdir()
        path = tmp_path / name / "texts.txt"
        path.write_text("\n".join(changed), encoding="utf-8")
        with pytest.raises(InputError, match="the texts are not those"):
            make(path, tmp_path / "corpus")
    texts.touch()  # the same texts with another time
    assert make(texts, tmp_path / "corpus").fingerprint == make(texts, tmp_path / "again").fingerprint


def test_a_shard_that_is_damaged_is_told(texts: Path, tmp_path: Path) -> None:
    make(texts, tmp_path / "corpus")
    path = tmp_path / "corpus" / "shard-00001.tokens.npy"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(UnreadableFileError, match=r"shard-00001.*build it anew"):
        len(Corpus.open(tmp_path / "corpus"))


def test_of_several_processes_one_builds(texts: Path, tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    written = tmp_path / "written"

    def work() -> int:
        def tell(event: Any) -> None:
            with written.open("a") as file:
                file.write(f"{os.getpid()}\n")

        return len(make(texts, folder, tell)) % 2**8

    statuses = together(work, work, work)
    assert set(statuses) == {len(Corpus.open(folder)) % 2**8}
    assert len(set(written.read_text().split())) == 1
