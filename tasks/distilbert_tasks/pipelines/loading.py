"""What a pipeline is made of: which task, which framework, the engine with its model, and the tokenizer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distilbert_common import frameworks
from distilbert_common.config import DistilBertConfig
from distilbert_common.errors import InputError, MissingFrameworkError, TokenizerError
from distilbert_common.files import local_path
from distilbert_common.user_warnings import warn_user
from distilbert_conversion.source import WEIGHTS_FILENAMES
from distilbert_tasks.engines import ONNX, inference_module
from distilbert_tasks.model_config import folder_of
from distilbert_tasks.task import TASKS

__all__ = [
    "dtype_name",
    "framework_for",
    "framework_of",
    "installed_framework",
    "is_export",
    "load_engine",
    "load_tokenizer",
    "task_of_config",
]


def task_of_config(config: DistilBertConfig) -> str:
    """Return the task of a model by the class that its config names.

    Raises:
        InputError: It names none, or one that has no pipeline.
    """
    architectures = [str(name) for name in config.architectures or ()]
    for name in architectures:
        for task in TASKS.values():
            if name.endswith(task.head):
                return task.name
        if name.endswith("DistilBertModel"):
            return "feature-extraction"
    named = ", ".join(architectures) or "no class"
    raise InputError(f"the config names {named} as its architectures, of which no task is known; name the task")


def framework_of(model: Any) -> str:
    """Return the framework of a loaded model.

    Raises:
        InputError: It is no model of this project.
    """
    packages = {cls.__module__.partition(".")[0] for cls in type(model).__mro__}
    for framework in frameworks.MODULES:
        if f"distilbert_{framework}" in packages:
            return framework
    raise InputError(
        f"model is a {type(model).__module__}.{type(model).__qualname__}; expected a directory, a hub id, or a model "
        "of distilbert_pt, distilbert_tf or distilbert_flax: save it with save_pretrained, and give the directory"
    )


def installed_framework() -> str:
    """Return the first framework that is installed: PyTorch, Keras, Flax.

    Raises:
        MissingFrameworkError: None is.
    """
    for framework in frameworks.MODULES:
        if frameworks.is_installed(framework):
            return framework
    raise MissingFrameworkError("a pipeline", "torch, keras or flax", "pt")


def is_export(model: str | Path) -> bool:
    """Return whether a model is a folder, or a file, of ONNX alone, so that no framework opens it."""
    path = local_path(model)
    if path.is_file():
        return path.suffix == ".onnx"
    has_weights = any((path / name).is_file() for name in WEIGHTS_FILENAMES)
    return not has_weights and any(any(folder.glob("*.onnx")) for folder in (path, path / "onnx"))


def framework_for(model: str | Path) -> str:
    """Return the framework that opens a model where none is asked for: ONNX for an export, else the first installed.

    Raises:
        MissingFrameworkError: None is installed.
    """
    return ONNX if is_export(model) else installed_framework()


def load_engine(
    framework: str,
    head: str,
    model: Any,
    *,
    config: DistilBertConfig | None,
    device: str,
    dtype: str | None,
    loading: Mapping[str, Any],
) -> Any:
    """Return the engine of a framework with a model in it.

    Args:
        framework: "pt", "tf", "flax", or "onnx" for an exported model.
        head: The end of the class name of the model that the task needs.
        model: A directory, a weights file, a hub id, or a loaded model.
        config: The config to use instead of the checkpoint's.
        device: "auto", "cpu" or "gpu".
        dtype: The dtype of the parameters; the checkpoint's own when None.
        loading: Further options of `from_pretrained`.

    Raises:
        InputError: A loaded model has another head.
    """
    module = inference_module(framework)
    if isinstance(model, (str, Path)):
        model = module.load_model(head, model, config=config, dtype=dtype, **loading)
        if model.load_report is not None and model.load_report.new_head:
            warn_user(
                f"the checkpoint has no {', '.join(model.load_report.new_head)}: the head is new, and its answers mean "
                "nothing until it is trained"
            )
    elif head == "Model":
        model = model.base_model
    elif not any(cls.__name__.endswith(f"DistilBert{head}") for cls in type(model).__mro__):
        raise InputError(f"the task needs a DistilBert{head}, and the model is a {type(model).__name__}")
    return module.Engine(model, device=device)


def load_tokenizer(tokenizer: Any, model: Any, positions: int, *, use_fast: bool, hub: Mapping[str, Any]) -> Any:
    """Return the tokenizer of a pipeline; one that is loaded cuts texts to what the model takes, or to less.

    Args:
        tokenizer: A tokenizer, where one is, or None for the model's own.
        model: Where the model is, or a loaded one.
        positions: How many tokens the model takes.
        use_fast: Whether texts are cut in Rust.
        hub: Options that say where files are.

    Raises:
        InputError: A loaded model does not say where it came from.
    """
    if tokenizer is not None and not isinstance(tokenizer, (str, Path)):
        return tokenizer
    source = tokenizer or (model if isinstance(model, (str, Path)) else model.config.name_or_path)
    if not source:
        raise InputError("the model was not loaded from a place that has its tokenizer; give tokenizer=…")
    if tokenizer is None:
        source = folder_of(source)
    from distilbert_common.tokenization import DistilBertTokenizer, DistilBertTokenizerFast

    try:
        loaded = (DistilBertTokenizerFast if use_fast else DistilBertTokenizer).from_pretrained(source, **hub)
    except TokenizerError as error:
        raise TokenizerError(f"{error}, or in Python tokenizer=…") from error
    loaded.model_max_length = min(loaded.model_max_length, positions)  # transformers saves 1e30 where none is set
    return loaded


def dtype_name(dtype: Any) -> str | None:
    """Return the name of a dtype, of any framework; None for the checkpoint's own."""
    if dtype is None or dtype == "auto":
        return None
    name = dtype if isinstance(dtype, str) else getattr(dtype, "name", None) or getattr(dtype, "__name__", None)
    return str(name or dtype).removeprefix("torch.")
