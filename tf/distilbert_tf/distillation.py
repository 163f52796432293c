"""Distillation: a teacher, or what one gave ahead of time, and the loss by which a student learns from it.

The terms are those of `losses.distillation_loss` for masked LM (Sanh et al., arXiv 1910.01108, section 2), and the same
idea for the other tasks: the teacher's softened predictions, the labels, and the direction of the hidden states.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from distilbert_common.constants import IGNORE_INDEX
from distilbert_common.distillation import (
    HIDDEN_PROJECTION,
    check_cached,
    check_teacher,
    check_widths,
    projection_shape,
    term_alphas,
)
from distilbert_common.errors import InputError
from distilbert_common.training import EngineOptions
from distilbert_common.training_state import initial_weights
from distilbert_tf import losses
from distilbert_tf.arrays import Tensor
from distilbert_tf.fast.chunked_cross_entropy import can_chunk
from distilbert_tf.fast.chunked_distillation import ProjectedTargets, Targets, TopTargets, chunked_distillation
from distilbert_tf.framework.precision import compute_in
from distilbert_tf.soft_targets import soft_target_loss, top_divergence
from distilbert_tf.teachers import detached, encode, logits_of, projection_of, token_mask

__all__ = ["Distillation"]

Tensors = Mapping[str, Any]
Terms = dict[str, Tensor]


class Distillation:
    """How one student learns.

    Attributes:
        options: How.
        teacher: The teacher, which is not trained; None where it was asked ahead of time.
        projection: (teacher's dim, dim), trained along with the student and no part of it; None where there is none.
        alphas: The weights of the terms of the loss.
    """

    def __init__(self, model: Any, options: EngineOptions, teacher: Any) -> None:
        """Check the teacher, and make the projection.

        Args:
            model: The student.
            options: Those of its training, `distillation` among them.
            teacher: A model of the same class, or None. It is taken over: it computes in `teacher_precision`, and is
                not trained any more.

        Raises:
            InputError: The teacher does not fit the student.
        """
        assert options.distillation is not None
        self._training, self.options = options, options.distillation
        self._model, self.teacher = model, teacher
        self.alphas = term_alphas(model.head, self.options)
        if teacher is not None:
            if teacher is model:
                raise InputError("the teacher is the student itself; load it a second time")
            check_teacher(model.head, model.config, teacher.head, teacher.config, self.options)
            teacher.build_all()
            compute_in(teacher, self.options.teacher_precision)
        shape = projection_shape(model.config, self.options, None if teacher is None else teacher.config)
        self.projection: keras.Variable | None = None
        if shape is not None:
            values = initial_weights({HIDDEN_PROJECTION: shape}, model.config, options.seed)[HIDDEN_PROJECTION]
            self.projection = keras.Variable(values, name="hidden_projection")

    @property
    def parameters(self) -> dict[str, keras.Variable]:
        """What is trained beside the student, by its name in a state."""
        return {} if self.projection is None else {HIDDEN_PROJECTION: self.projection}

    @property
    def teacher_variables(self) -> list[keras.Variable]:
        """What the loss depends on and is not trained."""
        return [] if self.teacher is None else list(self.teacher.variables)

    def loss(
        self, inputs: Tensors, labels: Tensors, cached: Tensors | None, shares: Mapping[str, Tensor]
    ) -> tuple[Tensor, Terms]:
        """Return the loss of a micro batch.

        Args:
            inputs: The student's arguments without labels.
            labels: Its arguments that are labels.
            cached: What a teacher gave ahead of time, as `MicroBatch.teacher`; None to ask it now.
            shares: The share of each term in that of the step.

        Returns:
            The weighted sum of the terms, and each term by name, all times their shares.

        Raises:
            InputError: There is no teacher, and too little was given ahead of time.
        """
        weights = {name: alpha * shares[name] for name, alpha in self.alphas.items()}
        if self._model.head == "ForMaskedLM":
            total, terms = self._masked_lm_loss(inputs, labels["labels"], cached, weights)
        else:
            total, terms = weighted(self._task_terms(inputs, labels), weights)
        return total, {name: terms[name] * share for name, share in shares.items()}

    def _masked_lm_loss(
        self, inputs: Tensors, labels: Tensor, cached: Tensors | None, weights: Mapping[str, Tensor]
    ) -> tuple[Tensor, Terms]:
        """Return the triple loss of masked LM, and its terms."""
        predictions = self._predictions(inputs, cached)
        hidden = encode(self._model, inputs, training=True)  # (batch, seq, dim)
        mask = soft = token_mask(inputs)  # (batch, seq)
        if self.options.restrict_ce_to_mask:
            soft = ops.logical_and(mask, ops.not_equal(labels, IGNORE_INDEX))  # (batch, seq)
        if "loss_ce" in weights and self._can_chunk(hidden):
            total, terms = self._chunked_terms(hidden, labels, soft, predictions, weights)
        else:
            total, terms = weighted(self._plain_terms(hidden, labels, soft, predictions), weights)
        if "loss_cos" in weights:
            terms["loss_cos"] = self._cosine_loss(hidden, predictions["hidden"], mask)
            total = total + weights["loss_cos"] * terms["loss_cos"]
        return total, terms

    def _predictions(self, inputs: Tensors, cached: Tensors | None) -> Tensors:
        """Return the teacher's `hidden` (batch, seq, teacher's dim), or what it gave ahead of time."""
        if cached is not None or self.teacher is None:
            return check_cached(cached, self.options)
        if self.alphas.keys() == {"loss_mlm"}:
            return {}
        return {"hidden": ops.stop_gradient(encode(self.teacher, inputs, training=False))}

    def _can_chunk(self, hidden: Tensor) -> bool:
        """Whether the loss is that of the paper, and can be computed in chunks."""
        return can_chunk(hidden) and not (self._training.label_smoothing or self._training.class_weights)

    def _chunked_terms(
        self, hidden: Tensor, labels: Tensor, soft: Tensor, predictions: Tensors, weights: Mapping[str, Tensor]
    ) -> tuple[Tensor, Terms]:
        """Return the terms that are of logits, and their weighted sum, without these logits."""
        labels, soft = ops.cast(ops.reshape(labels, (-1,)), "int32"), ops.reshape(soft, (-1,))  # (tokens,)
        is_labeled = ops.not_equal(labels, IGNORE_INDEX)
        order = ops.argsort(ops.where(is_labeled, 0, ops.where(soft, 1, 2)))  # stable on TensorFlow
        counts = [ops.sum(ops.cast(each, "int32")) for each in (soft, is_labeled)]
        tokens, count = (ops.maximum(ops.cast(each, "float32"), 1.0) for each in counts)
        factor, label_factor = weights["loss_ce"] / tokens, weights.get("loss_mlm", 0.0) / count
        x = self._model.lm_transform(rows_of(hidden, order))  # (tokens, dim)
        weight, bias = projection_of(self._model, x.dtype)
        labeled = counts[1] if "loss_mlm" in weights else ops.zeros_like(counts[1])
        total, divergence, cross_entropy = chunked_distillation(
            x, weight, bias, ops.take(labels, order, axis=0), (counts[0], labeled), self._targets(predictions, order),
            self.options.temperature, ops.where(factor > 0, label_factor / ops.where(factor > 0, factor, 1.0), 0.0),
        )  # fmt: skip
        return total * factor, {"loss_ce": divergence / tokens, "loss_mlm": cross_entropy / count}

    def _targets(self, predictions: Tensors, order: Tensor) -> Targets:
        """Return the predictions for the tokens of a batch with indices (tokens,) among batch * seq."""
        chosen = {name: rows_of(x, order) for name, x in predictions.items()}  # (tokens, …)
        if "indices" in chosen:
            return TopTargets(chosen["indices"], chosen["logits"])
        x = ops.stop_gradient(self.teacher.lm_transform(chosen["hidden"]))  # (tokens, teacher's dim)
        return ProjectedTargets(x, *(ops.stop_gradient(each) for each in projection_of(self.teacher, x.dtype)))

    def _plain_terms(self, hidden: Tensor, labels: Tensor, soft: Tensor, predictions: Tensors) -> Terms:
        """Return the terms that are of logits, as `losses.distillation_loss` has them."""
        terms: Terms = {}
        temperature, training = self.options.temperature, self._training
        x = self._model.lm_transform(hidden)  # (batch, seq, dim)
        if "loss_ce" not in self.alphas and self._can_chunk(hidden):
            loss = losses.masked_lm_loss(x, *projection_of(self._model, x.dtype), labels)
            return {"loss_mlm": loss} if "loss_mlm" in self.alphas else {}
        logits = logits_of(self._model, x)  # (batch, seq, vocab)
        if "loss_ce" in self.alphas:
            if "indices" in predictions:
                divergence = top_divergence(logits, predictions["indices"], predictions["logits"], temperature)
            else:
                expected = logits_of(self.teacher, self.teacher.lm_transform(predictions["hidden"]))
                divergence = losses.kl_divergence(logits, ops.stop_gradient(expected), temperature)  # (batch, seq)
            terms["loss_ce"] = losses.masked_mean(divergence, soft) * temperature**2
        if "loss_mlm" in self.alphas:
            smoothing, class_weights = training.label_smoothing, training.class_weights
            terms["loss_mlm"] = losses.smoothed_cross_entropy(logits, labels, smoothing, class_weights)
        return terms

    def _cosine_loss(self, hidden: Tensor, expected: Tensor, mask: Tensor) -> Tensor:
        """Return the mean of 1 minus the cosine of hidden states (batch, seq, …) over the tokens of a mask."""
        if self.projection is not None:
            matrix = ops.cast(ops.convert_to_tensor(self.projection), hidden.dtype)  # (teacher's dim, dim)
            hidden = ops.matmul(hidden, ops.transpose(matrix))  # (batch, seq, teacher's dim)
        check_widths(hidden.shape[-1], expected.shape[-1] or hidden.shape[-1])
        return losses.masked_mean(1 - losses.cosine(hidden, ops.stop_gradient(expected)), mask)

    def _task_terms(self, inputs: Tensors, labels: Tensors) -> Terms:
        """Return the terms of a task other than masked LM."""
        flags = {"output_hidden_states": "loss_cos" in self.alphas, "return_dict": True}
        expected = self.teacher(**inputs, **flags, training=False)
        output = self._model(**inputs, **labels, **flags, training=True)
        terms: Terms = {}
        smoothing, class_weights = self._training.label_smoothing, self._training.class_weights
        if "loss_ce" in self.alphas:
            terms["loss_ce"] = soft_target_loss(
                self._model.head, output, detached(expected), {**inputs, **labels}, self._model.config,
                self.options.temperature, class_weights,
            )  # fmt: skip
        if "loss_task" in self.alphas:
            terms["loss_task"] = output.loss
            if smoothing or class_weights:
                terms["loss_task"] = losses.smoothed_cross_entropy(
                    output.logits, labels["labels"], smoothing, class_weights
                )
        if "loss_cos" in self.alphas:
            hidden = output.hidden_states[-1], expected.hidden_states[-1]
            terms["loss_cos"] = self._cosine_loss(*hidden, token_mask(inputs))
        return terms


def weighted(terms: Terms, weights: Mapping[str, Tensor]) -> tuple[Any, Terms]:
    """Return the sum of terms, each times its weight, and the terms."""
    return sum(weights[name] * term for name, term in terms.items()), terms


def rows_of(x: Tensor, order: Tensor) -> Tensor:
    """Return the tokens of a batch with indices (tokens,): (batch, seq, …) -> (tokens, …)."""
    return ops.take(ops.reshape(x, (-1, ops.shape(x)[-1])), order, axis=0)
