"""From the parameters of a request to what a pipeline is told, with what the server holds to where they are silent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distilbert_common.errors import InputError
from distilbert_tasks.pipelines.question_answering import DOC_STRIDE, MAX_SEQ_LEN

__all__ = ["pipeline_options"]


def pipeline_options(task: str, parameters: Mapping[str, Any], max_length: int, truncate: bool) -> dict[str, Any]:
    """Return the options of the pipeline.

    Args:
        task: The name of the task.
        parameters: Those of the request, checked.
        max_length: How many tokens of an example are read.
        truncate: Whether longer examples are cut where the request does not say it.

    Raises:
        InputError: Parameters do not fit each other or the model.
    """
    options = {name: value for name, value in parameters.items() if name != "truncation"}
    truncation = parameters.get("truncation", truncate)
    if task in ("text-classification", "feature-extraction", "multiple-choice"):
        options["truncation"] = truncation
    if task == "fill-mask":
        options["tokenizer_kwargs"] = {"truncation": truncation}
    if task == "question-answering":
        _complete_windows(options, max_length)
    if options.get("stride") is not None and options["stride"] > max_length // 2:
        raise InputError(f"stride is {options['stride']}; expected at most {max_length // 2}, half of a window")
    if task == "zero-shot-classification" and not options.get("candidate_labels"):
        raise InputError('there are no candidate_labels; send "parameters": {"candidate_labels": ["…", "…"]}')
    return options


def _complete_windows(options: dict[str, Any], max_length: int) -> None:
    """Fill in how contexts are cut into windows, so that each window reads a fair part of the context.

    Raises:
        InputError: Windows would be longer than the model takes, or hardly go on.
    """
    length = options.setdefault("max_seq_len", min(MAX_SEQ_LEN, max_length))
    if length > max_length:
        raise InputError(f"max_seq_len is {length}; the model takes {max_length}")
    stride = options.setdefault("doc_stride", min(length // 2, DOC_STRIDE))
    if stride > length // 2:
        raise InputError(f"doc_stride is {stride}; expected at most {length // 2}, half of max_seq_len")
    most = max(1, length - stride - length // 8 - 3)  # 3 special tokens; an eighth of each window is new
    question = options.setdefault("max_question_len", min(length // 2, most))
    if question > most:
        raise InputError(f"max_question_len is {question}; expected at most {most} beside doc_stride and max_seq_len")
