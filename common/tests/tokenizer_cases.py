"""Vocabularies and golden tokenizations: a small set that lies here, and the real ones where they are at hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from distilbert_common.tokenization import DistilBertTokenizer, DistilBertTokenizerFast

DATA = Path(__file__).resolve().parent / "data"
SMALL = DATA / "vocab.txt"
"""353 pieces without capitals."""

_BESIDE = Path(__file__).resolve().parents[3] / "shared"
SHARED: Path | None = _BESIDE if _BESIDE.is_dir() else None
"""Real vocabularies and texts, or None where they are not there."""

CLASSES = (DistilBertTokenizer, DistilBertTokenizerFast)

_SMALL_ONES = {"small": (SMALL, {}), "small_cased": (SMALL, {"do_lower_case": False})}
_REAL_NAMES = {
    "uncased": "bert-base-uncased-vocab.txt",
    "cased": "bert-base-cased-vocab.txt",
    "multilingual": "bert-base-multilingual-cased-vocab.txt",
}
_REAL_ONES = {name: (SHARED / "data" / "vocab" / file, {}) for name, file in _REAL_NAMES.items()} if SHARED else {}

VOCABULARIES: dict[str, tuple[Path, dict[str, Any]]] = {**_SMALL_ONES, **_REAL_ONES}
"""Every vocabulary at hand, with the options of its tokenizer."""


@cache
def tokenizer(cls: type, vocabulary: str = "small", **options: Any) -> Any:
    """Return a tokenizer that tests share; they must not change it."""
    path, usual = VOCABULARIES[vocabulary]
    return cls(path, **{**usual, **options})


@cache
def golden(kind: str) -> list[dict[str, Any]]:
    """Return the golden tokenizations of a kind, "single" or "calls", of every vocabulary at hand."""
    files = [DATA / "tokenization_golden.json", *([SHARED / "golden" / "tokenization.json"] if SHARED else [])]
    return [case for file in files for case in json.loads(file.read_text(encoding="utf-8"))[kind]]


def as_json(value: Any) -> Any:
    """Return a value as it is after a round trip through JSON: tuples are lists."""
    return json.loads(json.dumps(value))


def read_vocab(path: Path) -> dict[str, int]:
    """Return the pieces of a vocab.txt with their ids."""
    return {piece: index for index, piece in enumerate(path.read_text(encoding="utf-8").splitlines())}


def write_files(folder: Path, contents: Mapping[str, Any]) -> None:
    """Write JSON files by name."""
    for name, content in contents.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
