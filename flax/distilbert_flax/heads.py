"""The five task models: the bare model, a head, and its loss when labels are given.

Arguments, their order, outputs and parameter names are those of transformers. Each `forward` takes what
`FlaxDistilBertModel.forward` takes, and labels; logits at padding that is left out are 0, those of question answering
the lowest finite value, so that no argmax or softmax finds an answer there. `check_labels` and `reads` tell compiled
calls what they have to know before; see `FunctionalModule`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from distilbert_common import (
    BaseModelOutput,
    DistilBertConfig,
    MaskedLMOutput,
    MultipleChoiceModelOutput,
    QuestionAnsweringModelOutput,
    SequenceClassifierOutput,
    TokenClassifierOutput,
)
from distilbert_common.checks import (
    Unpad,
    check_choices,
    check_loss_only,
    check_no_segments,
    check_one_input,
    check_one_mask,
    check_two_labels,
)
from distilbert_flax import losses
from distilbert_flax.checks import check_classes
from distilbert_flax.framework.options import Options
from distilbert_flax.layers import out_features
from distilbert_flax.layout import Layout, fill_padding, padded_layout
from distilbert_flax.modeling import FlaxDistilBertModel
from distilbert_flax.pretrained import FlaxDistilBertPreTrainedModel
from distilbert_flax.segments import count_segments, first_tokens, segment_ids_of, segment_onehot

__all__ = [
    "FlaxDistilBertForMaskedLM",
    "FlaxDistilBertForMultipleChoice",
    "FlaxDistilBertForQuestionAnswering",
    "FlaxDistilBertForSequenceClassification",
    "FlaxDistilBertForTokenClassification",
]


def encode(
    model: Any,
    input_ids: Array | None,
    attention_mask: Array | None,
    head_mask: Array | None,
    inputs_embeds: Array | None,
    output_attentions: bool | None,
    output_hidden_states: bool | None,
    position_ids: Array | None,
    token_type_ids: Array | None,
    segment_ids: Array | None,
    unpad: Unpad,
    layout: Layout | None,
) -> tuple[BaseModelOutput, Layout]:
    """Call the bare model of a head: arguments as `FlaxDistilBertModel.forward`.

    Returns:
        Its output, and how the tokens lay.
    """
    check_one_mask(attention_mask, segment_ids, layout)
    if layout is None:
        layout = padded_layout(attention_mask, segment_ids, unpad)
    encoded = model.distilbert.forward(
        input_ids=input_ids,
        head_mask=head_mask,
        inputs_embeds=inputs_embeds,
        output_attentions=output_attentions,
        output_hidden_states=output_hidden_states,
        return_dict=True,
        position_ids=position_ids,
        token_type_ids=token_type_ids,
        layout=layout,
    )
    return encoded, layout


class FlaxDistilBertForMaskedLM(FlaxDistilBertPreTrainedModel):
    """DistilBERT that predicts the token at each position.

    `labels` (batch, seq): the vocabulary id to predict, -100 where nothing counts. `loss_only=True` gives the loss
    alone, the same one, and projects labeled positions only, some at a time: less work and far less memory.
    """

    _table_head = "ForMaskedLM"
    padding_is_unseen = True
    takes_segments = False

    def __init__(self, config: DistilBertConfig, **options: Unpack[Options]) -> None:
        make = self.begin(config, **options)
        self.activation = make.activation(config.activation)
        self.distilbert = FlaxDistilBertModel(self.config, **make.inner())
        self.vocab_transform = make.linear(config.dim, config.dim)
        self.vocab_layer_norm = make.norm(config.dim)
        self.vocab_projector = make.projector(config.dim, config.vocab_size, tied=config.tie_word_embeddings)
        self.post_init(make)

    def forward(
        self, input_ids: Array | None = None, attention_mask: Array | None = None, head_mask: Array | None = None,
        inputs_embeds: Array | None = None, labels: Array | None = None, output_attentions: bool | None = None,
        output_hidden_states: bool | None = None, return_dict: bool | None = None, position_ids: Array | None = None,
        token_type_ids: Array | None = None, segment_ids: Array | None = None, unpad: Unpad = "auto",
        num_segments: int | None = None, loss_only: bool = False, layout: Layout | None = None,
    ) -> MaskedLMOutput | tuple[Array, ...]:  # fmt: skip
        """Return logits, and the loss where labels are given; see the class and `FlaxDistilBertModel.forward`."""
        check_loss_only(loss_only, labels)
        encoded, layout = encode(
            self, input_ids, attention_mask, head_mask, inputs_embeds, output_attentions, output_hidden_states,
            position_ids, token_type_ids, segment_ids, unpad, layout,
        )  # fmt: skip
        x, table = self.lm_transform(encoded.last_hidden_state), self.get_input_embeddings().embedding[...]
        logits = None
        if loss_only:
            weight, bias = self.vocab_projector.weights(table)  # (vocab, dim), (vocab,)
            loss = losses.masked_lm_loss(x, weight, bias, labels)
        else:
            logits = fill_padding(self.vocab_projector(x, table), layout.padding, 0.0)  # (batch, seq, vocab)
            loss = None if labels is None else losses.cross_entropy(logits, labels)
        return self._as_output(MaskedLMOutput(loss, logits, encoded.hidden_states, encoded.attentions), return_dict)

    def lm_transform(self, x: Array) -> Array:
        """Return what is projected to the vocabulary: (…, dim) -> (…, dim)."""
        return self.vocab_layer_norm(self.activation(self.vocab_transform(x)))

    def check_labels(self, inputs: Mapping[str, Any]) -> bool:
        """Refuse labels outside the vocabulary; see `FunctionalModule.check_labels`."""
        return check_classes(inputs["labels"], out_features(self.vocab_projector))


class FlaxDistilBertForSequenceClassification(FlaxDistilBertPreTrainedModel):
    """DistilBERT that classifies or scores the whole input, from its first token.

    `labels`: (batch,) class ids, (batch,) or (batch, num_labels) numbers for regression, or (batch, num_labels)
    zeros and ones for several labels; see `losses.sequence_classification_loss`. With `segment_ids`, logits are (batch,
    num_segments, num_labels) and labels have that axis too.
    """

    _table_head = "ForSequenceClassification"
    padding_is_unseen = True
    takes_segments = True

    def __init__(self, config: DistilBertConfig, **options: Unpack[Options]) -> None:
        make = self.begin(config, **options)
        self.distilbert = FlaxDistilBertModel(self.config, **make.inner())
        self.pre_classifier = make.linear(config.dim, config.dim)
        self.classifier = make.linear(config.dim, config.num_labels)
        self.dropout = make.dropout(config.seq_classif_dropout)
        self.post_init(make)

    def reads(self, inputs: Mapping[str, Any]) -> np.ndarray:
        """Tell that the first token of a row is read; see `FunctionalModule.reads`."""
        return np.arange(inputs["input_ids"].shape[-1])[None] == 0  # (1, seq)

    def forward(
        self, input_ids: Array | None = None, attention_mask: Array | None = None, head_mask: Array | None = None,
        inputs_embeds: Array | None = None, labels: Array | None = None, output_attentions: bool | None = None,
        output_hidden_states: bool | None = None, return_dict: bool | None = None, position_ids: Array | None = None,
        token_type_ids: Array | None = None, segment_ids: Array | None = None, unpad: Unpad = "auto",
        num_segments: int | None = None, layout: Layout | None = None,
    ) -> SequenceClassifierOutput | tuple[Array, ...]:  # fmt: skip
        """Return logits, and the loss where labels are given; see the class and `FlaxDistilBertModel.forward`."""
        encoded, layout = encode(
            self, input_ids, attention_mask, head_mask, inputs_embeds, output_attentions, output_hidden_states,
            position_ids, token_type_ids, segment_ids, unpad, layout,
        )  # fmt: skip
        x, mask = encoded.last_hidden_state, None  # (batch, seq, dim)
        if layout.segment_ids is None:
            x = x[:, 0]  # (batch, dim)
        else:
            num_segments = count_segments(layout.segment_ids, labels, num_segments)
            x = first_tokens(x, layout.segment_ids, num_segments)  # (batch, num_segments, dim)
            mask = segment_onehot(layout.segment_ids, num_segments).any(axis=-1)  # (batch, num_segments)
        logits = self.classifier(self.dropout(jax.nn.relu(self.pre_classifier(x))))  # (batch, …, num_labels)
        loss = None if labels is None else losses.sequence_classification_loss(logits, labels, self.config, mask)
        output = SequenceClassifierOutput(loss, logits, encoded.hidden_states, encoded.attentions)
        return self._as_output(output, return_dict)

    def check_labels(self, inputs: Mapping[str, Any]) -> bool:
        """Refuse labels that are no classes, where they have to be; see `FunctionalModule.check_labels`."""
        labels, segment_ids = inputs["labels"], segment_ids_of(inputs)
        if losses.problem_type(2 if segment_ids is None else 3, labels, self.config) != "single_label_classification":
            return True
        if segment_ids is not None:
            numbers = np.arange(1, labels.shape[1] + 1)
            has_segment = (np.asarray(segment_ids)[:, None, :] == numbers[:, None]).any(-1)  # (batch, num_segments)
            labels = np.asarray(labels)[has_segment]
        return check_classes(labels, out_features(self.classifier))


class FlaxDistilBertForMultipleChoice(FlaxDistilBertPreTrainedModel):
    """DistilBERT that picks one of several continuations.

    Ids, masks and positions are (batch, choices, seq), embeddings (batch, choices, seq, dim);
    `labels` (batch,): the index of the right choice.
    """

    _table_head = "ForMultipleChoice"
    takes_segments = False

    def __init__(self, config: DistilBertConfig, **options: Unpack[Options]) -> None:
        make = self.begin(config, **options)
        self.distilbert = FlaxDistilBertModel(self.config, **make.inner())
        self.pre_classifier = make.linear(config.dim, config.dim)
        self.classifier = make.linear(config.dim, 1)
        self.dropout = make.dropout(config.seq_classif_dropout)
        self.post_init(make)

    def forward(
        self, input_ids: Array | None = None, attention_mask: Array | None = None, head_mask: Array | None = None,
        inputs_embeds: Array | None = None, labels: Array | None = None, output_attentions: bool | None = None,
        output_hidden_states: bool | None = None, return_dict: bool | None = None, position_ids: Array | None = None,
        token_type_ids: Array | None = None, segment_ids: Array | None = None, unpad: Unpad = "auto",
        num_segments: int | None = None, layout: Layout | None = None,
    ) -> MultipleChoiceModelOutput | tuple[Array, ...]:  # fmt: skip
        """Return logits, and the loss where labels are given; see the class and `FlaxDistilBertModel.forward`."""
        check_one_input(input_ids, inputs_embeds)
        check_no_segments(segment_ids)
        x, axes = (inputs_embeds, 4) if input_ids is None else (input_ids, 3)
        choices = check_choices(jnp.shape(x), axes)
        input_ids, attention_mask, inputs_embeds, position_ids, token_type_ids = (
            x.reshape(-1, *x.shape[2:]) if x is not None and x.ndim > 2 else x  # (batch * choices, seq, …)
            for x in (input_ids, attention_mask, inputs_embeds, position_ids, token_type_ids)
        )
        encoded, layout = encode(
            self, input_ids, attention_mask, head_mask, inputs_embeds, output_attentions, output_hidden_states,
            position_ids, token_type_ids, None, unpad, layout,
        )  # fmt: skip
        first = encoded.last_hidden_state[:, 0]  # (batch * choices, dim)
        scores = self.classifier(self.dropout(jax.nn.relu(self.pre_classifier(first))))  # (batch * choices, 1)
        logits = scores.reshape(-1, choices)  # (batch, choices)
        loss = None if labels is None else losses.cross_entropy(logits, labels)
        output = MultipleChoiceModelOutput(loss, logits, encoded.hidden_states, encoded.attentions)
        return self._as_output(output, return_dict)

    def check_labels(self, inputs: Mapping[str, Any]) -> bool:
        """Refuse labels that are no choices; see `FunctionalModule.check_labels`."""
        ids = inputs["input_ids" if "input_ids" in inputs else "inputs_embeds"]  # (batch, choices, seq, …)
        return check_classes(inputs["labels"], ids.shape[1])


class FlaxDistilBertForTokenClassification(FlaxDistilBertPreTrainedModel):
    """DistilBERT that labels each token.

    `labels` (batch, seq): class ids, -100 where nothing counts.
    """

    _table_head = "ForTokenClassification"
    padding_is_unseen = True
    takes_segments = False

    def __init__(self, config: DistilBertConfig, **options: Unpack[Options]) -> None:
        make = self.begin(config, **options)
        self.distilbert = FlaxDistilBertModel(self.config, **make.inner())
        self.dropout = make.dropout(config.dropout)
        self.classifier = make.linear(config.dim, config.num_labels)
        self.post_init(make)

    def forward(
        self, input_ids: Array | None = None, attention_mask: Array | None = None, head_mask: Array | None = None,
        inputs_embeds: Array | None = None, labels: Array | None = None, output_attentions: bool | None = None,
        output_hidden_states: bool | None = None, return_dict: bool | None = None, position_ids: Array | None = None,
        token_type_ids: Array | None = None, segment_ids: Array | None = None, unpad: Unpad = "auto",
        num_segments: int | None = None, layout: Layout | None = None,
    ) -> TokenClassifierOutput | tuple[Array, ...]:  # fmt: skip
        """Return logits, and the loss where labels are given; see the class and `FlaxDistilBertModel.forward`."""
        encoded, layout = encode(
            self, input_ids, attention_mask, head_mask, inputs_embeds, output_attentions, output_hidden_states,
            position_ids, token_type_ids, segment_ids, unpad, layout,
        )  # fmt: skip
        logits = self.classifier(self.dropout(encoded.last_hidden_state))  # (batch, seq, num_labels)
        logits = fill_padding(logits, layout.padding, 0.0)
        loss = None if labels is None else losses.cross_entropy(logits, labels)
        output = TokenClassifierOutput(loss, logits, encoded.hidden_states, encoded.attentions)
        return self._as_output(output, return_dict)

    def check_labels(self, inputs: Mapping[str, Any]) -> bool:
        """Refuse labels that are no classes; see `FunctionalModule.check_labels`."""
        return check_classes(inputs["labels"], out_features(self.classifier))


class FlaxDistilBertForQuestionAnswering(FlaxDistilBertPreTrainedModel):
    """DistilBERT that marks the answer to a question in a text.

    `start_positions` and `end_positions` (batch,): first and last token of the answer; both or neither. With
    `segment_ids` they are (batch, num_segments), counted from the first token of each segment.
    """

    _table_head = "ForQuestionAnswering"
    padding_is_unseen = True
    takes_segments = False

    def __init__(self, config: DistilBertConfig, **options: Unpack[Options]) -> None:
        make = self.begin(config, **options)
        check_two_labels(config.num_labels)
        self.distilbert = FlaxDistilBertModel(self.config, **make.inner())
        self.qa_outputs = make.linear(config.dim, config.num_labels)
        self.dropout = make.dropout(config.qa_dropout)
        self.post_init(make)

    def forward(
        self, input_ids: Array | None = None, attention_mask: Array | None = None, head_mask: Array | None = None,
        inputs_embeds: Array | None = None, start_positions: Array | None = None, end_positions: Array | None = None,
        output_attentions: bool | None = None, output_hidden_states: bool | None = None,
        return_dict: bool | None = None, position_ids: Array | None = None, token_type_ids: Array | None = None,
        segment_ids: Array | None = None, unpad: Unpad = "auto", num_segments: int | None = None,
        layout: Layout | None = None,
    ) -> QuestionAnsweringModelOutput | tuple[Array, ...]:  # fmt: skip
        """Return logits, and the loss where positions are given; see the class and `FlaxDistilBertModel.forward`."""
        encoded, layout = encode(
            self, input_ids, attention_mask, head_mask, inputs_embeds, output_attentions, output_hidden_states,
            position_ids, token_type_ids, segment_ids, unpad, layout,
        )  # fmt: skip
        logits = self.qa_outputs(self.dropout(encoded.last_hidden_state))  # (batch, seq, 2)
        logits = fill_padding(logits, layout.padding, float(jnp.finfo(logits.dtype).min))
        start_logits, end_logits = logits[..., 0], logits[..., 1]  # (batch, seq) each
        loss = None
        if start_positions is not None and end_positions is not None:
            task = (start_logits, end_logits, start_positions, end_positions, layout.segment_ids)
            loss = losses.question_answering_loss(*task)
        output = QuestionAnsweringModelOutput(loss, start_logits, end_logits, encoded.hidden_states, encoded.attentions)
        return self._as_output(output, return_dict)
