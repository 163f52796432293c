"""The five task models: the bare model, a head, and its loss when labels are given.

Arguments, their order, outputs and parameter names are those of transformers. Each `forward` takes what
`DistilBertModel.forward` takes, and labels; logits at padding that is left out are 0, those of question answering the
lowest finite value, so that no argmax or softmax finds an answer there.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

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
from distilbert_common.constants import IGNORE_INDEX, LAYER_NORM_EPS
from distilbert_pt import losses
from distilbert_pt.activations import ACTIVATIONS
from distilbert_pt.fast.last_block import leave_out_unread
from distilbert_pt.fast.layers import linear
from distilbert_pt.framework.hooks import is_plain_linear
from distilbert_pt.layout import Layout, fill_padding, padded_layout
from distilbert_pt.modeling import DistilBertModel
from distilbert_pt.pretrained import DistilBertPreTrainedModel
from distilbert_pt.segments import count_segments, first_tokens, is_first, segment_onehot

__all__ = [
    "DistilBertForMaskedLM",
    "DistilBertForMultipleChoice",
    "DistilBertForQuestionAnswering",
    "DistilBertForSequenceClassification",
    "DistilBertForTokenClassification",
]


def encode(
    model: DistilBertPreTrainedModel,
    input_ids: Tensor | None,
    attention_mask: Tensor | None,
    head_mask: Tensor | None,
    inputs_embeds: Tensor | None,
    output_attentions: bool | None,
    output_hidden_states: bool | None,
    position_ids: Tensor | None,
    token_type_ids: Tensor | None,
    segment_ids: Tensor | None,
    unpad: Unpad,
    layout: Layout | None,
    reads: Tensor | bool | None,
    reads_no_other: bool = False,
) -> tuple[BaseModelOutput, Layout]:
    """Call the bare model of a head: arguments as `DistilBertModel.forward`; `reads` as `DistilBertModel.layout_of`.

    With `reads_no_other`, last hidden states elsewhere are of no use to the head, and may be 0.

    Returns:
        Its output, and how the tokens lay.
    """
    check_one_mask(attention_mask, segment_ids, layout)
    body = model.distilbert
    if layout is None and isinstance(body, DistilBertModel):
        layout = body.layout_of(attention_mask, segment_ids, unpad, reads, head_mask, output_attentions)
    elif layout is None:  # one that was compiled by itself, and would be again for each way that sequences lie
        layout = padded_layout(attention_mask, segment_ids, unpad)
    if reads_no_other:
        all_states = model.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        layout = leave_out_unread(body, layout, reads, all_states)
    encoded = body(
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


class DistilBertForMaskedLM(DistilBertPreTrainedModel):
    """DistilBERT that predicts the token at each position.

    `labels` (batch, seq): the vocabulary id to predict, -100 where nothing counts. `loss_only=True` gives the loss
    alone, the same one, and projects labeled positions only, some at a time: less work and far less memory.
    """

    _table_head = "ForMaskedLM"
    _tied_weights_keys = ("vocab_projector.weight",)

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__(config)
        self.activation = ACTIVATIONS[config.activation]
        self.distilbert = DistilBertModel(self.config)
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
        self, input_ids: Tensor | None = None, attention_mask: Tensor | None = None, head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None, labels: Tensor | None = None, output_attentions: bool | None = None,
        output_hidden_states: bool | None = None, return_dict: bool | None = None, position_ids: Tensor | None = None,
        token_type_ids: Tensor | None = None, segment_ids: Tensor | None = None, unpad: Unpad = "auto",
        num_segments: int | None = None, loss_only: bool = False, layout: Layout | None = None,
    ) -> MaskedLMOutput | tuple[Tensor, ...]:  # fmt: skip
        """Return logits, and the loss where labels are given; see the class and `DistilBertModel.forward`."""
        check_loss_only(loss_only, labels)
        labeled = None if labels is None else labels != IGNORE_INDEX  # (batch, seq)
        encoded, layout = encode(
            self, input_ids, attention_mask, head_mask, inputs_embeds, output_attentions, output_hidden_states,
            position_ids, token_type_ids, segment_ids, unpad, layout, labeled, loss_only,
        )  # fmt: skip
        x, logits = encoded.last_hidden_state, None  # (batch, seq, dim)
        if loss_only and labels is not None:
            loss = self._loss_at(x[labeled], labels[labeled])
        else:
            logits = linear(self.vocab_projector, self.lm_transform(x))  # (batch, seq, vocab)
            logits = fill_padding(logits, layout.padding, 0.0, in_place=is_plain_linear(self.vocab_projector))
            loss = None if labels is None else losses.cross_entropy(logits, labels)
        return self._as_output(MaskedLMOutput(loss, logits, encoded.hidden_states, encoded.attentions), return_dict)

    def lm_transform(self, x: Tensor) -> Tensor:
        """Return what is projected to the vocabulary: (…, dim) -> (…, dim)."""
        return self.vocab_layer_norm(self.activation(linear(self.vocab_transform, x)))

    def _loss_at(self, x: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of labeled positions: (tokens, dim) and (tokens,) -> a scalar."""
        x, projector = self.lm_transform(x), self.vocab_projector
        if is_plain_linear(projector):
            return losses.masked_lm_loss(x, projector.weight, projector.bias, labels)
        return losses.cross_entropy(projector(x), labels)


class DistilBertForSequenceClassification(DistilBertPreTrainedModel):
    """DistilBERT that classifies or scores the input, from its first token.

    `labels`: (batch,) class ids, (batch,) or (batch, num_labels) numbers for regression, or (batch, num_labels)
    zeros and ones for several labels; see `losses.sequence_classification_loss`. With `segment_ids`, logits are (batch,
    num_segments, num_labels) and labels have that axis too.
    """

    _table_head = "ForSequenceClassification"

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__(config)
        self.distilbert = DistilBertModel(self.config)
        self.pre_classifier = nn.Linear(config.dim, config.dim)
        self.classifier = nn.Linear(config.dim, config.num_labels)
        self.dropout = nn.Dropout(config.seq_classif_dropout)
        self.post_init()

    def forward(
        self, input_ids: Tensor | None = None, attention_mask: Tensor | None = None, head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None, labels: Tensor | None = None, output_attentions: bool | None = None,
        output_hidden_states: bool | None = None, return_dict: bool | None = None, position_ids: Tensor | None = None,
        token_type_ids: Tensor | None = None, segment_ids: Tensor | None = None, unpad: Unpad = "auto",
        num_segments: int | None = None, layout: Layout | None = None,
    ) -> SequenceClassifierOutput | tuple[Tensor, ...]:  # fmt: skip
        """Return logits, and the loss where labels are given; see the class and `DistilBertModel.forward`."""
        encoded, layout = encode(
            self, input_ids, attention_mask, head_mask, inputs_embeds, output_attentions, output_hidden_states,
            position_ids, token_type_ids, segment_ids, unpad, layout, is_first(attention_mask, segment_ids), True,
        )  # fmt: skip
        x, mask = encoded.last_hidden_state, None  # (batch, seq, dim)
        if layout.segment_ids is None:
            x = x[:, 0]  # (batch, dim)
        else:
            num_segments = count_segments(layout.segment_ids, labels, num_segments)
            x = first_tokens(x, layout.segment_ids, num_segments)  # (batch, num_segments, dim)
            mask = segment_onehot(layout.segment_ids, num_segments).any(dim=-1)  # (batch, num_segments)
        logits = self.classifier(self.dropout(F.relu(self.pre_classifier(x))))  # (batch, …, num_labels)
        loss = None if labels is None else losses.sequence_classification_loss(logits, labels, self.config, mask)
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
        self.distilbert = DistilBertModel(self.config)
        self.pre_classifier = nn.Linear(config.dim, config.dim)
        self.classifier = nn.Linear(config.dim, 1)
        self.dropout = nn.Dropout(config.seq_classif_dropout)
        self.post_init()

    def forward(
        self, input_ids: Tensor | None = None, attention_mask: Tensor | None = None, head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None, labels: Tensor | None = None, output_attentions: bool | None = None,
        output_hidden_states: bool | None = None, return_dict: bool | None = None, position_ids: Tensor | None = None,
        token_type_ids: Tensor | None = None, segment_ids: Tensor | None = None, unpad: Unpad = "auto",
        num_segments: int | None = None, layout: Layout | None = None,
    ) -> MultipleChoiceModelOutput | tuple[Tensor, ...]:  # fmt: skip
        """Return logits, and the loss where labels are given; see the class and `DistilBertModel.forward`."""
        check_one_input(input_ids, inputs_embeds)
        check_no_segments(segment_ids)
        inputs = next(x for x in (input_ids, inputs_embeds) if x is not None)
        choices = check_choices(inputs.shape, 3 if inputs_embeds is None else 4)
        input_ids, attention_mask, inputs_embeds, position_ids, token_type_ids = (
            x.flatten(0, 1) if x is not None and x.dim() > 2 else x  # (batch * choices, seq, …)
            for x in (input_ids, attention_mask, inputs_embeds, position_ids, token_type_ids)
        )
        encoded, layout = encode(
            self, input_ids, attention_mask, head_mask, inputs_embeds, output_attentions, output_hidden_states,
            position_ids, token_type_ids, None, unpad, layout, is_first(attention_mask), True,
        )  # fmt: skip
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
        self.distilbert = DistilBertModel(self.config)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(config.dim, config.num_labels)
        self.post_init()

    def forward(
        self, input_ids: Tensor | None = None, attention_mask: Tensor | None = None, head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None, labels: Tensor | None = None, output_attentions: bool | None = None,
        output_hidden_states: bool | None = None, return_dict: bool | None = None, position_ids: Tensor | None = None,
        token_type_ids: Tensor | None = None, segment_ids: Tensor | None = None, unpad: Unpad = "auto",
        num_segments: int | None = None, layout: Layout | None = None,
    ) -> TokenClassifierOutput | tuple[Tensor, ...]:  # fmt: skip
        """Return logits, and the loss where labels are given; see the class and `DistilBertModel.forward`."""
        labeled = None if labels is None else labels != IGNORE_INDEX  # (batch, seq)
        encoded, layout = encode(
            self, input_ids, attention_mask, head_mask, inputs_embeds, output_attentions, output_hidden_states,
            position_ids, token_type_ids, segment_ids, unpad, layout, labeled,
        )  # fmt: skip
        logits = self.classifier(self.dropout(encoded.last_hidden_state))  # (batch, seq, num_labels)
        logits = fill_padding(logits, layout.padding, 0.0)
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
        self.distilbert = DistilBertModel(self.config)
        self.qa_outputs = nn.Linear(config.dim, config.num_labels)
        self.dropout = nn.Dropout(config.qa_dropout)
        self.post_init()

    def forward(
        self, input_ids: Tensor | None = None, attention_mask: Tensor | None = None, head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None, start_positions: Tensor | None = None, end_positions: Tensor | None = None,
        output_attentions: bool | None = None, output_hidden_states: bool | None = None,
        return_dict: bool | None = None, position_ids: Tensor | None = None, token_type_ids: Tensor | None = None,
        segment_ids: Tensor | None = None, unpad: Unpad = "auto", num_segments: int | None = None,
        layout: Layout | None = None,
    ) -> QuestionAnsweringModelOutput | tuple[Tensor, ...]:  # fmt: skip
        """Return logits, and the loss where positions are given; see the class and `DistilBertModel.forward`."""
        with_loss = start_positions is not None and end_positions is not None
        encoded, layout = encode(
            self, input_ids, attention_mask, head_mask, inputs_embeds, output_attentions, output_hidden_states,
            position_ids, token_type_ids, segment_ids, unpad, layout, with_loss,
        )  # fmt: skip
        logits = self.qa_outputs(self.dropout(encoded.last_hidden_state))  # (batch, seq, 2)
        logits = fill_padding(logits, layout.padding, torch.finfo(logits.dtype).min)
        start_logits, end_logits = logits.unbind(-1)  # (batch, seq) each
        loss = None
        if with_loss:
            task = (start_logits, end_logits, start_positions, end_positions, layout.segment_ids)
            loss = losses.question_answering_loss(*task)
        output = QuestionAnsweringModelOutput(loss, start_logits, end_logits, encoded.hidden_states, encoded.attentions)
        return self._as_output(output, return_dict)
