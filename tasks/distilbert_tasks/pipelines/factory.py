"""`pipeline`: a task by its name, and what it needs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distilbert_common.config import DistilBertConfig
from distilbert_common.errors import InputError
from distilbert_common.files import HUB_OPTIONS
from distilbert_common.training_state import device_name
from distilbert_common.user_warnings import warn_user
from distilbert_tasks.model_config import folder_of
from distilbert_tasks.pipelines.base import Pipeline
from distilbert_tasks.pipelines.feature_extraction import FeatureExtractionPipeline
from distilbert_tasks.pipelines.fill_mask import FillMaskPipeline
from distilbert_tasks.pipelines.loading import (
    dtype_name,
    framework_for,
    framework_of,
    load_engine,
    load_tokenizer,
    task_of_config,
)
from distilbert_tasks.pipelines.multiple_choice import MultipleChoicePipeline
from distilbert_tasks.pipelines.question_answering import QuestionAnsweringPipeline
from distilbert_tasks.pipelines.text_classification import TextClassificationPipeline
from distilbert_tasks.pipelines.token_classification import TokenClassificationPipeline
from distilbert_tasks.pipelines.zero_shot_classification import ZeroShotClassificationPipeline
from distilbert_tasks.task import TASKS

__all__ = ["PIPELINES", "pipeline"]

PIPELINES: dict[str, type[Pipeline]] = {
    cls.task: cls
    for cls in (
        TextClassificationPipeline,
        TokenClassificationPipeline,
        QuestionAnsweringPipeline,
        FillMaskPipeline,
        FeatureExtractionPipeline,
        ZeroShotClassificationPipeline,
        MultipleChoicePipeline,
    )
}
"""The pipelines by the name of their task."""

DEFAULT_MODELS = {
    "text-classification": "distilbert/distilbert-base-uncased-finetuned-sst-2-english",
    "question-answering": "distilbert/distilbert-base-cased-distilled-squad",
    "fill-mask": "distilbert/distilbert-base-uncased",
    "feature-extraction": "distilbert/distilbert-base-cased",
}
"""The model of a task where none is named: transformers' own, where that is a DistilBERT."""


def pipeline(
    task: str | None = None,
    model: Any = None,
    config: DistilBertConfig | str | Path | None = None,
    tokenizer: Any = None,
    *,
    framework: str | None = None,
    revision: str | None = None,
    use_fast: bool = True,
    token: str | bool | None = None,
    device: Any = "auto",
    device_map: Any = None,
    dtype: Any = None,
    torch_dtype: Any = None,
    trust_remote_code: bool | None = None,
    model_kwargs: Mapping[str, Any] | None = None,
    batch_size: int | None = None,
    tokens_per_batch: int | None = None,
    **options: Any,
) -> Pipeline:
    """Make a pipeline: texts in, answers out.

    Args:
        task: "text-classification" or "sentiment-analysis", "token-classification" or "ner", "question-answering",
            "fill-mask", "feature-extraction", "zero-shot-classification", "multiple-choice". None for the task of the
            model, by the class that its config names.
        model: A directory, a weights file, a hub id, or a loaded model of any of the three families. None for a model
            that the task has by default.
        config: The config to use instead of the model's, or where it is.
        tokenizer: A tokenizer, or where it is; that of the model when None.
        framework: "pt", "tf" or "flax", or "onnx" for the folder of an export; when None that of a loaded model,
            "onnx" where there is an export and no other model, or the first one installed.
        revision: Branch, tag or commit on the hub.
        use_fast: Whether texts are cut in Rust.
        token: Access token for private repositories.
        device: "auto" for the GPU if there is one, "cpu" or "gpu"; None, -1 and 0 mean what they do in transformers.
        device_map: The same, under another name of transformers.
        dtype: The dtype of the parameters; the checkpoint's own when None or "auto".
        torch_dtype: The older name of `dtype`.
        trust_remote_code: Of no effect: no code of a checkpoint is ever run.
        model_kwargs: Further options of the model's `from_pretrained`, as `cache_dir`, and fields of its config.
        batch_size: How many examples are read ahead of the first result, sorted by length and packed; 512 by default.
        tokens_per_batch: About how many tokens the model computes at once; 4,096 by default.
        **options: Those of the task's calls, for calls that do not give them; and where to find files on the hub, as
            `cache_dir`.

    Returns:
        The pipeline; its call says what it takes and gives.

    Raises:
        InputError: There is no such task, or the model is not one for it.
        CheckpointError: There is no such model, or it is damaged.
        MissingFrameworkError: The framework is not installed.
    """
    if task is None and model is None:
        raise InputError("neither task nor model was given; give at least one of them")
    if model is None and tokenizer is not None:
        raise InputError("a tokenizer was given without a model; give the model that it belongs to")
    hub = {name: value for name, value in (("revision", revision), ("token", token)) if value is not None}
    hub |= {name: options.pop(name) for name in HUB_OPTIONS if name in options}
    loading = {**hub, **(model_kwargs or {})}
    where = {option: value for option, value in loading.items() if option in HUB_OPTIONS}
    name = _task_name(task) if task else None
    source = _default_model(name) if model is None and name else model
    own_config = DistilBertConfig.from_pretrained(config, **where) if isinstance(config, (str, Path)) else config
    name = name or _task_of(source, own_config, where)
    chosen = _framework(framework, source)
    engine = load_engine(
        chosen,
        PIPELINES[name].head,
        source,
        config=own_config,
        device=device_name(device if device_map is None else device_map),
        dtype=dtype_name(torch_dtype if dtype is None else dtype),
        loading=loading,
    )
    positions = engine.model.config.max_position_embeddings
    own_tokenizer = load_tokenizer(tokenizer, source, positions, use_fast=use_fast, hub=where)
    sizes = {"batch_size": batch_size, "tokens_per_batch": tokens_per_batch}
    return PIPELINES[name](engine, own_tokenizer, framework=chosen, **sizes, **options)


def _task_name(task: str) -> str:
    """Return the name of a task's pipeline.

    Raises:
        InputError: There is none.
    """
    names = {alias: known.name for known in TASKS.values() for alias in (known.name, *known.aliases)}
    name = names.get(task, task)
    if name not in PIPELINES:
        raise InputError(f"task is {task!r}, which has no pipeline; expected one of {', '.join(PIPELINES)}")
    return name


def _default_model(task: str) -> str:
    """Return the model that a task has by default, and say which it is.

    Raises:
        InputError: It has none.
    """
    if task not in DEFAULT_MODELS:
        raise InputError(f"there is no model for {task} by default; give model=…, a directory or a hub id")
    warn_user(f"no model was given, so that {DEFAULT_MODELS[task]} is used; give model=… to choose")
    return DEFAULT_MODELS[task]


def _framework(requested: str | None, model: Any) -> str:
    """Return the framework of a loaded model, else the one asked for, else the first that is installed.

    Raises:
        InputError: Another one was asked for than the model's.
    """
    if isinstance(model, (str, Path)):
        return requested or framework_for(model)
    loaded = framework_of(model)
    if requested not in (None, loaded):
        raise InputError(
            f"framework is {requested!r}, and the model is one of {loaded!r}; leave framework out, or save the model "
            "and give the directory"
        )
    return loaded


def _task_of(model: Any, config: DistilBertConfig | None, where: Mapping[str, Any]) -> str:
    """Return the task of a model: by the class of a loaded one, else by the config."""
    if not isinstance(model, (str, Path)):
        return task_of_config(DistilBertConfig(architectures=[cls.__name__ for cls in type(model).__mro__]))
    return task_of_config(config or DistilBertConfig.from_pretrained(folder_of(model), **where))
