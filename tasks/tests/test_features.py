from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_cases import BANKING, SHARED, tiny_config, tokenizer

from distilbert_common.constants import IGNORE_INDEX
from distilbert_common.errors import InputError
from distilbert_tasks.data import load_data
from distilbert_tasks.features import FeatureOptions, Features, Ragged, make_features

TOKENIZER = tokenizer()
CLS, SEP, MASK = (TOKENIZER.convert_tokens_to_ids(token) for token in ("[CLS]", "[SEP]", "[MASK]"))


def features(task: str, columns: dict[str, Any], **options: Any) -> Features:
    return make_features(task, columns, TOKENIZER, tiny_config(), FeatureOptions(**options))


def text(ids: Any) -> str:
    return str(TOKENIZER.decode(ids))


def test_a_pair_is_cut_where_it_is_longer() -> None:
    columns = {"text": ["card " * 30], "text_pair": ["my top up"], "label": [1]}
    made = features("text-classification", columns, max_length=12)
    assert made.input_ids[0].tolist() == TOKENIZER("card " * 6, "my top up")["input_ids"]
    first = features("text-classification", columns, max_length=12, truncation="only_first")
    assert first.input_ids[0].tolist() == made.input_ids[0].tolist()


@pytest.mark.parametrize(
    ("label", "dtype", "shape"), [(1, np.int32, (1,)), (0.5, np.float32, (1,)), ([0, 1], np.float32, (1, 2))]
)
def test_labels_have_the_types_of_their_losses(label: Any, dtype: Any, shape: tuple[int, ...]) -> None:
    labels = features("text-classification", {"text": ["a"], "label": [label]}).labels["labels"]
    assert (labels.dtype, labels.shape) == (dtype, shape)


def test_examples_are_made_some_at_a_time_and_counted() -> None:
    told: list[tuple[int, int]] = []
    columns = {"text": [f"card {number}" for number in range(25)]}
    options = FeatureOptions(examples_at_once=10)
    made = make_features("text-classification", columns, TOKENIZER, tiny_config(), options, lambda *at: told.append(at))
    assert told == [(10, 25), (20, 25), (25, 25)]
    assert made.example.tolist() == list(range(25))
    assert made.input_ids[24].tolist() == TOKENIZER("card 24")["input_ids"]


WORDS = {"tokens": [["bankers", " ", "my", "\u200b", "cards"], ["pin"] * 9], "tags": [[0, 1, 2, 3, 4], [5] * 9]}


def test_tags_stand_on_the_first_piece_of_each_word() -> None:
    made = features("token-classification", WORDS)
    labels, words = made.labels["labels"], made.details["word"]
    for row in range(2):
        pieces = TOKENIZER.convert_ids_to_tokens(made.input_ids[row].tolist())
        for piece, label, word in zip(pieces, labels[row].tolist(), words[row].tolist(), strict=True):
            is_first = not piece.startswith(("##", "["))
            assert label == (WORDS["tags"][row][word] if is_first else IGNORE_INDEX)
            assert (word >= 0) == is_first
    assert words[0][words[0] >= 0].tolist() == [0, 2, 4]  # white space and what is cleaned away have no pieces


def test_all_pieces_of_a_word_may_have_its_tag() -> None:
    first = features("token-classification", WORDS)
    every = features("token-classification", WORDS, label_all_pieces=True)
    assert every.details["word"][0].tolist() == first.details["word"][0].tolist()
    assert (every.labels["labels"][0] == IGNORE_INDEX).sum() == 2  # [CLS] and [SEP]
    assert (first.labels["labels"][0] == IGNORE_INDEX).sum() > 2


def test_sentences_of_one_word_have_a_tag_each() -> None:
    made = features("token-classification", {"tokens": [["card"], ["card"]], "tags": [[1], [2]]})
    assert [made.labels["labels"][row].tolist()[1] for row in range(2)] == [1, 2]


def test_further_pieces_are_inside_what_the_first_one_begins() -> None:
    config = tiny_config(id2label={0: "O", 1: "B-JOB", 2: "I-JOB", 3: "B-DAY"})
    columns = {"tokens": [["bankers", "card", "bankers", "bankers"]], "tags": [[1, 0, 2, 3]]}
    made = make_features("ner", columns, TOKENIZER, config, FeatureOptions(label_all_pieces=True))
    assert made.labels["labels"][0].tolist() == [IGNORE_INDEX, 1, 2, 0, 2, 2, 3, 3, IGNORE_INDEX]


def test_a_long_sentence_goes_on_in_further_rows() -> None:
    words = ["bankers", "money"] * 20
    made = features("token-classification", {"tokens": [words], "tags": [list(range(40))]}, max_length=10)
    assert len(made) > 4
    assert set(made.example.tolist()) == {0}
    seen = np.concatenate([made.details["word"][row] for row in range(len(made))])
    assert seen[seen >= 0].tolist() == list(range(40))  # each once, also where a row ends within its pieces
    labels = made.labels["labels"].values
    assert labels[labels != IGNORE_INDEX].tolist() == list(range(40))


CONTEXT = "My card was lost on Monday . " * 8 + "The new one came on Friday ."


def question(answer: str | None, words: str = "When did it come ?") -> dict[str, Any]:
    answers = (
        {"text": [], "answer_start": []}
        if answer is None
        else {"text": [answer], "answer_start": [CONTEXT.index(answer)]}
    )
    return {"question": [words], "context": [CONTEXT], "answers": [answers]}


def answers(made: Features, context: str) -> list[str | None]:
    """Return the text that each row's positions mark; None for [CLS]."""
    marked: list[str | None] = []
    for row in range(len(made)):
        start, end = (int(made.labels[f"{name}_positions"][row]) for name in ("start", "end"))
        offsets = made.details["offsets"][row]
        marked.append(None if start == end == 0 else context[offsets[start][0] : offsets[end][1]])
    return marked


def test_windows_of_a_context_overlap_and_mark_the_answer() -> None:
    made = features("question-answering", question("Friday"), max_length=40, doc_stride=8)
    marked = answers(made, CONTEXT)
    assert set(marked) == {None, "Friday"}
    windows = [offsets[offsets[:, 0] >= 0] for offsets in made.details["offsets"].take(range(len(made)))]
    for window, following in pairwise(windows):
        assert window[-8:].tolist() == following[:8].tolist()
    assert windows[0][0].tolist() == [0, 2]
    assert windows[-1][-1][1] == len(CONTEXT)
    assert (made.input_ids.sizes <= 40).all()


def test_what_has_no_answer_points_at_the_first_token() -> None:
    made = features("question-answering", question(None), max_length=40, doc_stride=8)
    assert not made.labels["start_positions"].any()
    assert not made.labels["end_positions"].any()


def test_a_question_that_would_fill_the_row_is_cut() -> None:
    made = features("question-answering", question("Friday", "When " * 200), max_length=40, doc_stride=8)
    assert "Friday" in answers(made, CONTEXT)
    assert (made.input_ids.sizes <= 40).all()


@pytest.mark.parametrize("stride", [-1, 33])
def test_strides_that_leave_no_room(stride: int) -> None:
    with pytest.raises(InputError, match=f"doc_stride is {stride}.*0 to 32"):
        features("question-answering", question("Friday"), max_length=40, doc_stride=stride)
    assert len(features("question-answering", question("Friday", "When " * 200), max_length=40, doc_stride=32)) > 20


def test_white_space_around_an_answer() -> None:
    context = "  It is \t here.  "
    columns = {"question": [" Where? "], "context": [context], "answers": [{"text": [" \t here"], "answer_start": [7]}]}
    assert answers(features("question-answering", columns), context) == ["here"]


@pytest.mark.parametrize("path", [path for path in [SHARED / "xquad" / "xquad.en.json"] if path.exists()] or [None])
def test_every_answer_is_whole_in_some_window(path: Path | None) -> None:
    columns: Any = question("Friday") if path is None else load_data("qa", path, max_rows=100, validation_share=0).train
    columns = {name: columns[name][:] for name in ("question", "context", "answers")}
    made = features("question-answering", columns, max_length=64, doc_stride=24)
    for number, context in enumerate(columns["context"]):
        rows = np.flatnonzero(made.example == number)
        part = Features(
            Ragged.from_lists(made.input_ids.take(rows)),
            {name: values[rows] for name, values in made.labels.items()},
            made.example[rows],
            details={"offsets": Ragged.from_lists(made.details["offsets"].take(rows))},
        )
        marked = [one for one in answers(part, context) if one is not None]
        answer = columns["answers"][number]["text"][0]
        assert all(answer in one and len(one) < len(answer) + 12 for one in marked)  # more only where words go on
        assert marked or len(TOKENIZER.tokenize(answer)) > 24


def test_choices_stand_after_their_prompt() -> None:
    columns = {"prompt": ["card", "top up"], "choices": [["lost", "found"], ["now", "later"]], "label": [1, 0]}
    made = features("multiple-choice", columns)
    assert (len(made), made.choices) == (2, 2)
    assert made.input_ids[2].tolist() == TOKENIZER("top up", "now")["input_ids"]
    assert made.sizes.tolist() == [made.input_ids.sizes[:2].sum(), made.input_ids.sizes[2:].sum()]
    alone = features("multiple-choice", {**columns, "prompt": ["", ""]})
    assert alone.input_ids[2].tolist() == TOKENIZER("now")["input_ids"]


def test_masked_lm_joins_texts_into_full_blocks() -> None:
    texts = ["my card is lost", "", "where is my new card ?"] * 7
    made = features("fill-mask", {"text": texts}, max_length=16, examples_at_once=5)
    joined = [token for one in texts if one for token in TOKENIZER(one)["input_ids"]]
    assert made.input_ids.values.tolist() == joined
    assert made.input_ids.sizes[:-1].tolist() == [16] * (len(made) - 1)
    lines = features("fill-mask", {"text": texts}, max_length=6, line_by_line=True)
    assert len(lines) == 14
    assert lines.input_ids[1].tolist() == TOKENIZER(texts[2], truncation=True, max_length=6)["input_ids"]


def test_masks_follow_bert_and_the_seed() -> None:
    masking = features("fill-mask", {"text": ["card"]}).details["masking"]
    ids = np.asarray([CLS, 500, SEP] * 20000, np.int32)
    inputs, labels = masking.apply(ids, (0, 7, 0))
    chosen = labels != IGNORE_INDEX
    assert set(ids[chosen].tolist()) == {500}
    assert (labels[chosen] == 500).all()
    assert (inputs[~chosen] == ids[~chosen]).all()
    changed = inputs[chosen]
    shares = chosen[ids == 500].mean(), (changed == MASK).mean(), (changed == 500).mean()
    np.testing.assert_allclose(shares, [0.15, 0.8, 0.1], atol=0.03)  # about 3,000 of 20,000 tokens: 4 sigma
    assert (masking.apply(ids, (0, 7, 0))[0] == inputs).all()
    assert (masking.apply(ids, (0, 8, 0))[0] != inputs).any()


def test_a_short_text_has_a_masked_token() -> None:
    masking = features("fill-mask", {"text": ["card"]}).details["masking"]
    ids = np.asarray([CLS, 500, 600, SEP], np.int32)
    for seed in range(20):
        labels = masking.apply(ids, (seed, 0, 1))[1]
        assert {*labels[1:3].tolist()} & {500, 600}
        assert (labels[[0, 3]] == IGNORE_INDEX).all()
    assert (masking.apply(ids[[0, 3]], (0, 0, 1))[1] == IGNORE_INDEX).all()


def test_words_are_masked_with_all_their_pieces() -> None:
    pieces = TOKENIZER("bankers card", add_special_tokens=False)["input_ids"]  # bank ##ers card
    masking = features("fill-mask", {"text": ["card"]}, whole_word_mask=True).details["masking"]
    ids = np.asarray(pieces * 3000, np.int32)
    chosen = masking.apply(ids, (0, 0, 0))[1].reshape(-1, 3) != IGNORE_INDEX
    assert (chosen[:, 0] == chosen[:, 1]).all()
    assert (chosen[:, 1] != chosen[:, 2]).any()
    np.testing.assert_allclose(chosen.mean(), 0.15, atol=0.02)  # 6,000 words: 4 sigma
    starts = np.arange(1, len(ids), 3)  # where a row starts within a word, its pieces are words apart
    apart = masking.apply(ids, (0, 0, 0), starts)[1].reshape(-1, 3) != IGNORE_INDEX
    assert (apart[:, 0] != apart[:, 1]).any()


@pytest.mark.parametrize("length", [3, 65])
def test_lengths_that_the_model_does_not_have(length: int) -> None:
    with pytest.raises(InputError, match=f"max_length is {length}.*4 to 64"):
        features("text-classification", {"text": ["a"]}, max_length=length)


@pytest.mark.parametrize(("name", "value"), [("mlm_probability", 15), ("mlm_probability", 0), ("truncation", "last")])
def test_options_that_mean_nothing(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"{name} is "):
        FeatureOptions(**{name: value})


CACHED = {
    "text-classification": {"text": ["a card", ""], "label": [[0, 1], [1, 1]]},
    "token-classification": WORDS,
    "question-answering": question("Friday"),
    "multiple-choice": {"prompt": ["p"], "choices": [["a", "b"]], "label": [1]},
    "fill-mask": {"text": ["a card"] * 9},
}


def same(first: Any, second: Any) -> bool:
    if isinstance(first, Ragged):
        return same(first.values, second.values) and same(first.offsets, second.offsets)
    if isinstance(first, np.ndarray):
        return first.dtype == second.dtype and np.array_equal(first, second)
    return bool(first == second)


@pytest.mark.parametrize("task", CACHED)
def test_features_on_disk_are_those_in_memory(task: str, tmp_path: Path) -> None:
    expected = features(task, CACHED[task], examples_at_once=1)
    for _ in range(2):  # made, then found
        made = features(task, CACHED[task], examples_at_once=1, cache_dir=tmp_path)
        assert (made.task, made.choices, len(made)) == (expected.task, expected.choices, len(expected))
        assert same(made.input_ids, expected.input_ids)
        assert same(made.example, expected.example)
        for name in ("labels", "details"):
            first, second = getattr(made, name), getattr(expected, name)
            assert list(first) == list(second)
            assert all(same(first[key], second[key]) for key in first)
    assert isinstance(made.input_ids.values, np.memmap)
    assert len(list(tmp_path.iterdir())) == 1


def test_features_on_disk_are_made_again_for_other_examples_or_where_they_are_damaged(tmp_path: Path) -> None:
    columns = {"text": ["a card"], "label": [0]}
    features("text-classification", columns, cache_dir=tmp_path)
    (folder,) = tmp_path.iterdir()
    (folder / "input_ids.values.bin").write_bytes(b"")
    assert features("text-classification", columns, cache_dir=tmp_path).input_ids[0].size > 2
    for changed, options in (({"label": [1]}, {}), ({}, {"max_length": 5})):
        features("text-classification", columns | changed, cache_dir=tmp_path, **options)
    assert len(list(tmp_path.iterdir())) == 3


def test_a_data_set_gives_what_its_columns_give() -> None:
    data = load_data("text-classification", BANKING, max_rows=90)
    made = make_features("text-classification", data.train, TOKENIZER, tiny_config())
    columns = {"text": data.train["text"][:], "label": data.train["label"][:]}
    assert same(made.input_ids, features("text-classification", columns).input_ids)
