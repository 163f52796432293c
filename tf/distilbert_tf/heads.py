"""The five task models: the bare model, a head, and its loss when labels are given.

Arguments, their order, outputs and layer names are those of transformers. Each `call` takes what
`TFDistilBertModel.call` takes, and labels; logits at padding that is left out are 0, those of question answering the
lowest finite value, so that no argmax or softmax finds an answer there. `reads` and `classes_of` tell, before a call is
compiled, which padding a head reads and which labels there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import ops

from distilbert_common import (
    BaseModelOutput,
    DistilBertConfig,
    MaskedLMOutput,
    MultipleChoiceModelOutput,
    QuestionAnsweringModelOutput,
    SequenceClassifierOutput,
    TokenClassifierOutput,
)
from distilbert_common.checks import Unpad, check_choices, check_loss_only, check_no_segments, check_two_labels
from distilbert_common.constants import IGNORE_INDEX
from distilbert_tf import losses
from distilbert_tf.activations import ACTIVATIONS
from distilbert_tf.arrays import Tensor, lowest
from distilbert_tf.checks import check_labels
from distilbert_tf.fast.layers import linear
from distilbert_tf.initialization import serializable
from distilbert_tf.layers import Projector, normalize, table_of
from distilbert_tf.layout import Layout, fill_padding, padded_layout
from distilbert_tf.losses import Losses
from distilbert_tf.modeling import TFDistilBertMainLayer
from distilbert_tf.pretrained import TFDistilBertPreTrainedModel
from distilbert_tf.segments import count_segments, first_tokens, segment_onehot

__all__ = [
    "TFDistilBertForMaskedLM",
    "TFDistilBertForMultipleChoice",
    "TFDistilBertForQuestionAnswering",
    "TFDistilBertForSequenceClassification",
    "TFDistilBertForTokenClassification",
]


def encode(
    model: TFDistilBertPreTrainedModel,
    input_ids: Tensor | None,
    attention_mask: Tensor | None,
    head_mask: Tensor | None,
    inputs_embeds: Tensor | None,
    output_attentions: bool | None,
    output_hidden_states: bool | None,
    position_ids: Tensor | None,
    segment_ids: Tensor | None,
    unpad: Unpad,
    layout: Layout | None,
    training: bool | None,
) -> tuple[BaseModelOutput, Layout]:
    """Call the bare model of a head: arguments as `TFDistilBertModel.call`.

    Returns:
        Its output, and how the tokens lay.
    """
    layout = padded_layout(attention_mask, segment_ids, unpad) if layout is None else layout
    encoded: BaseModelOutput = model.distilbert(
        input_ids=input_ids,
        head_mask=head_mask,
        inputs_embeds=inputs_embeds,
        output_attentions=output_attentions,
        output_hidden_states=output_hidden_states,
        position_ids=position_ids,
        layout=layout,
        training=training,
    )
    return encoded, layout


@serializable
class TFDistilBertForMaskedLM(TFDistilBertPreTrainedModel):
    """DistilBERT that predicts the token at each position.

    `labels` (batch, seq): the vocabulary id to predict, -100 where nothing counts. `loss_only=True` gives the loss
    alone, the same one, and projects labeled positions only, some at a time: less work and far less memory.
    """

    head = "ForMaskedLM"

    def __init__(self, config: DistilBertConfig, **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        self.activation = ACTIVATIONS[config.activation]
        self.distilbert = TFDistilBertMainLayer(self.config, **self.options("distilbert"))
        self.vocab_transform = self.linear("vocab_transform", config.dim)
        self.vocab_layer_norm = self.norm("vocab_layer_norm")
        self.vocab_projector = Projector(self.config, **self.options("vocab_projector"))
        self.post_init()

    def classes_of(self, labels: Tensor) -> int | None:
        """Return how many classes labels may name, or None where they are no classes."""
        return int(self.config.vocab_size)

    def task_losses(self, *logits_and_labels: Tensor, segment_ids: Tensor | None = None) -> tuple[Losses, ...]:
        """Return the losses of logits and labels."""
        return (losses.cross_entropies(*logits_and_labels),)

    def call(
        self, input_ids: Tensor | None = None, attention_mask: Tensor | None = None, head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None, output_attentions: bool | None = None,
        output_hidden_states: bool | None = None, return_dict: bool | None = None, labels: Tensor | None = None,
        training: bool | None = None, *, position_ids: Tensor | None = None, token_type_ids: Tensor | None = None,
        segment_ids: Tensor | None = None, unpad: Unpad = "auto", num_segments: int | None = None,
        loss_only: bool = False, layout: Layout | None = None,
    ) -> MaskedLMOutput | tuple[Tensor, ...]:  # fmt: skip
        """Return logits, and the loss where labels are given; see the class and `TFDistilBertModel.call`."""
        check_loss_only(loss_only, labels)
        encoded, layout = encode(
            self, input_ids, attention_mask, head_mask, inputs_embeds, output_attentions, output_hidden_states,
            position_ids, segment_ids, unpad, layout, training,
        )  # fmt: skip
        x = self.lm_transform(encoded.last_hidden_state)  # (batch, seq, dim)
        table = table_of(self.get_input_embeddings())  # (vocab, dim)
        if loss_only:
            weight, bias = self.vocab_projector.matrix(table)  # (vocab, dim), (vocab,)
            logits, loss = None, losses.masked_lm_loss(x, weight, bias, labels)
        else:
            logits = fill_padding(self.vocab_projector(x, table), layout.padding, 0.0)  # (batch, seq, vocab)
            loss = None if labels is None else self.task_loss(logits, labels)
        return self._as_output(MaskedLMOutput(loss, logits, encoded.hidden_states, encoded.attentions), return_dict)

    def lm_transform(self, x: Tensor) -> Tensor:
        """Return what is projected to the vocabulary: (…, dim) -> (…, dim)."""
        return normalize(self.vocab_layer_norm, self.activation(linear(self.vocab_transform, x)))


@serializable
class TFDistilBertForSequenceClassification(TFDistilBertPreTrainedModel):
    """DistilBERT that classifies or scores the whole input, from its first token.

    `labels`: (batch,) class ids, (batch,) or (batch, num_labels) numbers for regression, or (batch, num_labels)
    zeros and ones for several labels; see `losses.sequence_classification_loss`. With `segment_ids`, logits are (batch,
    num_segments, num_labels) and labels have that axis too.
    """

    head = "ForSequenceClassification"

    def __init__(self, config: DistilBertConfig, **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        self.distilbert = TFDistilBertMainLayer(self.config, **self.options("distilbert"))
        self.pre_classifier = self.linear("pre_classifier", config.dim)
        self.classifier = self.linear("classifier", config.num_labels)
        self.dropout = self.drop("dropout", config.seq_classif_dropout)
        self.post_init()

    def classes_of(self, labels: Tensor) -> int | None:
        """Return how many classes labels may name, or None where they are no classes."""
        single = losses.problem_type(2, labels, self.config) == "single_label_classification"
        return getattr(self.classifier, "units", None) if single else None

    def task_losses(self, *logits_and_labels: Tensor, segment_ids: Tensor | None = None) -> tuple[Losses, ...]:
        """Return the losses of logits and labels."""
        logits, labels = logits_and_labels
        mask = None  # (batch, num_segments), which segments there are
        if segment_ids is not None:
            mask = ops.any(segment_onehot(segment_ids, ops.shape(logits)[1]), axis=-1)
        return (losses.sequence_classification_losses(logits, labels, self.config, mask),)

    def reads(self, inputs: Mapping[str, Any]) -> np.ndarray:
        """Tell that the first token of a row is read; see `ModelCalls.reads`."""
        is_first: np.ndarray = np.arange(inputs["input_ids"].shape[-1])[None] == 0  # (1, seq)
        return is_first

    def call(
        self, input_ids: Tensor | None = None, attention_mask: Tensor | None = None, head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None, output_attentions: bool | None = None,
        output_hidden_states: bool | None = None, return_dict: bool | None = None, labels: Tensor | None = None,
        training: bool | None = None, *, position_ids: Tensor | None = None, token_type_ids: Tensor | None = None,
        segment_ids: Tensor | None = None, unpad: Unpad = "auto", num_segments: int | None = None,
        layout: Layout | None = None,
    ) -> SequenceClassifierOutput | tuple[Tensor, ...]:  # fmt: skip
        """Return logits, and the loss where labels are given; see the class and `TFDistilBertModel.call`."""
        encoded, layout = encode(
            self, input_ids, attention_mask, head_mask, inputs_embeds, output_attentions, output_hidden_states,
            position_ids, segment_ids, unpad, layout, training,
        )  # fmt: skip
        x = encoded.last_hidden_state  # (batch, seq, dim)
        if layout.segment_ids is None:
            x = x[:, 0]  # (batch, dim)
        else:
            num_segments = count_segments(layout.segment_ids, labels, num_segments)
            x = first_tokens(x, layout.segment_ids, num_segments)  # (batch, num_segments, dim)
        logits = self.classifier(self.dropout(ops.relu(self.pre_classifier(x))))  # (batch, …, num_labels)
        loss = None if labels is None else self.task_loss(logits, labels, segment_ids=layout.segment_ids)
        output = SequenceClassifierOutput(loss, logits, encoded.hidden_states, encoded.attentions)
        return self._as_output(output, return_dict)


@serializable
class TFDistilBertForMultipleChoice(TFDistilBertPreTrainedModel):
    """DistilBERT that picks one of several continuations.

    Ids, masks and positions are (batch, choices, seq), embeddings (batch, choices, seq, dim);
    `labels` (batch,): the index of the right choice.
    """

    head = "ForMultipleChoice"
    input_axes = 3

    def __init__(self, config: DistilBertConfig, **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        self.distilbert = TFDistilBertMainLayer(self.config, **self.options("distilbert"))
        self.pre_classifier = self.linear("pre_classifier", config.dim)
        self.classifier = self.linear("classifier", 1)
        self.dropout = self.drop("dropout", config.seq_classif_dropout)
        self.post_init()

    def check(self, **inputs: Any) -> None:
        """Check the arguments of one call before any compute, the choices axis too."""
        check_no_segments(inputs.get("segment_ids"))
        super().check(**inputs)
        shape, axes = (inputs["input_ids"].shape, 3) if "input_ids" in inputs else (inputs["inputs_embeds"].shape, 4)
        check_choices(tuple(0 if size is None else size for size in shape), axes)
        if "labels" in inputs:
            check_labels(inputs["labels"], shape[1], IGNORE_INDEX)

    def task_losses(self, *logits_and_labels: Tensor, segment_ids: Tensor | None = None) -> tuple[Losses, ...]:
        """Return the losses of logits and labels."""
        return (losses.cross_entropies(*logits_and_labels),)

    def call(
        self, input_ids: Tensor | None = None, attention_mask: Tensor | None = None, head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None, output_attentions: bool | None = None,
        output_hidden_states: bool | None = None, return_dict: bool | None = None, labels: Tensor | None = None,
        training: bool | None = None, *, position_ids: Tensor | None = None, token_type_ids: Tensor | None = None,
        segment_ids: Tensor | None = None, unpad: Unpad = "auto", num_segments: int | None = None,
        layout: Layout | None = None,
    ) -> MultipleChoiceModelOutput | tuple[Tensor, ...]:  # fmt: skip
        """Return logits, and the loss where labels are given; see the class and `TFDistilBertModel.call`."""
        choices = ops.shape(inputs_embeds if input_ids is None else input_ids)[1]

        input_ids, attention_mask, inputs_embeds, position_ids = (
            ops.reshape(x, (-1, *ops.shape(x)[2:])) if x is not None and len(x.shape) > 2 else x
            for x in (input_ids, attention_mask, inputs_embeds, position_ids)
        )  # (batch * choices, seq, …) each
        encoded, layout = encode(
            self, input_ids, attention_mask, head_mask, inputs_embeds, output_attentions, output_hidden_states,
            position_ids, None, unpad, layout, training,
        )  # fmt: skip
        first = encoded.last_hidden_state[:, 0]  # (batch * choices, dim)
        scores = self.classifier(self.dropout(ops.relu(self.pre_classifier(first))))  # (batch * choices, 1)
        logits = ops.reshape(scores, (-1, choices))  # (batch, choices)
        loss = None if labels is None else self.task_loss(logits, labels)
        output = MultipleChoiceModelOutput(loss, logits, encoded.hidden_states, encoded.attentions)
        return self._as_output(output, return_dict)


@serializable
class TFDistilBertForTokenClassification(TFDistilBertPreTrainedModel):
    """DistilBERT that labels each token.

    `labels` (batch, seq): class ids, -100 where nothing counts.
    """

    head = "ForTokenClassification"

    def __init__(self, config: DistilBertConfig, **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        self.distilbert = TFDistilBertMainLayer(self.config, **self.options("distilbert"))
        self.dropout = self.drop("dropout", config.dropout)
        self.classifier = self.linear("classifier", config.num_labels)
        self.post_init()

    def classes_of(self, labels: Tensor) -> int | None:
        """Return how many classes labels may name, or None where they are no classes."""
        return getattr(self.classifier, "units", None)

    def task_losses(self, *logits_and_labels: Tensor, segment_ids: Tensor | None = None) -> tuple[Losses, ...]:
        """Return the losses of logits and labels."""
        return (losses.cross_entropies(*logits_and_labels),)

    def call(
        self, input_ids: Tensor | None = None, attention_mask: Tensor | None = None, head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None, output_attentions: bool | None = None,
        output_hidden_states: bool | None = None, return_dict: bool | None = None, labels: Tensor | None = None,
        training: bool | None = None, *, position_ids: Tensor | None = None, token_type_ids: Tensor | None = None,
        segment_ids: Tensor | None = None, unpad: Unpad = "auto", num_segments: int | None = None,
        layout: Layout | None = None,
    ) -> TokenClassifierOutput | tuple[Tensor, ...]:  # fmt: skip
        """Return logits, and the loss where labels are given; see the class and `TFDistilBertModel.call`."""
        encoded, layout = encode(
            self, input_ids, attention_mask, head_mask, inputs_embeds, output_attentions, output_hidden_states,
            position_ids, segment_ids, unpad, layout, training,
        )  # fmt: skip
        logits = self.classifier(self.dropout(encoded.last_hidden_state))  # (batch, seq, num_labels)
        logits = fill_padding(logits, layout.padding, 0.0)
        loss = None if labels is None else self.task_loss(logits, labels)
        output = TokenClassifierOutput(loss, logits, encoded.hidden_states, encoded.attentions)
        return self._as_output(output, return_dict)


@serializable
class TFDistilBertForQuestionAnswering(TFDistilBertPreTrainedModel):
    """DistilBERT that marks the answer to a question in a text.

    `start_positions` and `end_positions` (batch,): first and last token of the answer; both or neither. With
    `segment_ids` they are (batch, num_segments), counted from the first token of each segment. Padding takes part in
    the loss, as in transformers, so that it is not left out where positions are given, unless `unpad=True` says so.
    """

    head = "ForQuestionAnswering"
    logit_names = ("start_logits", "end_logits")
    label_names = ("start_positions", "end_positions")

    def __init__(self, config: DistilBertConfig, **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        check_two_labels(config.num_labels)
        self.distilbert = TFDistilBertMainLayer(self.config, **self.options("distilbert"))
        self.qa_outputs = self.linear("qa_outputs", config.num_labels)
        self.dropout = self.drop("dropout", config.qa_dropout)
        self.post_init()

    def task_losses(self, *logits_and_labels: Tensor, segment_ids: Tensor | None = None) -> tuple[Losses, ...]:
        """Return the losses of the start positions and those of the end positions."""
        start_logits, end_logits, start_positions, end_positions = logits_and_labels
        start, end = (start_logits, start_positions), (end_logits, end_positions)
        return tuple(losses.position_losses(*task, segment_ids) for task in (start, end))

    def reads(self, inputs: Mapping[str, Any]) -> bool:
        """Tell whether a loss is computed, in which padding takes part, as in transformers."""
        return any(name in inputs for name in self.label_names)

    def call(
        self, input_ids: Tensor | None = None, attention_mask: Tensor | None = None, head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None, output_attentions: bool | None = None,
        output_hidden_states: bool | None = None, return_dict: bool | None = None,
        start_positions: Tensor | None = None, end_positions: Tensor | None = None, training: bool | None = None, *,
        position_ids: Tensor | None = None, token_type_ids: Tensor | None = None, segment_ids: Tensor | None = None,
        unpad: Unpad = "auto", num_segments: int | None = None, layout: Layout | None = None,
    ) -> QuestionAnsweringModelOutput | tuple[Tensor, ...]:  # fmt: skip
        """Return logits, and the loss where positions are given; see the class and `TFDistilBertModel.call`."""
        encoded, layout = encode(
            self, input_ids, attention_mask, head_mask, inputs_embeds, output_attentions, output_hidden_states,
            position_ids, segment_ids, unpad, layout, training,
        )  # fmt: skip
        logits = self.qa_outputs(self.dropout(encoded.last_hidden_state))  # (batch, seq, 2)
        logits = fill_padding(logits, layout.padding, lowest(logits.dtype))
        start_logits, end_logits = logits[..., 0], logits[..., 1]  # (batch, seq) each
        loss = None
        if start_positions is not None and end_positions is not None:
            task = (start_logits, end_logits, start_positions, end_positions)
            loss = self.task_loss(*task, segment_ids=layout.segment_ids)
        output = QuestionAnsweringModelOutput(loss, start_logits, end_logits, encoded.hidden_states, encoded.attentions)
        return self._as_output(output, return_dict)
