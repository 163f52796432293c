"""The five task models: the bare model, a head, and its loss when labels are given.

Arguments, their order, outputs and parameter names are those of transformers. Each `forward` takes what
`DistilBertModel.forward` takes, and labels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

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
from distilbert_common.constants import LAYER_NORM_EPS
from distilbert_pt import losses
from distilbert_pt.activations import ACTIVATIONS
from distilbert_pt.fast.hooks import is_plain_linear
from distilbert_pt.fast.layers import linear
from distilbert_pt.masked_lm_loss import labelled, masked_lm_loss
from distilbert_pt.modeling import DistilBertModel
from distilbert_pt.pretrained import DistilBertPreTrainedModel
from distilbert_pt.segments import belongs, count_segments, first_tokens
from distilbert_pt.unpadding import filled, left_out, sees_padding, unless_needed


class DistilBertForMaskedLM(DistilBertPreTrainedModel):
    """DistilBERT that predicts the token at each position.

    `labels` (batch, seq): the vocabulary id to predict, -100 where nothing counts. `loss_only=True` gives the loss
    alone, the same one, and projects labelled positions only, some at a time: less work and far less memory.
    """

    _table_head = "ForMaskedLM"
    _tied_weights_keys = ("vocab_projector.weight",)

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__(config)
        self.activation = ACTIVATIONS[config.activation]
        self.distilbert = DistilBertModel(config)
        self.vocab_transform = nn.Linear(config.dim, config.dim)
        self.vocab_layer_norm = nn.LayerNorm(config.dim, eps=LAYER_NORM_EPS)
        self.vocab_projector = nn.Linear(config.dim, config.vocab_size)
        self.post_init()

    def get_output_embeddings(self) -> nn.Linear:
        """Return the projector to the vocabulary."""
        return self.vocab_projector

    def set_output_embeddings(self, new_embeddings: nn.Linear) -> None:
        """Replace the projector to the vocabulary; call `tie_weights` where it is to be tied."""
        self.vocab_projector = new_embeddings

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        position_ids: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        segment_ids: Tensor | None = None,
        unpad: bool | None = None,
        loss_only: bool = False,
    ) -> MaskedLMOutput | tuple[Tensor, ...]:
        """Return logits, and the loss where labels are given; see the class and `DistilBertModel.forward`."""
        check_loss_only(loss_only, labels)
        unpad = unless_needed(unpad, labels is not None and sees_padding(attention_mask, labels))
        encoded = self.distilbert(
            input_ids,
            attention_mask,
            head_mask,
            inputs_embeds,
            output_attentions,
            output_hidden_states,
            True,
            position_ids,
            token_type_ids,
            segment_ids,
            unpad,
        )
        if not loss_only:
            x = encoded.last_hidden_state  # (batch, seq, dim)
            logits = linear(self.vocab_projector, self._transformed(x))  # (batch, seq, vocab)
            places = left_out(x, attention_mask, segment_ids, unpad)  # (batch, seq)
            logits = filled(logits, places, 0.0, in_place=is_plain_linear(self.vocab_projector))
            loss = None if labels is None else losses.cross_entropy(logits, labels)
        else:
            places = labelled(labels)  # (tokens,)
            x = encoded.last_hidden_state.flatten(0, 1)[places]  # (tokens, dim)
            logits, loss = None, masked_lm_loss(self._transformed(x), self.vocab_projector, labels.flatten()[places])
        return self._as_output(MaskedLMOutput(loss, logits, encoded.hidden_states, encoded.attentions), return_dict)

    def _transformed(self, x: Tensor) -> Tensor:
        """Return what is projected: (…, dim) -> (…, dim)."""
        return self.vocab_layer_norm(self.activation(linear(self.vocab_transform, x)))


class DistilBertForSequenceClassification(DistilBertPreTrainedModel):
    """DistilBERT that classifies or scores the whole input, from its first token.

    `labels`: (batch,) class ids, (batch,) or (batch, num_labels) numbers for regression, or (batch, num_labels)
    zeros and ones for several labels; see `losses.sequence_classification_loss`. With `segment_ids`, logits are (batch,
    num_segments, num_labels) and labels have that axis too.
    """

    _table_head = "ForSequenceClassification"

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__(config)
        self.distilbert = DistilBertModel(config)
        self.pre_classifier = nn.Linear(config.dim, config.dim)
        self.classifier = nn.Linear(config.dim, config.num_labels)
        self.dropout = nn.Dropout(config.seq_classif_dropout)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        position_ids: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        segment_ids: Tensor | None = None,
        unpad: bool | None = None,
        num_segments: int | None = None,
    ) -> SequenceClassifierOutput | tuple[Tensor, ...]:
        """Return logits, and the loss where labels are given; see the class and `DistilBertModel.forward`."""
        unpad = unless_needed(unpad, sees_padding(attention_mask))
        encoded = self.distilbert(
            input_ids,
            attention_mask,
            head_mask,
            inputs_embeds,
            output_attentions,
            output_hidden_states,
            True,
            position_ids,
            token_type_ids,
            segment_ids,
            unpad,
        )
        real = None
        if segment_ids is None:
            first = encoded.last_hidden_state[:, 0]  # (batch, dim)
        else:
            num_segments = count_segments(segment_ids, labels, num_segments)
            first = first_tokens(encoded.last_hidden_state, segment_ids, num_segments)  # (batch, num_segments, dim)
            real = belongs(segment_ids, num_segments).any(dim=-1)  # (batch, num_segments)
        logits = self.classifier(self.dropout(F.relu(self.pre_classifier(first))))  # (batch, …, num_labels)
        loss = None if labels is None else losses.sequence_classification_loss(logits, labels, self.config, real)
        output = SequenceClassifierOutput(loss, logits, encoded.hidden_states, encoded.attentions)
        return self._as_output(output, return_dict)


class DistilBertForMultipleChoice(DistilBertPreTrainedModel):
    """DistilBERT that picks one of several continuations.

    Ids, masks and positions are (batch, choices, seq), embeddings (batch, choices, seq, dim);
    `labels` (batch,): the index of the right choice.
    """

    _table_head = "ForMultipleChoice"

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__(config)
        self.distilbert = DistilBertModel(config)
        self.pre_classifier = nn.Linear(config.dim, config.dim)
        self.classifier = nn.Linear(config.dim, 1)
        self.dropout = nn.Dropout(config.seq_classif_dropout)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        position_ids: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        segment_ids: Tensor | None = None,
        unpad: bool | None = None,
    ) -> MultipleChoiceModelOutput | tuple[Tensor, ...]:
        """Return logits, and the loss where labels are given; see the class and `DistilBertModel.forward`."""
        check_one_input(input_ids, inputs_embeds)
        check_no_segments(segment_ids)
        unpad = unless_needed(unpad, sees_padding(attention_mask))
        choices = check_choices(inputs_embeds.shape, 4) if input_ids is None else check_choices(input_ids.shape, 3)

        def flat(x: Tensor | None) -> Tensor | None:
            return x.flatten(0, 1) if x is not None and x.dim() > 2 else x  # (batch * choices, seq, ...)

        encoded = self.distilbert(
            flat(input_ids),
            flat(attention_mask),
            head_mask,
            flat(inputs_embeds),
            output_attentions,
            output_hidden_states,
            True,
            flat(position_ids),
            flat(token_type_ids),
            None,
            unpad,
        )
        first = encoded.last_hidden_state[:, 0]  # (batch * choices, dim)
        scores = self.classifier(self.dropout(F.relu(self.pre_classifier(first))))  # (batch * choices, 1)
        logits = scores.view(-1, choices)  # (batch, choices)
        loss = None if labels is None else losses.cross_entropy(logits, labels)
        output = MultipleChoiceModelOutput(loss, logits, encoded.hidden_states, encoded.attentions)
        return self._as_output(output, return_dict)


class DistilBertForTokenClassification(DistilBertPreTrainedModel):
    """DistilBERT that labels each token.

    `labels` (batch, seq): class ids, -100 where nothing counts.
    """

    _table_head = "ForTokenClassification"

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__(config)
        self.distilbert = DistilBertModel(config)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(config.dim, config.num_labels)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        position_ids: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        segment_ids: Tensor | None = None,
        unpad: bool | None = None,
    ) -> TokenClassifierOutput | tuple[Tensor, ...]:
        """Return logits, and the loss where labels are given; see the class and `DistilBertModel.forward`."""
        unpad = unless_needed(unpad, labels is not None and sees_padding(attention_mask, labels))
        encoded = self.distilbert(
            input_ids,
            attention_mask,
            head_mask,
            inputs_embeds,
            output_attentions,
            output_hidden_states,
            True,
            position_ids,
            token_type_ids,
            segment_ids,
            unpad,
        )
        x = encoded.last_hidden_state  # (batch, seq, dim)
        logits = self.classifier(self.dropout(x))  # (batch, seq, num_labels)
        logits = filled(logits, left_out(x, attention_mask, segment_ids, unpad), 0.0)
        loss = None if labels is None else losses.cross_entropy(logits, labels)
        output = TokenClassifierOutput(loss, logits, encoded.hidden_states, encoded.attentions)
        return self._as_output(output, return_dict)


class DistilBertForQuestionAnswering(DistilBertPreTrainedModel):
    """DistilBERT that marks the answer to a question in a text.

    `start_positions` and `end_positions` (batch,): first and last token of the answer; both or neither. With
    `segment_ids` they are (batch, num_segments), counted from the first token of each segment. Padding takes part in
    the loss, as in transformers, so that it is not left out where positions are given, unless `unpad=True` says so.
    """

    _table_head = "ForQuestionAnswering"

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__(config)
        check_two_labels(config.num_labels)
        self.distilbert = DistilBertModel(config)
        self.qa_outputs = nn.Linear(config.dim, config.num_labels)
        self.dropout = nn.Dropout(config.qa_dropout)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        start_positions: Tensor | None = None,
        end_positions: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        position_ids: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        segment_ids: Tensor | None = None,
        unpad: bool | None = None,
    ) -> QuestionAnsweringModelOutput | tuple[Tensor, ...]:
        """Return logits, and the loss where positions are given; see the class and `DistilBertModel.forward`."""
        with_loss = start_positions is not None and end_positions is not None
        unpad = unless_needed(unpad, with_loss and segment_ids is None)
        encoded = self.distilbert(
            input_ids,
            attention_mask,
            head_mask,
            inputs_embeds,
            output_attentions,
            output_hidden_states,
            True,
            position_ids,
            token_type_ids,
            segment_ids,
            unpad,
        )
        x = encoded.last_hidden_state  # (batch, seq, dim)
        logits = self.qa_outputs(self.dropout(x))  # (batch, seq, 2)
        logits = filled(logits, left_out(x, attention_mask, segment_ids, unpad), torch.finfo(logits.dtype).min)
        start_logits, end_logits = logits.unbind(-1)  # (batch, seq) each
        loss, task = None, (start_logits, end_logits, start_positions, end_positions)
        if with_loss and segment_ids is None:
            loss = losses.question_answering_loss(*task)
        elif with_loss:
            loss = losses.packed_question_answering_loss(*task, segment_ids)
        output = QuestionAnsweringModelOutput(loss, start_logits, end_logits, encoded.hidden_states, encoded.attentions)
        return self._as_output(output, return_dict)
