from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import datasets
import pytest
from data_cases import BANKING, SHARED, write_csv

from distilbert_common.errors import HubError
from distilbert_tasks.data import load_data

CLASSIFY = "text-classification"


def test_a_validation_set_is_drawn_in_proportion_and_said() -> None:
    data = load_data(CLASSIFY, BANKING)
    assert (len(data.train), len(data.validation)) == (2772, 308)
    assert set(Counter(data.validation["label"]).values()) == {4}  # 40 of each of the 77 labels
    assert sorted([*data.train["text"], *data.validation["text"]]) == sorted(
        load_data(CLASSIFY, test=BANKING).test["text"]
    )
    assert any("308 of the 3080 rows" in note and "seed 0" in note for note in data.notes)


def test_one_row_at_least_is_drawn() -> None:
    data = load_data(CLASSIFY, {"text": ["a", "b", "c"], "label": [0, 1, 0]})
    assert (len(data.train), len(data.validation)) == (2, 1)


def test_one_row_at_least_is_left_to_train() -> None:
    data = load_data(CLASSIFY, {"text": ["a", "b"], "label": [0, 1]}, validation_share=0.9)
    assert (len(data.train), len(data.validation)) == (1, 1)


def test_what_is_drawn_depends_on_the_seed_alone() -> None:
    first, again, other = (load_data(CLASSIFY, BANKING, seed=seed).validation["text"][:] for seed in (1, 1, 2))
    assert first == again != other


def test_no_validation_set_where_none_is_wished_or_possible() -> None:
    rows = {"text": ["a"], "label": ["x"]}
    assert load_data("fill-mask", rows, validation_share=0).validation is None
    alone = load_data("fill-mask", rows)
    assert alone.validation is None
    assert "too small" in alone.notes[-1]


def test_questions_about_one_context_stay_together() -> None:
    contexts = [f"context {number // 5}" for number in range(100)]
    none: list[Any] = [{"text": [], "answer_start": []}] * 100
    data = load_data("qa", {"question": ["?"] * 100, "context": contexts, "answers": none})
    assert not set(data.train["context"]) & set(data.validation["context"])
    assert len(data.validation) == 10


def test_a_folder_gives_the_splits_that_its_files_name(tmp_path: Path) -> None:
    for name, label in (("train-00000.csv", "a"), ("train-00001.csv", "b"), ("dev.csv", "a"), ("my_test.csv", "b")):
        write_csv(tmp_path / name, [{"text": name, "label": label}])
    (tmp_path / "names.json").write_text("[]")
    data = load_data(CLASSIFY, tmp_path)
    assert data.train["text"][:] == ["train-00000.csv", "train-00001.csv"]
    assert (data.validation["text"][:], data.test["text"][:]) == (["dev.csv"], ["my_test.csv"])
    assert any("names.json" in note for note in data.notes)
    assert load_data(CLASSIFY, test=tmp_path).test["text"][:] == ["my_test.csv"]


def test_a_saved_data_set_is_read(tmp_path: Path) -> None:
    parts = {name: datasets.Dataset.from_dict({"text": [name]}) for name in ("train", "validation")}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "saved")
    data = load_data("fill-mask", tmp_path / "saved")
    assert (data.train["text"][:], data.validation["text"][:]) == (["train"], ["validation"])


def test_the_first_rows_alone() -> None:
    data = load_data(CLASSIFY, BANKING, max_rows=50, validation_share=0)
    assert len(data.train) == 50
    assert any("first 50 rows" in note for note in data.notes)


def test_empty_texts_are_kept_and_counted() -> None:
    data = load_data(CLASSIFY, {"text": ["", "a", " "], "label": [0, 1, 1]}, validation_share=0)
    assert len(data.train) == 3
    assert "2 of the 3 texts of train are empty." in data.notes


def hub(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Put a data set of the hub in place whose test set has no labels, as those of GLUE; return the calls."""
    calls = []
    kinds = datasets.ClassLabel(names=["neg", "pos"])
    features = datasets.Features({"sentence": datasets.Value("string"), "label": kinds})

    def load_dataset(*arguments: Any, **options: Any) -> Any:
        calls.append((*arguments, options))
        rows = {"train": [1, 0], "test": [-1, -1], "validation": [0]}
        return {
            name: datasets.Dataset.from_dict({"sentence": ["a"] * len(labels), "label": labels}, features)
            for name, labels in rows.items()
        }

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return calls


def test_a_data_set_of_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = hub(monkeypatch)
    data = load_data(CLASSIFY, "glue:sst2", streaming=True)
    assert calls == [("glue", "sst2", {"streaming": True})]
    assert (data.labels, data.train["label"][:], data.validation["label"][:]) == (("neg", "pos"), [1, 0], [0])
    assert data.test is None
    assert "glue:sst2:test is left out: it has no labels." in data.notes


def test_a_split_of_the_hub_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    hub(monkeypatch)
    assert load_data(CLASSIFY, test="org/name::validation", labels=["neg", "pos"]).test["label"][:] == [0]


def test_a_hub_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_dataset(*arguments: Any, **options: Any) -> Any:
        raise ConnectionError("no route")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(HubError, match=r"org/name is neither a file here nor .* no route"):
        load_data(CLASSIFY, "org/name")


REAL = [
    (CLASSIFY, SHARED / "sst2" / "dev.tsv", 872, ("0", "1")),
    ("ner", SHARED / "wnut17" / "wnut17train.conll", 3394, None),
    ("qa", SHARED / "xquad" / "xquad.ar.json", 1190, None),
    ("mlm", SHARED / "wikitext2" / "valid.tokens.txt", 3760, None),
]


@pytest.mark.parametrize(
    ("task", "path", "rows", "labels"),
    [(CLASSIFY, BANKING, 3080, None), *(case for case in REAL if case[1].exists())],
    ids=lambda value: value.name if isinstance(value, Path) else "",
)
def test_real_data_sets(task: str, path: Path, rows: int, labels: tuple[str, ...] | None) -> None:
    data = load_data(task, path)
    assert len(data.train) + len(data.validation) == rows
    blank = sum(not text.strip() for text in data.train["text"][:]) if task == "mlm" else 0
    # whole contexts, of unequal numbers of questions
    assert abs(len(data.validation) / (rows - blank) - 0.1) < 0.02
    assert labels is None or data.labels == labels
    if task == "ner":
        assert len(data.labels) == 13
        assert [len(tokens) for tokens in data.train["tokens"]] == [len(tags) for tags in data.train["tags"]]


def test_blank_texts_do_not_validate(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\n\n".join("abcd") + "\n \n")
    for seed in range(5):
        data = load_data("fill-mask", tmp_path / "a.txt", seed=seed, validation_share=0.5)
        assert len(data.validation["text"]) == 2
        assert all(data.validation["text"][:])
        assert sorted([*data.validation["text"], *data.train["text"]]) == sorted(["a", "", "b", "", "c", "", "d", " "])
