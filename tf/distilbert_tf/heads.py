"""The five task models: the bare model, a head, and its loss when labels are given.

Arguments, their order, outputs and layer names are those of transformers. Each `call` takes what
`TFDistilBertModel.call` takes, and labels.
"""

from __future__ import annotations

from typing import Any

from keras import ops

from distilbert_common import (
    DistilBertConfig,
    MaskedLMOutput,
    MultipleChoiceModelOutput,
    QuestionAnsweringModelOutput,
    SequenceClassifierOutput,
    TokenClassifierOutput,
)
from distilbert_common.checks import check_choices, check_loss_only, check_no_segments, check_two_labels
from distilbert_tf import losses
from distilbert_tf.activations import ACTIVATIONS
from distilbert_tf.arrays import Tensor, lowest
from distilbert_tf.checks import check_labels
from distilbert_tf.fast.chunked_cross_entropy import masked_lm_loss
from distilbert_tf.fast.linear import linear, normalize, table_of
from distilbert_tf.fast.unpadding import filled_at_padding
from distilbert_tf.layers import Projector, serializable
from distilbert_tf.losses import Losses
from distilbert_tf.modeling import TFDistilBertMainLayer
from distilbert_tf.pretrained import TFDistilBertPreTrainedModel
from distilbert_tf.segments import belongs, count_segments, first_tokens


@serializable
class TFDistilBertForMaskedLM(TFDistilBertPreTrainedModel):
    """DistilBERT that predicts the token at each position.

    `labels` (batch, seq): the vocabulary id to predict, -100 where nothing counts. `loss_only=True` gives the loss
    alone, the same one, and projects labelled positions only, some at a time: less work and far less memory.
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
        return self.config.vocab_size

    def task_losses(self, logits: Tensor, labels: Tensor, segment_ids: Tensor | None = None) -> tuple[Losses, ...]:
        """Return the losses of logits and labels."""
        return (losses.cross_entropies(logits, labels),)

    def call(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        labels: Tensor | None = None,
        training: bool | None = None,
        *,
        position_ids: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        segment_ids: Tensor | None = None,
        loss_only: bool = False,
    ) -> MaskedLMOutput | tuple[Tensor, ...]:
        """Return logits, and the loss where labels are given; see the class and `TFDistilBertModel.call`."""
        encoded = self.distilbert(
            input_ids=input_ids,
            attention_mask=attention_mask,
            head_mask=head_mask,
            inputs_embeds=inputs_embeds,
            output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
            position_ids=position_ids,
            segment_ids=segment_ids,
            training=training,
        )
        x = normalize(
            self.vocab_layer_norm, self.activation(linear(self.vocab_transform, encoded.last_hidden_state))
        )  # (batch, seq, dim)
        table = table_of(self.get_input_embeddings())  # (vocab, dim)
        check_loss_only(loss_only, labels)
        if not loss_only:
            logits = self.vocab_projector(x, table)  # (batch, seq, vocab)
            logits = filled_at_padding(logits, attention_mask, segment_ids, 0.0)
            loss = None if labels is None else self.task_loss(logits, labels)
        else:
            logits, loss = None, masked_lm_loss(x, *self.vocab_projector.matrix(table), labels)
        return self.result(MaskedLMOutput(loss, logits, encoded.hidden_states, encoded.attentions), return_dict)


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
        single = losses.problem_type(self.config, labels, logits_axes=2) == "single_label_classification"
        return getattr(self.classifier, "units", None) if single else None

    def task_losses(self, logits: Tensor, labels: Tensor, segment_ids: Tensor | None = None) -> tuple[Losses, ...]:
        """Return the losses of logits and labels."""
        real = None if segment_ids is None else ops.any(belongs(segment_ids, ops.shape(logits)[1]), axis=-1)
        return (losses.sequence_classification_losses(logits, labels, self.config, real),)

    def call(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        labels: Tensor | None = None,
        training: bool | None = None,
        *,
        position_ids: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        segment_ids: Tensor | None = None,
        num_segments: int | None = None,
    ) -> SequenceClassifierOutput | tuple[Tensor, ...]:
        """Return logits, and the loss where labels are given; see the class and `TFDistilBertModel.call`."""
        encoded = self.distilbert(
            input_ids=input_ids,
            attention_mask=attention_mask,
            head_mask=head_mask,
            inputs_embeds=inputs_embeds,
            output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
            position_ids=position_ids,
            segment_ids=segment_ids,
            training=training,
        )
        if segment_ids is None:
            first = encoded.last_hidden_state[:, 0]  # (batch, dim)
        else:
            segment_ids = ops.convert_to_tensor(segment_ids)
            num_segments = count_segments(segment_ids, labels, num_segments)
            first = first_tokens(encoded.last_hidden_state, segment_ids, num_segments)  # (batch, num_segments, dim)
        x = self.dropout(ops.relu(linear(self.pre_classifier, first)), training=training)  # (batch, …, dim)
        logits = linear(self.classifier, x)  # (batch, …, num_labels)
        loss = None if labels is None else self.task_loss(logits, labels, segment_ids=segment_ids)
        output = SequenceClassifierOutput(loss, logits, encoded.hidden_states, encoded.attentions)
        return self.result(output, return_dict)


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

    def check(self, input_ids: Any = None, inputs_embeds: Any = None, **arguments: Any) -> None:
        """Check one call before any compute, the choices axis too."""
        check_no_segments(arguments.get("segment_ids"))
        super().check(input_ids=input_ids, inputs_embeds=inputs_embeds, **arguments)
        shape, axes = (inputs_embeds.shape, 4) if input_ids is None else (input_ids.shape, 3)
        check_choices(tuple(0 if size is None else size for size in shape), axes)
        if arguments.get("labels") is not None:
            check_labels(arguments["labels"], shape[1], losses.IGNORE_INDEX)

    def task_losses(self, logits: Tensor, labels: Tensor, segment_ids: Tensor | None = None) -> tuple[Losses, ...]:
        """Return the losses of logits and labels."""
        return (losses.cross_entropies(logits, labels),)

    def call(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        labels: Tensor | None = None,
        training: bool | None = None,
        *,
        position_ids: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        segment_ids: Tensor | None = None,
    ) -> MultipleChoiceModelOutput | tuple[Tensor, ...]:
        """Return logits, and the loss where labels are given; see the class and `TFDistilBertModel.call`."""
        choices = ops.shape(inputs_embeds if input_ids is None else input_ids)[1]

        def flat(x: Tensor | None) -> Tensor | None:
            many = x is not None and len(x.shape) > 2
            return ops.reshape(x, (-1, *ops.shape(x)[2:])) if many else x  # (batch * choices, seq, ...)

        encoded = self.distilbert(
            input_ids=flat(input_ids),
            attention_mask=flat(attention_mask),
            head_mask=head_mask,
            inputs_embeds=flat(inputs_embeds),
            output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
            position_ids=flat(position_ids),
            training=training,
        )
        first = encoded.last_hidden_state[:, 0]  # (batch * choices, dim)
        x = self.dropout(ops.relu(linear(self.pre_classifier, first)), training=training)  # (batch * choices, dim)
        scores = linear(self.classifier, x)  # (batch * choices, 1)
        logits = ops.reshape(scores, (-1, choices))  # (batch, choices)
        loss = None if labels is None else self.task_loss(logits, labels)
        output = MultipleChoiceModelOutput(loss, logits, encoded.hidden_states, encoded.attentions)
        return self.result(output, return_dict)


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

    def task_losses(self, logits: Tensor, labels: Tensor, segment_ids: Tensor | None = None) -> tuple[Losses, ...]:
        """Return the losses of logits and labels."""
        return (losses.cross_entropies(logits, labels),)

    def call(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        labels: Tensor | None = None,
        training: bool | None = None,
        *,
        position_ids: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        segment_ids: Tensor | None = None,
    ) -> TokenClassifierOutput | tuple[Tensor, ...]:
        """Return logits, and the loss where labels are given; see the class and `TFDistilBertModel.call`."""
        encoded = self.distilbert(
            input_ids=input_ids,
            attention_mask=attention_mask,
            head_mask=head_mask,
            inputs_embeds=inputs_embeds,
            output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
            position_ids=position_ids,
            segment_ids=segment_ids,
            training=training,
        )
        x = self.dropout(encoded.last_hidden_state, training=training)  # (batch, seq, dim)
        logits = linear(self.classifier, x)  # (batch, seq, num_labels)
        logits = filled_at_padding(logits, attention_mask, segment_ids, 0.0)
        loss = None if labels is None else self.task_loss(logits, labels)
        output = TokenClassifierOutput(loss, logits, encoded.hidden_states, encoded.attentions)
        return self.result(output, return_dict)


@serializable
class TFDistilBertForQuestionAnswering(TFDistilBertPreTrainedModel):
    """DistilBERT that marks the answer to a question in a text.

    `start_positions` and `end_positions` (batch,): first and last token of the answer; both or neither. With
    `segment_ids` they are (batch, num_segments), counted from the first token of each segment.
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

    def task_losses(
        self,
        start_logits: Tensor,
        end_logits: Tensor,
        start_positions: Tensor,
        end_positions: Tensor,
        segment_ids: Tensor | None = None,
    ) -> tuple[Losses, ...]:
        """Return the losses of the start positions and those of the end positions."""
        start, end = (start_logits, start_positions), (end_logits, end_positions)
        return tuple(losses.position_losses(*task, segment_ids) for task in (start, end))

    def call(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        start_positions: Tensor | None = None,
        end_positions: Tensor | None = None,
        training: bool | None = None,
        *,
        position_ids: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        segment_ids: Tensor | None = None,
    ) -> QuestionAnsweringModelOutput | tuple[Tensor, ...]:
        """Return logits, and the loss where positions are given; see the class and `TFDistilBertModel.call`."""
        encoded = self.distilbert(
            input_ids=input_ids,
            attention_mask=attention_mask,
            head_mask=head_mask,
            inputs_embeds=inputs_embeds,
            output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
            position_ids=position_ids,
            segment_ids=segment_ids,
            training=training,
        )
        x = self.dropout(encoded.last_hidden_state, training=training)  # (batch, seq, dim)
        logits = linear(self.qa_outputs, x)  # (batch, seq, 2)
        logits = filled_at_padding(logits, attention_mask, segment_ids, lowest(logits.dtype))
        start_logits, end_logits = logits[..., 0], logits[..., 1]  # (batch, seq) each
        loss = None
        if start_positions is not None and end_positions is not None:
            loss = self.task_loss(*(start_logits, end_logits, start_positions, end_positions), segment_ids=segment_ids)
        output = QuestionAnsweringModelOutput(loss, start_logits, end_logits, encoded.hidden_states, encoded.attentions)
        return self.result(output, return_dict)
