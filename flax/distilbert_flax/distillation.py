"""Distillation: the loss by which a student learns, in Flax; `BaseDistillation` says which terms it has."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.lax import stop_gradient
from jax.sharding import Sharding

from distilbert_common.base_distillation import BaseDistillation
from distilbert_common.constants import IGNORE_INDEX, is_fast
from distilbert_common.distillation import check_widths
from distilbert_common.training import EngineOptions
from distilbert_flax import losses, soft_targets, teachers
from distilbert_flax.fast.chunked_distillation import ProjectedTargets, Targets, TopTargets, chunked_distillation
from distilbert_flax.framework.functional import nested
from distilbert_flax.framework.precision import computing_in
from distilbert_flax.framework.variables import bind
from distilbert_flax.inventory import named_variables, paths_of
from distilbert_flax.teachers import place_teacher

__all__ = ["Distillation"]

Tensors = Mapping[str, Any]
Terms = dict[str, Array]


class Distillation(BaseDistillation):
    """How one student learns."""

    losses, soft_targets, teachers = losses, soft_targets, teachers

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
        super().__init__(model, options, teacher)
        if teacher is not None:
            place_teacher(teacher, self.options.teacher_precision, everywhere)
            self._computing, self._paths = computing_in(teacher, self.options.teacher_precision), paths_of(teacher)
        values = self._initial_projection()
        if values is not None:
            self.projection = nnx.Param(jax.device_put(values, everywhere))

    def teacher_values(self) -> dict[str, Array]:
        """Return the values of the teacher's parameters, by name."""
        if self.teacher is None:
            return {}
        return {name: variable.get_raw_value() for name, variable in named_variables(self.teacher).items()}

    def bound(self, teacher_values: Mapping[str, Array], projection: Array | None) -> Distillation:
        """Return the same with these values for teacher and projection, so that the loss is a pure function of them.

        Args:
            teacher_values: As `teacher_values` returns them.
            projection: (teacher's dim, dim), or None.
        """
        distillation = copy(self)
        distillation.projection = projection
        if self.teacher is not None:
            params = nested({path: teacher_values[name] for name, path in self._paths.items()})
            distillation.teacher = bind(self._computing, params, None, False)
        return distillation

    @staticmethod
    def _head_of(model: Any) -> str:
        """Return the end of a model's class name, as "ForMaskedLM"."""
        return model._table_head

    def _student_states(self, student: Any, inputs: Tensors) -> Array:
        """Return the student's last hidden states (batch, seq, dim)."""
        return student.distilbert.forward(**inputs, return_dict=True).last_hidden_state

    def _teacher_states(self, inputs: Tensors) -> Array:
        """Return the teacher's last hidden states (batch, seq, teacher's dim), without gradients."""
        return stop_gradient(self.teacher.distilbert.forward(**inputs, return_dict=True).last_hidden_state)

    def _student_output(self, student: Any, arguments: Tensors) -> Any:
        """Return what the student gives in training."""
        return student.forward(**arguments)

    def _teacher_output(self, arguments: Tensors) -> Any:
        """Return what the teacher gives; no gradient is taken of its parameters."""
        return self.teacher.forward(**arguments)

    def _student_logits(self, student: Any, hidden: Array) -> Array:
        """Return a masked LM's logits: (batch, seq, dim) -> (batch, seq, vocab)."""
        weight, bias = projection_of(student)
        return student.lm_transform(hidden) @ weight.T + bias

    def _teacher_logits(self, hidden: Array) -> Array:
        """Return the teacher's logits without gradients: (batch, seq, teacher's dim) -> (batch, seq, vocab)."""
        table = self.teacher.get_input_embeddings().embedding[...]
        return stop_gradient(self.teacher.vocab_projector(self.teacher.lm_transform(hidden), table))

    def _labels_loss(self, student: Any, hidden: Array, labels: Array) -> Array:
        """Return the masked-LM loss of labels alone, without logits: a scalar."""
        return losses.masked_lm_loss(student.lm_transform(hidden), *projection_of(student), labels)

    def _cosine_loss(self, hidden: Array, expected: Array, mask: Array) -> Array:
        """Return the mean of 1 minus the cosine of hidden states (batch, seq, …) over the tokens of a mask."""
        if self.projection is not None:
            hidden = hidden @ self.projection.T.astype(hidden.dtype)  # (batch, seq, teacher's dim)
        check_widths(hidden.shape[-1], expected.shape[-1])
        return losses.masked_mean(1 - losses.cosine(hidden, stop_gradient(expected)), mask)

    def _can_chunk(self, student: Any, hidden: Array) -> bool:
        """Whether the loss is that of the paper."""
        return is_fast() and not (self._training.label_smoothing or self._training.class_weights)

    def _chunked_terms(
        self, student: Any, hidden: Array, labels: Array, soft: Array, predictions: Tensors,
        weights: Mapping[str, Array],
    ) -> tuple[Array, Terms]:  # fmt: skip
        """Return the weighted sum of the terms that are of logits, and these terms, without logits."""
        labels, soft = jnp.ravel(labels), jnp.ravel(soft)  # (tokens,)
        is_labeled = labels != IGNORE_INDEX
        order = jnp.argsort(jnp.where(is_labeled, 0, jnp.where(soft, 1, 2)), stable=True)
        tokens, count = jnp.maximum(soft.sum(), 1), jnp.maximum(is_labeled.sum(), 1)
        factor, label_factor = weights["loss_ce"] / tokens, weights.get("loss_mlm", jnp.float32(0)) / count
        x = student.lm_transform(hidden.reshape(-1, hidden.shape[-1])[order])  # (tokens, dim)
        label_weight = jnp.where(factor > 0, label_factor / jnp.where(factor > 0, factor, 1), 0)
        labels = labels[order] if "loss_mlm" in weights else jnp.full_like(labels, IGNORE_INDEX)
        total, divergence, cross_entropy = chunked_distillation(
            x, *projection_of(student), labels, soft[order], self._targets(predictions, order),
            self.options.temperature, label_weight,
        )  # fmt: skip
        return total * factor, {"loss_ce": divergence / tokens, "loss_mlm": cross_entropy / count}

    def _targets(self, predictions: Tensors, order: Array) -> Targets:
        """Return the predictions for the tokens of a batch with indices (tokens,) among batch * seq."""
        chosen = {name: x.reshape(-1, x.shape[-1])[order] for name, x in predictions.items()}  # (tokens, …)
        if "indices" in chosen:
            return TopTargets(chosen["indices"], chosen["logits"])
        x = self.teacher.lm_transform(chosen["hidden"])  # (tokens, teacher's dim)
        return stop_gradient(ProjectedTargets(x, *projection_of(self.teacher)))


def projection_of(model: Any) -> tuple[Array, Array]:
    """Return what a masked LM multiplies by and adds: (vocab, dim) and (vocab,)."""
    return model.vocab_projector.weights(model.get_input_embeddings().embedding[...])
