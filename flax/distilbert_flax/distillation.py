"""Distillation: a teacher, or what one gave ahead of time, and the loss by which a student learns from it.

The terms are those of `losses.distillation_loss` for masked LM (Sanh et al., arXiv 1910.01108, section 2), and the same
idea for the other tasks: the teacher's softened predictions, the labels, and the direction of the hidden states.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.lax import stop_gradient
from jax.sharding import Sharding

from distilbert_common.constants import IGNORE_INDEX, is_fast
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
from distilbert_flax import losses
from distilbert_flax.fast.chunked_distillation import ProjectedTargets, Targets, TopTargets, chunked_distillation
from distilbert_flax.framework.functional import nested
from distilbert_flax.framework.precision import computing_in
from distilbert_flax.framework.variables import bind
from distilbert_flax.inventory import named_variables, paths_of
from distilbert_flax.soft_targets import soft_target_loss, top_divergence
from distilbert_flax.teachers import place_teacher, token_mask

__all__ = ["Distillation"]

Tree = dict[str, Array]
Terms = dict[str, Array]


class Distillation:
    """How one student learns.

    Attributes:
        options: How.
        teacher: The teacher, which is not trained; None where it was asked ahead of time.
        projection: (teacher's dim, dim), trained along with the student and no part of it; None where there is none.
        alphas: The weights of the terms of the loss.
    """

    def __init__(self, model: Any, options: EngineOptions, teacher: Any, everywhere: Sharding) -> None:
        """Check the teacher, place it, and make the projection.

        Args:
            model: The student.
            options: Those of its training, `distillation` among them.
            teacher: A model of the same class, or None. It is taken over: its parameters are cast to
                `teacher_precision`, and not trained any more.
            everywhere: Where the student's parameters lie.

        Raises:
            InputError: The teacher does not fit the student.
        """
        assert options.distillation is not None
        self._training, self.options = options, options.distillation
        self._head, self._config, self.teacher = model._table_head, model.config, teacher
        self.alphas = term_alphas(self._head, self.options)
        if teacher is not None:
            if teacher is model:
                raise InputError("the teacher is the student itself; load it a second time")
            check_teacher(self._head, model.config, teacher._table_head, teacher.config, self.options)
            place_teacher(teacher, self.options.teacher_precision, everywhere)
            self._computing, self._paths = computing_in(teacher, self.options.teacher_precision), paths_of(teacher)
        shape = projection_shape(model.config, self.options, None if teacher is None else teacher.config)
        self.projection: nnx.Param[Array] | None = None
        if shape is not None:
            values = initial_weights({HIDDEN_PROJECTION: shape}, model.config, options.seed)[HIDDEN_PROJECTION]
            self.projection = nnx.Param(jax.device_put(values, everywhere))

    @property
    def parameters(self) -> dict[str, nnx.Param[Array]]:
        """What is trained beside the student, by its name in a state."""
        return {} if self.projection is None else {HIDDEN_PROJECTION: self.projection}

    def teacher_values(self) -> Tree:
        """Return the values of the teacher's parameters, by name."""
        if self.teacher is None:
            return {}
        return {name: variable.get_raw_value() for name, variable in named_variables(self.teacher).items()}

    def loss(
        self,
        call: Any,
        inputs: Mapping[str, Any],
        labels: Tree,
        cached: Tree | None,
        shares: Mapping[str, Array],
        teacher_values: Tree,
        projection: Array | None,
    ) -> tuple[Array, Terms]:
        """Return the loss of a micro batch, as a pure function of its last two arguments and the student's parameters.

        Args:
            call: The student, bound to its parameters.
            inputs: Its arguments without labels.
            labels: Its arguments that are labels.
            cached: What a teacher gave ahead of time, as `MicroBatch.teacher`; None to ask it now.
            shares: The share of each term in that of the step.
            teacher_values: As `teacher_values` returns them.
            projection: (teacher's dim, dim), or None.

        Returns:
            The weighted sum of the terms, and each term by name, all times their shares.

        Raises:
            InputError: There is no teacher, and too little was given ahead of time.
        """
        weights = {name: alpha * shares[name] for name, alpha in self.alphas.items()}
        teacher = self._bound_teacher(teacher_values)
        if self._head == "ForMaskedLM":
            total, terms = self._masked_lm_loss(call, teacher, inputs, labels["labels"], cached, weights, projection)
        else:
            total, terms = weighted(self._task_terms(call, teacher, inputs, labels, projection), weights)
        return total, {name: terms[name] * share for name, share in shares.items()}

    def _bound_teacher(self, values: Tree) -> Any:
        if self.teacher is None:
            return None
        return bind(self._computing, nested({path: values[name] for name, path in self._paths.items()}), None, False)

    def _masked_lm_loss(
        self,
        student: Any,
        teacher: Any,
        inputs: Mapping[str, Any],
        labels: Array,
        cached: Tree | None,
        weights: Mapping[str, Array],
        projection: Array | None,
    ) -> tuple[Array, Terms]:
        """Return the triple loss of masked LM, and its terms."""
        predictions = self._predictions(teacher, inputs, cached)
        hidden = student.distilbert.forward(**inputs, return_dict=True).last_hidden_state  # (batch, seq, dim)
        mask = token_mask(inputs)  # (batch, seq)
        soft = mask & (labels != IGNORE_INDEX) if self.options.restrict_ce_to_mask else mask  # (batch, seq)
        if "loss_ce" in weights and self._can_chunk():
            total, terms = self._chunked_terms(student, teacher, hidden, labels, soft, predictions, weights)
        else:
            total, terms = weighted(self._plain_terms(student, teacher, hidden, labels, soft, predictions), weights)
        if "loss_cos" in weights:
            terms["loss_cos"] = cosine_loss(hidden, predictions["hidden"], mask, projection)
            total = total + weights["loss_cos"] * terms["loss_cos"]
        return total, terms

    def _predictions(self, teacher: Any, inputs: Mapping[str, Any], cached: Tree | None) -> Tree:
        """Return the teacher's `hidden` (batch, seq, teacher's dim), or what it gave ahead of time."""
        if cached is not None or teacher is None:
            return check_cached(cached, self.options)
        if self.alphas.keys() == {"loss_mlm"}:
            return {}
        return {"hidden": stop_gradient(teacher.distilbert.forward(**inputs, return_dict=True).last_hidden_state)}

    def _can_chunk(self) -> bool:
        """Whether the loss is that of the paper."""
        return is_fast() and not (self._training.label_smoothing or self._training.class_weights)

    def _chunked_terms(
        self,
        student: Any,
        teacher: Any,
        hidden: Array,
        labels: Array,
        soft: Array,
        predictions: Tree,
        weights: Mapping[str, Array],
    ) -> tuple[Array, Terms]:
        """Return the terms that are of logits, and their weighted sum, without these logits."""
        labels, soft = jnp.ravel(labels), jnp.ravel(soft)  # (tokens,)
        is_labeled = labels != IGNORE_INDEX
        order = jnp.argsort(jnp.where(is_labeled, 0, jnp.where(soft, 1, 2)), stable=True)
        tokens, count = jnp.maximum(soft.sum(), 1), jnp.maximum(is_labeled.sum(), 1)
        factor, label_factor = weights["loss_ce"] / tokens, weights.get("loss_mlm", jnp.float32(0)) / count
        x = student.lm_transform(hidden.reshape(-1, hidden.shape[-1])[order])  # (tokens, dim)
        weight, bias = student.vocab_projector.weights(student.get_input_embeddings().embedding[...])
        label_weight = jnp.where(factor > 0, label_factor / jnp.where(factor > 0, factor, 1), 0)
        targets = self._targets(teacher, predictions, order)
        labels = labels[order] if "loss_mlm" in weights else jnp.full_like(labels, IGNORE_INDEX)
        total, divergence, cross_entropy = chunked_distillation(
            x, weight, bias, labels, soft[order], targets, self.options.temperature, label_weight
        )
        return total * factor, {"loss_ce": divergence / tokens, "loss_mlm": cross_entropy / count}

    def _targets(self, teacher: Any, predictions: Tree, order: Array) -> Targets:
        """Return the predictions for the tokens of a batch with indices (tokens,) among batch * seq."""
        chosen = {name: x.reshape(-1, x.shape[-1])[order] for name, x in predictions.items()}  # (tokens, …)
        if "indices" in chosen:
            return TopTargets(chosen["indices"], chosen["logits"])
        weight, bias = teacher.vocab_projector.weights(teacher.get_input_embeddings().embedding[...])
        return stop_gradient(ProjectedTargets(teacher.lm_transform(chosen["hidden"]), weight, bias))

    def _plain_terms(
        self, student: Any, teacher: Any, hidden: Array, labels: Array, soft: Array, predictions: Tree
    ) -> Terms:
        """Return the terms that are of logits, as `losses.distillation_loss` has them."""
        terms, temperature, training = {}, self.options.temperature, self._training
        x = student.lm_transform(hidden)  # (batch, seq, dim)
        weight, bias = student.vocab_projector.weights(student.get_input_embeddings().embedding[...])
        if "loss_ce" not in self.alphas and self._can_chunk():
            return {"loss_mlm": losses.masked_lm_loss(x, weight, bias, labels)} if "loss_mlm" in self.alphas else {}
        logits = x @ weight.T + bias  # (batch, seq, vocab)
        if "loss_ce" in self.alphas:
            if "indices" in predictions:
                divergence = top_divergence(logits, predictions["indices"], predictions["logits"], temperature)
            else:
                table = teacher.get_input_embeddings().embedding[...]
                expected = stop_gradient(teacher.vocab_projector(teacher.lm_transform(predictions["hidden"]), table))
                divergence = losses.kl_divergence(logits, expected, temperature)  # (batch, seq)
            terms["loss_ce"] = losses.masked_mean(divergence, soft) * temperature**2
        if "loss_mlm" in self.alphas:
            smoothing, class_weights = training.label_smoothing, training.class_weights
            terms["loss_mlm"] = losses.smoothed_cross_entropy(logits, labels, smoothing, class_weights)
        return terms

    def _task_terms(
        self, student: Any, teacher: Any, inputs: Mapping[str, Any], labels: Tree, projection: Array | None
    ) -> Terms:
        """Return the terms of a task other than masked LM."""
        flags = {"output_hidden_states": "loss_cos" in self.alphas, "return_dict": True}
        expected = teacher.forward(**inputs, **flags)
        output, terms = student.forward(**inputs, **labels, **flags), {}
        smoothing, class_weights = self._training.label_smoothing, self._training.class_weights
        if "loss_ce" in self.alphas:
            terms["loss_ce"] = soft_target_loss(
                self._head, output, expected, {**inputs, **labels}, self._config, self.options.temperature,
                class_weights,
            )  # fmt: skip
        if "loss_task" in self.alphas:
            terms["loss_task"] = output.loss
            if smoothing or class_weights:
                terms["loss_task"] = losses.smoothed_cross_entropy(
                    output.logits, labels["labels"], smoothing, class_weights
                )
        if "loss_cos" in self.alphas:
            hidden = output.hidden_states[-1], expected.hidden_states[-1]
            terms["loss_cos"] = cosine_loss(*hidden, token_mask(inputs), projection)
        return terms


def weighted(terms: Terms, weights: Mapping[str, Array]) -> tuple[Any, Terms]:
    """Return the sum of terms, each times its weight, and the terms."""
    return sum(weights[name] * term for name, term in terms.items()), terms


def cosine_loss(hidden: Array, expected: Array, mask: Array, projection: Array | None) -> Array:
    """Return the mean of 1 minus the cosine of hidden states over the tokens of a mask.

    Args:
        hidden: (batch, seq, dim), the student's.
        expected: (batch, seq, teacher's dim).
        mask: bool (batch, seq).
        projection: (teacher's dim, dim), or None.
    """
    if projection is not None:
        hidden = hidden @ projection.T.astype(hidden.dtype)  # (batch, seq, teacher's dim)
    check_widths(hidden.shape[-1], expected.shape[-1])
    return losses.masked_mean(1 - losses.cosine(hidden, stop_gradient(expected)), mask)
