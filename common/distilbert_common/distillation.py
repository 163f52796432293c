"""What distillation is in every framework: which terms the loss has, what they count, and which teachers fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from distilbert_common.config import DistilBertConfig
from distilbert_common.errors import InputError
from distilbert_common.training import ALPHAS, DistillationOptions, EngineOptions, MicroBatch, Precision

__all__ = [
    "HIDDEN_PROJECTION",
    "MASKED_LM",
    "cached_parts",
    "check_cached",
    "check_distillation",
    "check_teacher",
    "check_top_k",
    "check_widths",
    "mask_of",
    "projection_shape",
    "term_alphas",
    "term_shares",
]

HIDDEN_PROJECTION = "hidden_projection.weight"
"""The name in a state of the matrix (teacher's dim, dim) that takes the student's hidden states to the teacher's."""

MASKED_LM = "ForMaskedLM"


def term_alphas(head: str, options: DistillationOptions) -> dict[str, float]:
    """Return the weights of the terms of the loss by name; those of weight 0 are left out, and not computed.

    Args:
        head: The end of the model's class name, as "ForMaskedLM".
        options: The weights.
    """
    task = "loss_mlm" if head == MASKED_LM else "loss_task"
    alphas = {"loss_ce": options.alpha_ce, task: options.alpha_task, "loss_cos": options.alpha_cos}
    return {name: alpha for name, alpha in alphas.items() if alpha}


def term_shares(head: str, options: DistillationOptions, micro_batch: MicroBatch) -> dict[str, float]:
    """Return the share of each term of a micro batch in that of the step, by the names of `term_alphas`.

    Means over labels count by `share`, means over all tokens by `token_share`: so it does not matter how the tokens of
    a step are divided among micro batches and processes.
    """
    per_token = {"loss_cos"} if head != MASKED_LM or options.restrict_ce_to_mask else {"loss_ce", "loss_cos"}
    return {
        name: micro_batch.token_share if name in per_token else micro_batch.share for name in term_alphas(head, options)
    }


def check_distillation(head: str, config: DistilBertConfig, options: EngineOptions, has_teacher: bool) -> None:
    """Require options that a student can be trained with.

    Args:
        head: The end of the student's class name, as "ForMaskedLM".
        config: The student's config.
        options: What was asked for.
        has_teacher: Whether a teacher was given.

    Raises:
        InputError: There is a teacher and no options, or the options have no meaning.
    """
    distillation = options.distillation
    if distillation is None:
        if has_teacher:
            raise InputError("a teacher was given, but EngineOptions.distillation is None; give DistillationOptions()")
        return
    alphas = {name: getattr(distillation, name) for name in ALPHAS}
    if min(alphas.values()) < 0 or not any(alphas.values()):
        raise InputError(f"the weights of the loss are {alphas}; expected 0 or more, and one of them above 0")
    if not distillation.temperature > 0:
        raise InputError(f"temperature is {distillation.temperature}; expected a number above 0, such as 2")
    if distillation.teacher_precision not in get_args(Precision):
        raise InputError(
            f"teacher_precision is {distillation.teacher_precision!r}; choose from {', '.join(get_args(Precision))}"
        )
    if not has_teacher and head != MASKED_LM:
        raise InputError(f"a student {head} learns from a teacher that is there; give Engine(..., teacher=model)")
    if not has_teacher and distillation.project_hidden and distillation.alpha_cos and distillation.teacher_dim is None:
        raise InputError(
            "project_hidden needs the width of the teacher's hidden states; give the teacher, or "
            "DistillationOptions(teacher_dim=…) where it was asked ahead of time"
        )


def check_teacher(
    head: str,
    config: DistilBertConfig,
    teacher_head: str,
    teacher_config: DistilBertConfig,
    options: DistillationOptions,
) -> None:
    """Require a teacher that a student can learn from.

    Args:
        head: The end of the student's class name, as "ForMaskedLM".
        config: The student's config.
        teacher_head: The end of the teacher's class name.
        teacher_config: The teacher's config.
        options: How the student learns.

    Raises:
        InputError: Heads, vocabularies, labels or widths differ.
    """
    if teacher_head != head:
        raise InputError(f"the teacher is a {teacher_head}, the student a {head}; load both with the same head")
    if teacher_config.vocab_size != config.vocab_size:
        raise InputError(
            f"the teacher has {teacher_config.vocab_size} tokens in its vocabulary, the student {config.vocab_size}; "
            "both read the same ids: use a student with the teacher's vocabulary"
        )
    if head not in (MASKED_LM, "ForMultipleChoice", "ForQuestionAnswering"):
        _check_labels(config, teacher_config)
    if options.alpha_cos and not options.project_hidden:
        check_widths(config.dim, teacher_config.dim)


def _check_labels(config: DistilBertConfig, teacher_config: DistilBertConfig) -> None:
    """Require the same labels; where one model has no names for them, as many."""
    labels, teacher_labels = (
        {} if _are_unnamed(one) else dict(one.id2label) for one in (config, teacher_config)
    )  # by number
    if config.num_labels != teacher_config.num_labels or (labels and teacher_labels and labels != teacher_labels):
        raise InputError(
            f"the teacher's labels are {list(teacher_config.id2label.values())}, the student's "
            f"{list(config.id2label.values())}; train the teacher on data with the same labels in the same order"
        )


def _are_unnamed(config: DistilBertConfig) -> bool:
    return all(label == f"LABEL_{number}" for number, label in config.id2label.items())


def check_widths(dim: int, teacher_dim: int) -> None:
    """Require hidden states of one width, whose cosine can be taken.

    Raises:
        InputError: They differ.
    """
    if teacher_dim != dim:
        raise InputError(
            f"the teacher's hidden states have {teacher_dim} entries, the student's {dim}: their cosine is not "
            "defined. Learn a projection along (project_hidden), or leave the term out (alpha_cos 0)"
        )


def cached_parts(options: DistillationOptions) -> tuple[str, ...]:
    """Return the names of the parts that the terms of a loss need of what a teacher gives ahead of time."""
    return (*(("indices", "logits") if options.alpha_ce else ()), *(("hidden",) if options.alpha_cos else ()))


def check_cached(cached: Mapping[str, Any] | None, options: DistillationOptions) -> dict[str, Any]:
    """Return the parts that the terms of a loss need of what a teacher gave ahead of time.

    Args:
        cached: `MicroBatch.teacher`.
        options: What says the terms.

    Raises:
        InputError: It is missing, or a part of it.
    """
    parts = cached_parts(options)
    missing = [name for name in parts if name not in (cached or {})]
    if missing:
        raise InputError(
            f"there is no teacher, and the micro batch lacks what one gave for it: {', '.join(missing)}; give "
            "Engine(..., teacher=model), or MicroBatch(teacher=...) with what `teacher_outputs` returns"
        )
    return {name: (cached or {})[name] for name in parts}


def mask_of(inputs: Mapping[str, Any]) -> Any:
    """Return the argument of a call that is 0 at padding: `segment_ids`, else `attention_mask`; None for neither."""
    return next((inputs[name] for name in ("segment_ids", "attention_mask") if inputs.get(name) is not None), None)


def check_top_k(head: str, vocab_size: int, top_k: int) -> None:
    """Require that a teacher has so many logits for each token.

    Raises:
        InputError: It is no masked LM, or its vocabulary is smaller.
    """
    if head != MASKED_LM:
        raise InputError(f"the model is a {head}; logits are stored ahead of time for a ForMaskedLM teacher alone")
    if not 1 <= top_k <= vocab_size:
        raise InputError(f"top_k is {top_k}; expected 1 to {vocab_size}, the size of the teacher's vocabulary")


def projection_shape(
    config: DistilBertConfig, options: DistillationOptions | None, teacher_config: DistilBertConfig | None
) -> tuple[int, int] | None:
    """Return the shape (teacher's dim, dim) of the projection of hidden states; None where there is none."""
    if options is None or not (options.project_hidden and options.alpha_cos):
        return None
    teacher_dim = options.teacher_dim if teacher_config is None else teacher_config.dim
    return None if teacher_dim is None else (teacher_dim, config.dim)
