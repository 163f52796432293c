"""The five task models: the bare model, a head, and its loss when labels are given.

Arguments, their order, outputs and parameter names are those of transformers. Each `forward` takes what
`FlaxDistilBertModel.forward` takes, and labels. Where layers do not see padding, logits of tokens are 0 there, and the
start and end logits of question answering the lowest value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict, Unpack

import jax
import jax.numpy as jnp
from jax import Array

from distilbert_common import (
    DistilBertConfig,
    MaskedLMOutput,
    MultipleChoiceModelOutput,
    QuestionAnsweringModelOutput,
    SequenceClassifierOutput,
    TokenClassifierOutput,
)
from distilbert_common.checks import (
    check_choices,
    check_loss_only,
    check_no_segments,
    check_one_input,
    check_two_labels,
)
from distilbert_flax import losses
from distilbert_flax.activations import ACTIVATIONS
from distilbert_flax.checks import check_classes
from distilbert_flax.masked_lm_loss import labelled_first, masked_lm_loss
from distilbert_flax.modeling import FlaxDistilBertModel
from distilbert_flax.options import Options
from distilbert_flax.pretrained import FlaxDistilBertPreTrainedModel
from distilbert_flax.segments import belongs, count_segments, first_tokens
from distilbert_flax.unpadding import filled_at_padding


class MoreInputs(TypedDict, total=False):
    """The inputs that come by keyword only; see `FlaxDistilBertModel.forward`."""

    position_ids: Array | None
    token_type_ids: Array | None
    segment_ids: Array | None


class FlaxDistilBertForMaskedLM(FlaxDistilBertPreTrainedModel):
    """DistilBERT that predicts the token at each position.

    `labels` (batch, seq): the vocabulary id to predict, -100 where nothing counts. `loss_only=True` gives the loss
    alone, the same one, and projects labelled positions only, some at a time: less work and far less memory.
    """

    _table_head = "ForMaskedLM"
    padding_is_unseen = True

    def __init__(self, config: DistilBertConfig, **options: Unpack[Options]) -> None:
        make = self.begin(config, **options)
        self.activation = ACTIVATIONS[config.activation]
        self.distilbert = FlaxDistilBertModel(self.config, **make.inner())
        self.vocab_transform = make.linear(config.dim, config.dim)
        self.vocab_layer_norm = make.norm(config.dim)
        self.vocab_projector = make.projector(config.dim, config.vocab_size, tied=config.tie_word_embeddings)
        self.post_init(make)

    def forward(
        self,
        input_ids: Array | None = None,
        attention_mask: Array | None = None,
        head_mask: Array | None = None,
        inputs_embeds: Array | None = None,
        labels: Array | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        *,
        loss_only: bool = False,
        **more: Unpack[MoreInputs],
    ) -> MaskedLMOutput | tuple[Array, ...]:
        """Return logits, and the loss where labels are given; see the class and `FlaxDistilBertModel.forward`."""
        check_loss_only(loss_only, labels)
        encoded = self.distilbert.forward(
            input_ids, attention_mask, head_mask, inputs_embeds, output_attentions, output_hidden_states, True, **more
        )
        x = self.activation(self.vocab_transform(encoded.last_hidden_state))  # (batch, seq, dim)
        x, table = self.vocab_layer_norm(x), self.get_input_embeddings().embedding[...]  # (vocab, dim)
        if not loss_only:
            logits = self.vocab_projector(x, table)  # (batch, seq, vocab)
            logits = filled_at_padding(logits, attention_mask, more.get("segment_ids"), 0)
            loss = None if labels is None else losses.cross_entropy(logits, labels)
        else:
            x, labels = labelled_first(x, labels)  # (tokens, dim), (tokens,)
            logits, loss = None, masked_lm_loss(x, *self.vocab_projector.weights(table), labels)
        return self._as_output(MaskedLMOutput(loss, logits, encoded.hidden_states, encoded.attentions), return_dict)

    def check_labels(self, output: MaskedLMOutput, inputs: Mapping[str, Array]) -> None:
        """Refuse labels that are no words; see `FunctionalModule.check_labels`."""
        classes = self.config.vocab_size if output.logits is None else output.logits.shape[-1]
        check_classes(inputs["labels"], classes)


class FlaxDistilBertForSequenceClassification(FlaxDistilBertPreTrainedModel):
    """DistilBERT that classifies or scores the whole input, from its first token.

    `labels`: (batch,) class ids, (batch,) or (batch, num_labels) numbers for regression, or (batch, num_labels)
    zeros and ones for several labels; see `losses.sequence_classification_loss`. With `segment_ids`, logits are (batch,
    num_segments, num_labels) and labels have that axis too.
    """

    _table_head = "ForSequenceClassification"
    padding_is_unseen = True

    def __init__(self, config: DistilBertConfig, **options: Unpack[Options]) -> None:
        make = self.begin(config, **options)
        self.distilbert = FlaxDistilBertModel(self.config, **make.inner())
        self.pre_classifier = make.linear(config.dim, config.dim)
        self.classifier = make.linear(config.dim, config.num_labels)
        self.dropout = make.dropout(config.seq_classif_dropout)
        self.post_init(make)

    def forward(
        self,
        input_ids: Array | None = None,
        attention_mask: Array | None = None,
        head_mask: Array | None = None,
        inputs_embeds: Array | None = None,
        labels: Array | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        *,
        num_segments: int | None = None,
        **more: Unpack[MoreInputs],
    ) -> SequenceClassifierOutput | tuple[Array, ...]:
        """Return logits, and the loss where labels are given; see the class and `FlaxDistilBertModel.forward`."""
        encoded = self.distilbert.forward(
            input_ids, attention_mask, head_mask, inputs_embeds, output_attentions, output_hidden_states, True, **more
        )
        segment_ids, real = more.get("segment_ids"), None
        if segment_ids is None:
            first = encoded.last_hidden_state[:, 0]  # (batch, dim)
        else:
            num_segments = count_segments(segment_ids, labels, num_segments)
            first = first_tokens(encoded.last_hidden_state, segment_ids, num_segments)  # (batch, num_segments, dim)
            real = belongs(segment_ids, num_segments).any(axis=-1)  # (batch, num_segments)
        logits = self.classifier(self.dropout(jax.nn.relu(self.pre_classifier(first))))  # (batch, …, num_labels)
        loss = None if labels is None else losses.sequence_classification_loss(logits, labels, self.config, real)
        output = SequenceClassifierOutput(loss, logits, encoded.hidden_states, encoded.attentions)
        return self._as_output(output, return_dict)

    def check_labels(self, output: SequenceClassifierOutput, inputs: Mapping[str, Array]) -> None:
        """Refuse labels that are no classes, where they have to be; see `FunctionalModule.check_labels`."""
        labels, segment_ids, logits = inputs["labels"], inputs.get("segment_ids"), output.logits
        if losses.problem_type(logits, labels, self.config) == "single_label_classification":
            real = None if segment_ids is None else belongs(segment_ids, logits.shape[1]).any(axis=-1)
            check_classes(labels, logits.shape[-1], real)


class FlaxDistilBertForMultipleChoice(FlaxDistilBertPreTrainedModel):
    """DistilBERT that picks one of several continuations.

    Ids, masks and positions are (batch, choices, seq), embeddings (batch, choices, seq, dim);
    `labels` (batch,): the index of the right choice.
    """

    _table_head = "ForMultipleChoice"

    def __init__(self, config: DistilBertConfig, **options: Unpack[Options]) -> None:
        make = self.begin(config, **options)
        self.distilbert = FlaxDistilBertModel(self.config, **make.inner())
        self.pre_classifier = make.linear(config.dim, config.dim)
        self.classifier = make.linear(config.dim, 1)
        self.dropout = make.dropout(config.seq_classif_dropout)
        self.post_init(make)

    def forward(
        self,
        input_ids: Array | None = None,
        attention_mask: Array | None = None,
        head_mask: Array | None = None,
        inputs_embeds: Array | None = None,
        labels: Array | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **more: Unpack[MoreInputs],
    ) -> MultipleChoiceModelOutput | tuple[Array, ...]:
        """Return logits, and the loss where labels are given; see the class and `FlaxDistilBertModel.forward`."""
        check_one_input(input_ids, inputs_embeds)
        check_no_segments(more.get("segment_ids"))
        choices = check_choices(inputs_embeds.shape, 4) if input_ids is None else check_choices(input_ids.shape, 3)

        def flat(x: Array | None) -> Array | None:
            return x.reshape(-1, *x.shape[2:]) if x is not None and x.ndim > 2 else x  # (batch * choices, seq, ...)

        encoded = self.distilbert.forward(
            flat(input_ids),
            flat(attention_mask),
            head_mask,
            flat(inputs_embeds),
            output_attentions,
            output_hidden_states,
            True,
            **{name: flat(value) for name, value in more.items()},
        )
        first = encoded.last_hidden_state[:, 0]  # (batch * choices, dim)
        scores = self.classifier(self.dropout(jax.nn.relu(self.pre_classifier(first))))  # (batch * choices, 1)
        logits = scores.reshape(-1, choices)  # (batch, choices)
        loss = None if labels is None else losses.cross_entropy(logits, labels)
        output = MultipleChoiceModelOutput(loss, logits, encoded.hidden_states, encoded.attentions)
        return self._as_output(output, return_dict)

    def check_labels(self, output: MultipleChoiceModelOutput, inputs: Mapping[str, Array]) -> None:
        """Refuse labels that are no choices; see `FunctionalModule.check_labels`."""
        check_classes(inputs["labels"], output.logits.shape[-1])


class FlaxDistilBertForTokenClassification(FlaxDistilBertPreTrainedModel):
    """DistilBERT that labels each token.

    `labels` (batch, seq): class ids, -100 where nothing counts.
    """

    _table_head = "ForTokenClassification"
    padding_is_unseen = True

    def __init__(self, config: DistilBertConfig, **options: Unpack[Options]) -> None:
        make = self.begin(config, **options)
        self.distilbert = FlaxDistilBertModel(self.config, **make.inner())
        self.dropout = make.dropout(config.dropout)
        self.classifier = make.linear(config.dim, config.num_labels)
        self.post_init(make)

    def forward(
        self,
        input_ids: Array | None = None,
        attention_mask: Array | None = None,
        head_mask: Array | None = None,
        inputs_embeds: Array | None = None,
        labels: Array | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **more: Unpack[MoreInputs],
    ) -> TokenClassifierOutput | tuple[Array, ...]:
        """Return logits, and the loss where labels are given; see the class and `FlaxDistilBertModel.forward`."""
        encoded = self.distilbert.forward(
            input_ids, attention_mask, head_mask, inputs_embeds, output_attentions, output_hidden_states, True, **more
        )
        logits = self.classifier(self.dropout(encoded.last_hidden_state))  # (batch, seq, num_labels)
        logits = filled_at_padding(logits, attention_mask, more.get("segment_ids"), 0)
        loss = None if labels is None else losses.cross_entropy(logits, labels)
        output = TokenClassifierOutput(loss, logits, encoded.hidden_states, encoded.attentions)
        return self._as_output(output, return_dict)

    def check_labels(self, output: TokenClassifierOutput, inputs: Mapping[str, Array]) -> None:
        """Refuse labels that are no classes; see `FunctionalModule.check_labels`."""
        check_classes(inputs["labels"], output.logits.shape[-1])


class FlaxDistilBertForQuestionAnswering(FlaxDistilBertPreTrainedModel):
    """DistilBERT that marks the answer to a question in a text.

    `start_positions` and `end_positions` (batch,): first and last token of the answer; both or neither. With
    `segment_ids` they are (batch, num_segments), counted from the first token of each segment.
    """

    _table_head = "ForQuestionAnswering"
    padding_is_unseen = True

    def __init__(self, config: DistilBertConfig, **options: Unpack[Options]) -> None:
        make = self.begin(config, **options)
        check_two_labels(config.num_labels)
        self.distilbert = FlaxDistilBertModel(self.config, **make.inner())
        self.qa_outputs = make.linear(config.dim, config.num_labels)
        self.dropout = make.dropout(config.qa_dropout)
        self.post_init(make)

    def forward(
        self,
        input_ids: Array | None = None,
        attention_mask: Array | None = None,
        head_mask: Array | None = None,
        inputs_embeds: Array | None = None,
        start_positions: Array | None = None,
        end_positions: Array | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **more: Unpack[MoreInputs],
    ) -> QuestionAnsweringModelOutput | tuple[Array, ...]:
        """Return logits, and the loss where positions are given; see the class and `FlaxDistilBertModel.forward`."""
        encoded = self.distilbert.forward(
            input_ids, attention_mask, head_mask, inputs_embeds, output_attentions, output_hidden_states, True, **more
        )
        logits = self.qa_outputs(self.dropout(encoded.last_hidden_state))  # (batch, seq, 2)
        lowest = float(jnp.finfo(logits.dtype).min)  # no argmax, softmax or list of the best can choose padding
        logits = filled_at_padding(logits, attention_mask, more.get("segment_ids"), lowest)
        start_logits, end_logits = logits[..., 0], logits[..., 1]  # (batch, seq) each
        loss, task = None, (start_logits, end_logits, start_positions, end_positions)
        segment_ids, with_loss = more.get("segment_ids"), start_positions is not None and end_positions is not None
        if with_loss and segment_ids is None:
            loss = losses.question_answering_loss(*task)
        elif with_loss:
            loss = losses.packed_question_answering_loss(*task, segment_ids)
        output = QuestionAnsweringModelOutput(loss, start_logits, end_logits, encoded.hidden_states, encoded.attentions)
        return self._as_output(output, return_dict)
