"""DistilBERT: embeddings, n transformer blocks, hidden states (Sanh et al., arXiv 1910.01108).

Module and parameter names are those of transformers, so that a state_dict of one fits the other.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from distilbert_common import BaseModelOutput, DistilBertConfig
from distilbert_common.checks import Unpad, check_one_input, check_one_mask, check_unpad
from distilbert_common.constants import LAYER_NORM_EPS
from distilbert_common.initialization import sinusoidal_table
from distilbert_common.pruning import attention_dim, heads_left
from distilbert_pt.activations import ACTIVATIONS
from distilbert_pt.attention import DEFAULT, IMPLEMENTATIONS, eager_attention
from distilbert_pt.checks import check_inputs
from distilbert_pt.fast.last_block import block_layouts, reads_few_tokens
from distilbert_pt.fast.layers import fused_feed_forward, linear, linears
from distilbert_pt.fast.unpadding import choose_layout
from distilbert_pt.layout import Layout
from distilbert_pt.pretrained import DistilBertPreTrainedModel

__all__ = ["DistilBertModel", "Embeddings", "FFN", "MultiHeadSelfAttention", "Transformer", "TransformerBlock"]


class Embeddings(nn.Module):
    """Word plus position embeddings, normalized, with dropout."""

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocab_size, config.dim, padding_idx=config.pad_token_id)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, config.dim)
        self.position_embeddings.weight.requires_grad = not config.sinusoidal_pos_embds
        self.LayerNorm = nn.LayerNorm(config.dim, eps=LAYER_NORM_EPS)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        input_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        position_ids: Tensor | None = None,
    ) -> Tensor:
        """Embed ids, or add positions to given word embeddings.

        Args:
            input_ids: (batch, seq) integers.
            inputs_embeds: (batch, seq, dim), instead of ids.
            position_ids: (batch, seq) or (1, seq) integers; 0, 1, 2, … when None.

        Returns:
            (batch, seq, dim).
        """
        embeddings = self.word_embeddings(input_ids) if inputs_embeds is None else inputs_embeds  # (batch, seq, dim)
        if position_ids is None:
            position_ids = torch.arange(embeddings.size(1), device=embeddings.device)[None, :]  # (1, seq)
        return self.dropout(self.LayerNorm(embeddings + self.position_embeddings(position_ids)))


class MultiHeadSelfAttention(nn.Module):
    """Self-attention over all heads at once, without dropout after `out_lin`."""

    def __init__(self, config: DistilBertConfig, layer: int) -> None:
        super().__init__()
        self.config = config
        self.head_dim = config.dim // config.n_heads
        width = attention_dim(config, layer)  # heads * head_dim
        self.q_lin = nn.Linear(config.dim, width)
        self.k_lin = nn.Linear(config.dim, width)
        self.v_lin = nn.Linear(config.dim, width)
        self.out_lin = nn.Linear(width, config.dim)

    def split_heads(self, x: Tensor) -> Tensor:
        """(batch, seq, heads * head_dim) -> (batch, heads, seq, head_dim)."""
        return x.unflatten(-1, (-1, self.head_dim)).transpose(1, 2)  # (batch, heads, seq, head_dim)

    def forward(
        self, x: Tensor, layout: Layout, head_mask: Tensor | None = None, output_attentions: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Attend.

        Args:
            x: (batch, seq, dim), as the layout gathers it.
            layout: How the tokens lie, and with that who attends to whom.
            head_mask: Factor for the probabilities, broadcastable to (batch, heads, seq, seq).
            output_attentions: Whether to return the probabilities; they and a head mask take the eager path.

        Returns:
            (batch, seq, dim), and the probabilities (batch, heads, seq, seq) or None.
        """
        query, key, value = map(self.split_heads, linears((self.q_lin, self.k_lin, self.v_lin), x))
        dropout = self.config.attention_dropout if self.training else 0.0
        implementation = self.config.attn_implementation or DEFAULT
        if output_attentions or head_mask is not None or implementation == "eager":
            context, probabilities = eager_attention(query, key, value, layout.mask, dropout, head_mask)
        else:
            context, probabilities = layout.attend(IMPLEMENTATIONS[implementation], query, key, value, dropout), None
        context = context.transpose(1, 2).flatten(2)  # (batch, seq, heads * head_dim)
        return linear(self.out_lin, context), probabilities if output_attentions else None


class FFN(nn.Module):
    """The position-wise feed-forward network: dim -> hidden_dim -> dim."""

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__()
        self.lin1 = nn.Linear(config.dim, config.hidden_dim)
        self.lin2 = nn.Linear(config.hidden_dim, config.dim)
        self.activation = ACTIVATIONS[config.activation]
        self.dropout = nn.Dropout(config.dropout)

    @fused_feed_forward
    def forward(self, x: Tensor) -> Tensor:
        """(batch, seq, dim) -> (batch, seq, dim)."""
        return self.dropout(self.lin2(self.activation(self.lin1(x))))


class TransformerBlock(nn.Module):
    """Attention and feed-forward network, each with a residual sum and a LayerNorm after it."""

    def __init__(self, config: DistilBertConfig, layer: int) -> None:
        super().__init__()
        self.attention = MultiHeadSelfAttention(config, layer)
        self.sa_layer_norm = nn.LayerNorm(config.dim, eps=LAYER_NORM_EPS)
        self.ffn = FFN(config)
        self.output_layer_norm = nn.LayerNorm(config.dim, eps=LAYER_NORM_EPS)

    @reads_few_tokens
    def forward(
        self, x: Tensor, layout: Layout, head_mask: Tensor | None = None, output_attentions: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Arguments and results as `MultiHeadSelfAttention.forward`."""
        context, probabilities = self.attention(x, layout, head_mask, output_attentions)
        x = self.sa_layer_norm(context + x)  # (batch, seq, dim)
        return self.output_layer_norm(self.ffn(x) + x), probabilities


class Transformer(nn.Module):
    """The stack of blocks."""

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__()
        self.layer = nn.ModuleList(TransformerBlock(config, layer) for layer in range(config.n_layers))
        self.gradient_checkpointing = False
        self._checkpoint_every = 1
        self._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)

    def forward(
        self,
        x: Tensor,
        layout: Layout,
        head_mask: list[Tensor | None],
        output_attentions: bool = False,
        output_hidden_states: bool = False,
    ) -> BaseModelOutput:
        """Run the blocks.

        Args:
            x: (batch, seq, dim), as the layout gathers it.
            layout: How the tokens lie, and with that who attends to whom.
            head_mask: One factor or None for each block.
            output_attentions: Whether to collect each block's probabilities.
            output_hidden_states: Whether to collect the embeddings and each block's output.
        """
        hidden_states: list[Tensor] = [x]
        attentions: list[Tensor | None] = []
        blocks = zip(self.layer, block_layouts(layout, len(self.layer)), head_mask, strict=True)
        for layer, (block, block_layout, block_head_mask) in enumerate(blocks):
            arguments = (x, block_layout, block_head_mask, output_attentions)
            if self.gradient_checkpointing and self.training and layer % self._checkpoint_every == 0:
                x, probabilities = self._gradient_checkpointing_func(block, *arguments)
            else:
                x, probabilities = block(*arguments)
            hidden_states.append(x)
            attentions.append(probabilities)
        return BaseModelOutput(
            x,
            tuple(hidden_states) if output_hidden_states else None,
            tuple(attentions) if output_attentions else None,
        )


class DistilBertModel(DistilBertPreTrainedModel):
    """The bare model: ids in, hidden states out."""

    _table_head = "Model"

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__(config)
        self.embeddings = Embeddings(self.config)
        self.transformer = Transformer(self.config)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if module is self.embeddings.position_embeddings and self.config.sinusoidal_pos_embds:
            with torch.no_grad():
                module.weight.copy_(torch.from_numpy(sinusoidal_table(*module.weight.shape)))

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        position_ids: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        segment_ids: Tensor | None = None,
        unpad: Unpad = "auto",
        num_segments: int | None = None,
        layout: Layout | None = None,
    ) -> BaseModelOutput | tuple[Tensor, ...]:
        """Encode a batch.

        Args:
            input_ids: (batch, seq) integers in the vocabulary.
            attention_mask: (batch, seq), non-zero attends; or (batch, 1 or heads, seq, seq), see `expand_mask`.
            head_mask: (heads,) or (n_layers, heads) factors for the attention probabilities.
            inputs_embeds: (batch, seq, dim) instead of ids; positions are added to them.
            output_attentions: Whether to return the probabilities; the config's choice when None.
            output_hidden_states: Whether to return all hidden states; the config's choice when None.
            return_dict: Whether to return a `ModelOutput` instead of a tuple; the config's choice when None.
            position_ids: (batch, seq) or (1, seq) integers; 0, 1, 2, … when None.
            token_type_ids: Accepted and ignored, with a warning where non-zero.
            segment_ids: (batch, seq) integers instead of a mask, for rows that hold several sequences: tokens attend
                to those with their own number, positions start anew in each sequence, 0 is padding.
            unpad: "auto" leaves padding out of the computation where that pays and no hook watches the layers, never
                where attentions or a head mask are asked for or on the eager path. With True, hidden states at padding
                are always 0. With False, padding is computed as transformers does.
            num_segments: Of no effect here: for the models with one output per segment.
            layout: How the tokens lie, where the caller has worked it out with `layout_of`; instead of
                attention_mask, segment_ids and unpad.

        Returns:
            last_hidden_state (batch, seq, dim), then hidden_states and attentions where asked for.

        Raises:
            InputError: Ids and embeddings both or neither given, too long an input, an id outside its table, two of
                mask, segments and layout.
        """
        check_one_input(input_ids, inputs_embeds)
        check_one_mask(attention_mask, segment_ids, layout)
        check_inputs(self.config, input_ids, inputs_embeds, position_ids, token_type_ids)
        if layout is None:
            layout = self.layout_of(attention_mask, segment_ids, unpad, None, head_mask, output_attentions)
        input_ids, inputs_embeds = (None if x is None else layout.gather(x) for x in (input_ids, inputs_embeds))
        encoded = self.transformer(
            self.embeddings(input_ids, inputs_embeds, layout.positions(position_ids)),
            layout,
            self._split_head_mask(head_mask),
            self.config.output_attentions if output_attentions is None else output_attentions,
            self.config.output_hidden_states if output_hidden_states is None else output_hidden_states,
        )
        return self._as_output(encoded.map_hidden_states(layout.scatter), return_dict)

    def layout_of(
        self,
        attention_mask: Tensor | None = None,
        segment_ids: Tensor | None = None,
        unpad: Unpad = "auto",
        reads: Tensor | bool | None = None,
        head_mask: Tensor | None = None,
        output_attentions: bool | None = None,
    ) -> Layout:
        """Choose how the tokens of a batch lie in the layers; the other arguments are those of `forward`.

        Args:
            attention_mask: (batch, seq) or (batch, 1 or heads, seq, seq).
            segment_ids: (batch, seq) instead of a mask.
            unpad: Whether padding is left out.
            reads: bool (batch, seq), where the hidden states are used; True for everywhere. With "auto", padding that
                is used is computed.
            head_mask: Computes padding, where there is one.
            output_attentions: Computes padding, where it is true.
        """
        check_one_mask(attention_mask, segment_ids)
        check_unpad(unpad)
        attentions = self.config.output_attentions if output_attentions is None else output_attentions
        eager = attentions or head_mask is not None or self.config.attn_implementation == "eager"
        return choose_layout(self, attention_mask, segment_ids, unpad, reads, eager)

    def _split_head_mask(self, head_mask: Tensor | None) -> list[Tensor | None]:
        """(heads,) or (n_layers, heads) -> n_layers of (1, heads left, 1, 1)."""
        n_layers = len(self.transformer.layer)  # fewer than the config's where a user took some out
        if head_mask is None:
            return [None] * n_layers
        factors = head_mask.to(self.dtype).expand(n_layers, -1)  # (n_layers, heads)
        left = [heads_left(self.config, layer) for layer in range(n_layers)]
        return [factors[layer, heads][None, :, None, None] for layer, heads in enumerate(left)]  # (1, heads, 1, 1)
