"""Pipelines beyond the results of single calls: streams, batches, loading, what transformers lacks, errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset

from distilbert_common import DistilBertConfig
from distilbert_common.errors import DeviceError, InputError, TokenizerError
from distilbert_common.tokenization import DistilBertTokenizer, DistilBertTokenizerFast
from distilbert_common.training_state import device_name
from distilbert_pt import DistilBertForMultipleChoice, DistilBertForSequenceClassification, DistilBertModel
from distilbert_tasks import pipeline
from distilbert_tasks.pipelines.loading import dtype_name
from distilbert_tasks.pipelines.runner import Runner
from parity_tests.helpers.pipeline_cases import MIXED, PARAGRAPH, SENTENCE
from parity_tests.helpers.pipeline_models import VOCAB, write_model
from parity_tests.helpers.pipeline_results import differences


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


class Words:
    """An engine whose output is its input: what a list gets back shows whether it got its own."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def eval_step(self, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        ids = inputs["input_ids"]
        self.shapes.append(ids.shape)
        if ids.ndim == 3:
            return {"logits": (ids * inputs["attention_mask"]).sum(axis=-1).astype(np.float32)}
        return {"ids": ids}


def lists_of(sizes: Iterator[int] | list[int]) -> list[list[int]]:
    return [[index + 1] * size for index, size in enumerate(sizes)]


@pytest.mark.parametrize("few_shapes", [False, True])
def test_each_list_gets_its_own_outputs_in_full_batches(few_shapes: bool) -> None:
    engine = Words()
    sizes = np.random.default_rng(0).integers(1, 300, 400).tolist()
    runner = Runner(engine, "fill-mask", tokens_per_batch=2048, is_per_token=True, few_shapes=few_shapes)
    lists = lists_of(sizes)
    assert runner.run(lists, lambda index, outputs: outputs["ids"].tolist()) == lists
    assert len(engine.shapes) <= 1.2 * sum(sizes) / 2048 + 1  # 6 rows of 304 leave some of 2,048 unused
    assert runner.run([], lambda index, outputs: outputs) == []


def test_compiled_models_meet_few_and_small_shapes() -> None:
    engine, random = Words(), np.random.default_rng(0)
    runner = Runner(engine, "fill-mask", tokens_per_batch=2048, is_per_token=True, few_shapes=True)
    for count in (1, 1, 2, 3, 9, 50, 400, 300, 1, 5):
        sizes = random.integers(1, 100, count)
        runner.run(lists_of(sizes.tolist()), lambda index, outputs: None)
        rows, length = engine.shapes[-1]
        assert rows * length <= max(2 * sizes.sum(), 2 * sizes.max(), 32)
    assert len(set(engine.shapes)) <= 9
    assert all(np.log2(size).is_integer() for shape in engine.shapes for size in shape)


def test_choices_are_padded_one_to_a_row() -> None:
    engine = Words()
    lists = lists_of([3, 40, 7, 7, 300])
    runner = Runner(engine, "multiple-choice", tokens_per_batch=64, is_per_token=False, few_shapes=True)
    assert runner.run(lists, lambda index, outputs: int(outputs["logits"][0])) == [sum(tokens) for tokens in lists]
    assert {shape[1] for shape in engine.shapes} == {1}


def test_a_stream_is_read_ahead_by_the_batch_size_and_keeps_its_order(models: Path) -> None:
    pipe = pipeline("text-classification", write_model("three", models), framework="pt", batch_size=4)
    texts = [text for text in MIXED if len(text) < 500] * 2
    read: list[str] = []

    def stream() -> Iterator[str]:
        for text in texts:
            read.append(text)
            yield text

    results = pipe(stream())
    assert read == []
    first = next(results)
    assert len(read) == 4
    assert differences([first, *results], pipe(texts, batch_size=512)) == []
    assert differences(next(pipe(stream(), batch_size=1)), first) == []
    with pytest.raises(InputError, match="batch_size is 0"):
        pipe(texts, batch_size=0)


def test_columns_of_a_data_set(models: Path) -> None:
    pipe = pipeline("text-classification", write_model("three", models), framework="pt")
    rows = Dataset.from_dict({"text": [SENTENCE, PARAGRAPH], "label": [0, 1]})
    expected = pipe([SENTENCE, PARAGRAPH])
    assert pipe(rows["text"]) == pipe(rows) == pipe((SENTENCE, PARAGRAPH)) == expected
    assert list(pipe(rows.to_iterable_dataset())) == expected
    assert pipe.predict([SENTENCE]) == pipe.transform([SENTENCE]) == pipe([SENTENCE])


def test_multiple_choice_ranks_by_the_models_logits(models: Path, tmp_path: Path) -> None:
    config = DistilBertConfig.from_pretrained(write_model("base", models))
    torch.manual_seed(0)
    model = DistilBertForMultipleChoice(config).eval()
    torch.nn.init.normal_(model.classifier.weight, std=3.0)
    tokenizer = DistilBertTokenizerFast.from_pretrained(VOCAB)
    pipe = pipeline(model=model, tokenizer=tokenizer, device="cpu")
    prompt, choices = (
        "My card has not arrived.",
        ["wait a week", "card", "ask the bank for a new card today", PARAGRAPH],
    )
    result = pipe({"prompt": prompt, "choices": choices})
    encoded = tokenizer([[prompt, choice] for choice in choices], padding=True, return_tensors="pt")
    logits = model(**{name: values[None] for name, values in encoded.items()}).logits[0]
    probabilities = logits.softmax(-1)
    assert [one["label"] for one in result] == logits.argsort(descending=True).tolist()
    assert [one["choice"] for one in result] == [choices[one["label"]] for one in result]
    scores = [one["score"] for one in result]
    assert scores == pytest.approx(probabilities.sort(descending=True).values.tolist(), abs=1e-6)  # of float32
    examples = [{"prompt": prompt, "choices": choices}, {"choices": ["a", "b"]}, {"prompt": "", "choices": ["a", "b"]}]
    several = pipe(examples)
    assert [len(one) for one in several] == [4, 2, 2]
    assert several[1] == several[2]
    assert differences(several[1], pipe(prompt=None, choices=["a", "b"])) == []
    assert [len(one) for one in pipe(examples, top_k=1)] == [1, 1, 1]
    pipe.save_pretrained(tmp_path)
    for framework in ("tf", "flax"):
        assert differences(pipeline(model=tmp_path, framework=framework)(examples), several) == []
    for wrong in ("text", {"prompt": "a"}, {"choices": []}, {"choices": "ab"}, {"prompt": 5, "choices": ["a"]}):
        with pytest.raises(InputError, match="expected"):
            pipe(wrong)


def test_the_task_is_that_of_the_class_in_the_config(models: Path, tmp_path: Path) -> None:
    tasks = {
        "three": "text-classification",
        "entities": "token-classification",
        "answers": "question-answering",
        "mlm": "fill-mask",
        "base": "feature-extraction",
    }
    for name, task in tasks.items():
        assert pipeline(model=write_model(name, models)).task == task
    source = write_model("three", models)
    assert pipeline("sentiment-analysis", source).task == pipeline("sequence-classification", source).task
    assert pipeline("ner", write_model("entities", models)).task == "token-classification"
    assert pipeline(model=source / "model.safetensors").task == "text-classification"
    assert pipeline(model=source.parent, subfolder=source.name).task == "text-classification"
    (tmp_path / "config.json").write_text((source / "config.json").read_text().replace("ForSequenceClass", "ForSpeech"))
    with pytest.raises(InputError, match=r"DistilBertForSpeechification as its architectures.* name the task"):
        pipeline(model=tmp_path)


def test_a_loaded_model_says_task_framework_and_tokenizer(models: Path, tmp_path: Path) -> None:
    source = write_model("three", models)
    model = DistilBertForSequenceClassification.from_pretrained(source)
    pipe = pipeline(model=model)
    assert (pipe.task, pipe.framework, pipe.model) == ("text-classification", "pt", model)
    assert pipe(SENTENCE) == pipeline(model=source, framework="pt")(SENTENCE)
    pipe.save_pretrained(tmp_path)
    assert pipeline(model=tmp_path, framework="pt", use_fast=False)(SENTENCE) == pipe(SENTENCE)
    states = pipeline("feature-extraction", model)(SENTENCE, return_tensors="np")
    assert states.shape == (1, 13, 32)
    assert torch.is_tensor(pipeline("feature-extraction", model)(SENTENCE, return_tensors=True))
    assert type(pipeline(model=source, use_fast=False).tokenizer) is DistilBertTokenizer
    with pytest.raises(InputError, match="framework is 'flax', and the model is one of 'pt'"):
        pipeline(model=model, framework="flax")
    with pytest.raises(
        InputError, match="needs a DistilBertForTokenClassification, and the model is a DistilBertForSeq"
    ):
        pipeline("ner", model)
    with pytest.raises(InputError, match="give tokenizer="):
        pipeline("feature-extraction", DistilBertModel(DistilBertConfig(dim=12, n_heads=3, n_layers=1)))
    with pytest.raises(InputError, match=r"expected a directory, a hub id, or a model of distilbert_pt"):
        pipeline("text-classification", torch.nn.Linear(2, 2))


def test_what_cannot_be_made_is_said(models: Path, tmp_path: Path) -> None:
    source = write_model("three", models)
    with pytest.raises(InputError, match="neither task nor model"):
        pipeline()
    with pytest.raises(InputError, match="a tokenizer was given without a model"):
        pipeline("ner", tokenizer=source)
    with pytest.raises(InputError, match="task is 'translation', which has no pipeline; expected one of text-class"):
        pipeline("translation", source)
    with pytest.raises(InputError, match="no model for multiple-choice by default"):
        pipeline("multiple-choice")
    with pytest.raises(InputError, match="'mxnet' is not a framework"):
        pipeline(model=source, framework="mxnet")
    with pytest.raises(InputError, match="top_k is 0"):
        pipeline(model=source, top_k=0)
    with pytest.raises(InputError, match=r"tokens_per_batch is 1.5"):
        pipeline(model=source, tokens_per_batch=1.5)
    with pytest.raises(TypeError, match="unexpected keyword argument 'stride'"):
        pipeline("fill-mask", write_model("mlm", models), stride=3)
    (source / "vocab.txt").rename(tmp_path / "vocab.txt")
    with pytest.raises(TokenizerError, match="or in Python tokenizer="):
        pipeline(model=source)
    assert pipeline(model=source, tokenizer=tmp_path)(SENTENCE)
    (tmp_path / "vocab.txt").rename(source / "vocab.txt")


def test_warnings_name_the_line_of_the_caller(models: Path) -> None:
    with pytest.warns(FutureWarning, match="pass top_k=None") as old_scores:
        pipeline(model=write_model("three", models))(SENTENCE, return_all_scores=True)
    with pytest.warns(FutureWarning, match="pass aggregation_strategy='first'") as old_groups:
        pipeline(model=write_model("entities", models))(SENTENCE, grouped_entities=True, ignore_subwords=True)
    assert {one.filename for one in (*old_scores, *old_groups)} == {__file__}


def test_a_new_head_is_told(models: Path) -> None:
    with pytest.warns(UserWarning, match=r"no classifier.*answers mean nothing until it is trained"):
        pipeline("text-classification", write_model("base", models))


@pytest.mark.parametrize(
    ("device", "name"),
    [(None, "auto"), ("auto", "auto"), (-1, "cpu"), ("cpu", "cpu"), (0, "gpu"), ("cuda:0", "gpu"), ("gpu", "gpu")],
)
def test_the_words_of_transformers_for_devices(device: Any, name: str) -> None:
    assert device_name(device) == name
    assert device_name(torch.device("cpu")) == "cpu"
    with pytest.raises(DeviceError, match="CUDA_VISIBLE_DEVICES=1"):
        device_name("cuda:1")


def test_dtypes_and_devices(models: Path) -> None:
    names = [dtype_name(dtype) for dtype in (None, "auto", "bfloat16", torch.bfloat16, np.float16, np.dtype("float32"))]
    assert names == [None, None, "bfloat16", "bfloat16", "float16", "float32"]
    pipe = pipeline(model=write_model("three", models), framework="pt", dtype=torch.bfloat16)
    assert pipe.model.dtype == torch.bfloat16
    assert pipe(SENTENCE)[0]["label"] in pipe.model.config.label2id
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError):
            pipeline(model=write_model("three", models), framework="pt", device=0)


def test_a_question_is_cut_where_that_is_asked_for(models: Path) -> None:
    pipe = pipeline(model=write_model("answers", models), framework="pt")
    long = f"Where was the card lost? {PARAGRAPH}"
    assert pipe(question=long, context=PARAGRAPH, max_question_len=6) == pipe("Where was the card lost?", PARAGRAPH)
    with pytest.raises(InputError, match=r"a question leaves no room.* max_question_len"):
        pipe(question=PARAGRAPH * 20, context=PARAGRAPH)
    assert pipe(question=PARAGRAPH * 20, context=PARAGRAPH, max_question_len=30)["score"] > 0


def test_padding_that_is_asked_for_has_zeros(models: Path) -> None:
    pipe = pipeline(model=write_model("base", models), framework="pt")
    states = pipe("card", tokenize_kwargs={"padding": "max_length", "max_length": 7}, return_tensors="np")
    assert states.shape == (1, 7, 32)
    assert (states[0, 3:] == 0).all()
    assert differences(states[0, :3].tolist(), pipe("card")[0]) == []
    with pytest.raises(InputError, match="return_tensors is 'onnx'"):
        pipe("card", return_tensors="onnx")


def test_options_that_a_task_does_not_have_are_named(models: Path) -> None:
    zero_shot = pipeline("zero-shot-classification", write_model("entailment", models), device="cpu")
    with pytest.raises(TypeError, match="a call has no option labels; it has candidate_labels, hypothesis_template"):
        zero_shot("a", labels=["x"])
    with pytest.warns(FutureWarning, match="pass multi_label"):
        old = zero_shot("a", ["x", "y"], multi_class=True)
    assert old == zero_shot("a", ["x", "y"], multi_label=True)


def test_entities_have_their_values_in_the_order_of_transformers(models: Path) -> None:
    first = pipeline("ner", write_model("entities", models), device="cpu")(SENTENCE, ignore_labels=[])[0]
    assert list(first) == ["entity", "score", "index", "word", "start", "end"]
