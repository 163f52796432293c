"""What a request may cost: refused before it is tokenized where its size tells, and before it is computed otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from distilbert_common.errors import InputError
from distilbert_deploy.server.failures import RequestFailure

__all__ = ["check_cost", "check_outputs"]

CHARACTERS_PER_TOKEN = 8
"""English has 4 to 5; with more than so many times `max_tokens` characters, a request is not even tokenized."""
MAX_MASKS = 64
MAX_FILLED = 2_000
"""How many texts filling masks may write: top_k for each mask."""
MAX_FEATURES = 2**22
"""How many numbers feature extraction may give: about 80 MB of JSON."""


def check_cost(
    task: str, examples: Sequence[Any], options: Mapping[str, Any], max_length: int, max_tokens: int
) -> None:
    """Require that a request has not far more characters than its tokens could have.

    Args:
        task: The name of the task.
        examples: Those of the request.
        options: What the pipeline is told.
        max_length: How many tokens of an example are read.
        max_tokens: How many tokens a request may have.

    Raises:
        RequestFailure: It has.
    """
    characters = sum(_characters(task, example, options, max_length) for example in examples)
    if characters > CHARACTERS_PER_TOKEN * max_tokens:
        raise RequestFailure(
            413,
            f"the request has {characters:.0f} characters to read, those of windows, labels and choices repeated; one "
            f"may have {CHARACTERS_PER_TOKEN * max_tokens}: send fewer or shorter examples at once",
        )


def _characters(task: str, example: Any, options: Mapping[str, Any], max_length: int) -> float:
    """Return how many characters are tokenized for an example, each as often as it is."""
    if task == "question-answering":
        length, stride = options["max_seq_len"], options["doc_stride"]
        question = min(options["max_question_len"], len(example["question"]))
        new_tokens = max(1, length - stride - question - 3)
        return float(len(example["context"]) * max(1.0, length / new_tokens) + len(example["question"]))
    if task == "multiple-choice":
        return sum(len(example.get("prompt") or "") + len(choice) for choice in example["choices"])
    characters = len(example) if isinstance(example, str) else sum(len(text) for text in example.values())
    if task == "zero-shot-classification":
        labels = options["candidate_labels"]
        names = labels.split(",") if isinstance(labels, str) else labels
        return (characters + len(options.get("hypothesis_template") or "")) * len(names) + sum(map(len, names))
    if options.get("stride") is not None:
        return float(characters * max_length / (max_length - 2 - options["stride"]))
    return characters


def check_outputs(pipeline: Any, token_lists: Sequence[Sequence[int]], options: Mapping[str, Any]) -> None:
    """Require that an answer does not become huge.

    Raises:
        InputError: There are too many masks.
        RequestFailure: There are too many hidden states.
    """
    if pipeline.task == "fill-mask":
        masks = sum(list(tokens).count(pipeline.tokenizer.mask_token_id) for tokens in token_lists)
        if masks > MAX_MASKS or masks * options.get("top_k", 5) > MAX_FILLED:
            raise InputError(
                f"there are {masks} masks in a request; send at most {MAX_MASKS}, and at most {MAX_FILLED} times top_k"
            )
    if pipeline.task == "feature-extraction":
        numbers = sum(map(len, token_lists)) * int(pipeline.config.dim)
        if numbers > MAX_FEATURES:
            raise RequestFailure(
                413, f"the answer would have {numbers} numbers; one may have {MAX_FEATURES}: send fewer texts at once"
            )
