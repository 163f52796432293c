"""Distillation: a teacher, or what one gave ahead of time, and the loss by which a student learns from it.

The terms are those of `losses.distillation_loss` for masked LM (Sanh et al., arXiv 1910.01108, section 2), and the same
idea for the other tasks: the teacher's softened predictions, the labels, and the direction of the hidden states.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

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
from distilbert_pt import losses
from distilbert_pt.fast.chunked_distillation import ProjectedTargets, Targets, TopTargets, chunked_distillation
from distilbert_pt.framework.hooks import is_plain_linear
from distilbert_pt.soft_targets import soft_target_loss, top_divergence
from distilbert_pt.teachers import frozen, token_mask

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

    def __init__(self, model: Any, options: EngineOptions, teacher: Any, device: torch.device) -> None:
        """Check the teacher, place it, and make the projection.

        Args:
            model: The student.
            options: Those of its training, `distillation` among them.
            teacher: A model of the same class, or None. It is taken over: its parameters are cast to
                `teacher_precision`, and not trained any more.
            device: Where the student computes.

        Raises:
            InputError: The teacher does not fit the student.
        """
        assert options.distillation is not None
        self._training, self.options = options, options.distillation
        self._model, self.teacher = model, teacher
        self.alphas = term_alphas(model._table_head, self.options)
        if teacher is not None:
            if teacher is model:
                raise InputError("the teacher is the student itself; load it a second time")
            check_teacher(model._table_head, model.config, teacher._table_head, teacher.config, self.options)
            teacher.to(device, getattr(torch, self.options.teacher_precision)).eval().requires_grad_(False)
        is_masked_lm = model._table_head == "ForMaskedLM"
        self._encode = torch.compile(model.distilbert) if options.compile and is_masked_lm else model.distilbert
        shape = projection_shape(model.config, self.options, None if teacher is None else teacher.config)
        self.projection: nn.Parameter | None = None
        if shape is not None:
            values = initial_weights({HIDDEN_PROJECTION: shape}, model.config, options.seed)[HIDDEN_PROJECTION]
            self.projection = nn.Parameter(torch.from_numpy(values).to(device))

    @property
    def parameters(self) -> dict[str, nn.Parameter]:
        """What is trained beside the student, by its name in a state."""
        return {} if self.projection is None else {HIDDEN_PROJECTION: self.projection}

    def loss(
        self,
        call: Callable[..., Any],
        inputs: Tensors,
        labels: Tensors,
        cached: Tensors | None,
        shares: Mapping[str, float],
    ) -> tuple[Tensor, Terms]:
        """Return the loss of a micro batch.

        Args:
            call: The student.
            inputs: Its arguments without labels.
            labels: Its arguments that are labels.
            cached: What a teacher gave ahead of time, as `MicroBatch.teacher`; None to ask it now.
            shares: The share of each term in that of the step.

        Returns:
            The weighted sum of the terms, and each term by name, all times their shares.

        Raises:
            InputError: There is no teacher, and too little was given ahead of time.
        """
        weights = {name: alpha * shares[name] for name, alpha in self.alphas.items()}
        if self._model._table_head == "ForMaskedLM":
            total, terms = self._masked_lm_loss(inputs, labels["labels"], cached, weights)
        else:
            total, terms = weighted(self._task_terms(call, inputs, labels), weights)
        return total, {name: terms[name].detach() * share for name, share in shares.items()}

    def _masked_lm_loss(
        self, inputs: Tensors, labels: Tensor, cached: Tensors | None, weights: Mapping[str, float]
    ) -> tuple[Tensor, Terms]:
        """Return the triple loss of masked LM, and its terms."""
        predictions = self._predictions(inputs, cached)
        hidden = self._encode(**inputs, return_dict=True).last_hidden_state  # (batch, seq, dim)
        mask = token_mask(inputs)  # (batch, seq)
        if self._can_chunk():
            total, terms = self._chunked_terms(hidden, labels, mask, predictions, weights)
        else:
            total, terms = weighted(self._plain_terms(hidden, labels, mask, predictions), weights)
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
        with frozen(self.teacher):
            return {"hidden": self.teacher.distilbert(**inputs, return_dict=True).last_hidden_state}

    def _can_chunk(self) -> bool:
        """Whether the projectors to the vocabulary are products, and the loss is that of the paper."""
        models = [self._model] if self.teacher is None else [self._model, self.teacher]
        plain = all(is_plain_linear(one.vocab_projector) and one.vocab_projector.bias is not None for one in models)
        return plain and is_fast() and not (self._training.label_smoothing or self._training.class_weights)

    def _chunked_terms(
        self, hidden: Tensor, labels: Tensor, mask: Tensor, predictions: Tensors, weights: Mapping[str, float]
    ) -> tuple[Tensor, Terms]:
        """Return the terms that are of logits, and their weighted sum, without these logits."""
        if "loss_ce" not in weights:
            labeled = labels != IGNORE_INDEX  # (batch, seq)
            parts = (hidden[labeled], labels[labeled])  # (labeled, dim), (labeled,)
            return weighted({"loss_mlm": self._model._loss_at(*parts)} if "loss_mlm" in weights else {}, weights)
        labeled = (labels != IGNORE_INDEX).flatten()  # (batch * seq,)
        order = first = labeled.nonzero()[:, 0]  # (labeled,)
        if not self.options.restrict_ce_to_mask:
            order = torch.cat([first, (mask.flatten() & ~labeled).nonzero()[:, 0]])  # (tokens,), labeled ones first
        tokens, count = max(1, len(order)), max(1, len(first))
        if "loss_mlm" not in weights:
            first = first[:0]
        factor, label_factor = weights["loss_ce"] / tokens, weights.get("loss_mlm", 0.0) / count
        x = self._model.lm_transform(hidden.flatten(0, 1).index_select(0, order))  # (tokens, dim)
        projector, targets = self._model.vocab_projector, self._targets(predictions, order)
        total, divergence, cross_entropy = chunked_distillation(
            x, projector.weight, projector.bias, labels.flatten()[first], targets, self.options.temperature,
            label_factor / (factor or 1.0),
        )  # fmt: skip
        return total * factor, {"loss_ce": divergence / tokens, "loss_mlm": cross_entropy / count}

    def _targets(self, predictions: Tensors, order: Tensor) -> Targets:
        """Return the predictions for the tokens of a batch with indices (tokens,) among batch * seq."""
        chosen = {name: x.flatten(0, 1).index_select(0, order) for name, x in predictions.items()}
        if "indices" in chosen:
            return TopTargets(chosen["indices"], chosen["logits"])
        projector = self.teacher.vocab_projector
        with frozen(self.teacher):
            return ProjectedTargets(self.teacher.lm_transform(chosen["hidden"]), projector.weight, projector.bias)

    def _plain_terms(self, hidden: Tensor, labels: Tensor, mask: Tensor, predictions: Tensors) -> Terms:
        """Return the terms that are of logits, as `losses.distillation_loss` has them."""
        terms, temperature, training = {}, self.options.temperature, self._training
        logits = self._model.vocab_projector(self._model.lm_transform(hidden))  # (batch, seq, vocab)
        if "loss_ce" in self.alphas:
            if "indices" in predictions:
                divergence = top_divergence(logits, predictions["indices"], predictions["logits"], temperature)
            else:
                with frozen(self.teacher):
                    expected = self.teacher.vocab_projector(self.teacher.lm_transform(predictions["hidden"]))
                divergence = losses.kl_divergence(logits, expected, temperature)  # (batch, seq)
            soft = mask & (labels != IGNORE_INDEX) if self.options.restrict_ce_to_mask else mask  # (batch, seq)
            terms["loss_ce"] = losses.masked_mean(divergence, soft) * temperature**2
        if "loss_mlm" in self.alphas:
            smoothing, class_weights = training.label_smoothing, training.class_weights
            terms["loss_mlm"] = losses.smoothed_cross_entropy(logits, labels, smoothing, class_weights)
        return terms

    def _cosine_loss(self, hidden: Tensor, expected: Tensor, mask: Tensor) -> Tensor:
        """Return the mean of 1 minus the cosine of hidden states (batch, seq, …) over the tokens of a mask."""
        hidden, expected = hidden[mask], expected[mask]  # (tokens, dim), (tokens, teacher's dim)
        if self.projection is not None:
            hidden = F.linear(hidden, self.projection)  # (tokens, teacher's dim)
        check_widths(hidden.size(-1), expected.size(-1))
        return (1 - losses.cosine(hidden, expected)).sum() / max(1, len(hidden))

    def _task_terms(self, call: Callable[..., Any], inputs: Tensors, labels: Tensors) -> Terms:
        """Return the terms of a task other than masked LM."""
        flags = {"output_hidden_states": "loss_cos" in self.alphas, "return_dict": True}
        with frozen(self.teacher):
            expected = self.teacher(**inputs, **flags)
        output, terms = call(**inputs, **labels, **flags), {}
        smoothing, class_weights = self._training.label_smoothing, self._training.class_weights
        if "loss_ce" in self.alphas:
            terms["loss_ce"] = soft_target_loss(
                self._model._table_head, output, expected, {**inputs, **labels}, self._model.config,
                self.options.temperature, class_weights,
            )  # fmt: skip
        if "loss_task" in self.alphas:
            plain = not (smoothing or class_weights)
            terms["loss_task"] = (
                output.loss
                if plain
                else losses.smoothed_cross_entropy(output.logits, labels["labels"], smoothing, class_weights)
            )
        if "loss_cos" in self.alphas:
            hidden = output.hidden_states[-1], expected.hidden_states[-1]
            terms["loss_cos"] = self._cosine_loss(*hidden, token_mask(inputs))
        return terms


def weighted(terms: Terms, weights: Mapping[str, float]) -> tuple[Any, Terms]:
    """Return the sum of terms, each times its weight, and the terms."""
    return sum(weights[name] * term for name, term in terms.items()), terms
