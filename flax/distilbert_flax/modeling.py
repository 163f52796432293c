"""DistilBERT: embeddings, n transformer blocks, hidden states (Sanh et al., arXiv 1910.01108).

Module and parameter names are those of transformers, so that the parameters of one fit the other.
"""

from __future__ import annotations

from typing import Unpack

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from distilbert_common import BaseModelOutput, DistilBertConfig
from distilbert_common.checks import Unpad, check_one_input, check_one_mask
from distilbert_common.pruning import attention_dim, heads_left
from distilbert_flax.attention import eager_attention, sdpa_attention
from distilbert_flax.checks import check_inputs
from distilbert_flax.framework.changes import Module
from distilbert_flax.framework.options import Options
from distilbert_flax.layers import LayerFactory, List
from distilbert_flax.layout import Layout, padded_layout
from distilbert_flax.pretrained import FlaxDistilBertPreTrainedModel

__all__ = ["Embeddings", "FFN", "FlaxDistilBertModel", "MultiHeadSelfAttention", "Transformer", "TransformerBlock"]


class Embeddings(Module):
    """Word plus position embeddings, normalized, with dropout."""

    def __init__(self, config: DistilBertConfig, make: LayerFactory) -> None:
        self.word_embeddings = make.embed(config.vocab_size, config.dim, padding_idx=config.pad_token_id)
        self.position_embeddings = make.embed(
            config.max_position_embeddings, config.dim, frozen=config.sinusoidal_pos_embds
        )
        self.LayerNorm = make.norm(config.dim)
        self.dropout = make.dropout(config.dropout)

    def __call__(
        self,
        input_ids: Array | None = None,
        inputs_embeds: Array | None = None,
        position_ids: Array | None = None,
    ) -> Array:
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
            position_ids = jnp.arange(embeddings.shape[1])[None, :]  # (1, seq)
        return self.dropout(self.LayerNorm(embeddings + self.position_embeddings(position_ids)))


class MultiHeadSelfAttention(Module):
    """Self-attention over all heads at once, without dropout after `out_lin`."""

    def __init__(self, config: DistilBertConfig, layer: int, make: LayerFactory) -> None:
        self.config = config
        self.head_dim = config.dim // config.n_heads
        width = attention_dim(config, layer)  # heads * head_dim
        self.dropout = make.dropout(config.attention_dropout)
        self.q_lin = make.linear(config.dim, width)
        self.k_lin = make.linear(config.dim, width)
        self.v_lin = make.linear(config.dim, width)
        self.out_lin = make.linear(width, config.dim)

    def split_heads(self, x: Array) -> Array:
        """(batch, seq, heads * head_dim) -> (batch, heads, seq, head_dim)."""
        x = x.reshape(*x.shape[:-1], -1, self.head_dim)  # (batch, seq, heads, head_dim)
        return x.swapaxes(1, 2)  # (batch, heads, seq, head_dim)

    def __call__(
        self, x: Array, layout: Layout, head_mask: Array | None = None, output_attentions: bool = False
    ) -> tuple[Array, Array | None]:
        """Attend.

        Args:
            x: (batch, seq, dim), as the layout gathers it.
            layout: How the tokens lie, and with that who attends to whom.
            head_mask: Factor for the probabilities, broadcastable to (batch, heads, seq, seq).
            output_attentions: Whether to return the probabilities; they and a head mask take the eager path.

        Returns:
            (batch, seq, dim), and the probabilities (batch, heads, seq, seq) or None.
        """
        query, key, value = (self.split_heads(lin(x)) for lin in (self.q_lin, self.k_lin, self.v_lin))
        if output_attentions or head_mask is not None or self.config.attn_implementation == "eager":
            context, probabilities = eager_attention(query, key, value, layout.mask, self.dropout, head_mask)
        else:
            context, probabilities = layout.attend(sdpa_attention, query, key, value, self.dropout), None
        context = context.swapaxes(1, 2).reshape(*x.shape[:-1], -1)  # (batch, seq, heads * head_dim)
        return self.out_lin(context), probabilities if output_attentions else None


class FFN(Module):
    """The position-wise feed-forward network: dim -> hidden_dim -> dim."""

    def __init__(self, config: DistilBertConfig, make: LayerFactory) -> None:
        self.lin1 = make.linear(config.dim, config.hidden_dim)
        self.lin2 = make.linear(config.hidden_dim, config.dim)
        self.activation = make.activation(config.activation)
        self.dropout = make.dropout(config.dropout)

    def __call__(self, x: Array) -> Array:
        """(batch, seq, dim) -> (batch, seq, dim)."""
        return self.dropout(self.lin2(self.activation(self.lin1(x))))


class TransformerBlock(Module):
    """Attention and feed-forward network, each with a residual sum and a LayerNorm after it."""

    def __init__(self, config: DistilBertConfig, layer: int, make: LayerFactory) -> None:
        self.attention = MultiHeadSelfAttention(config, layer, make)
        self.sa_layer_norm = make.norm(config.dim)
        self.ffn = FFN(config, make)
        self.output_layer_norm = make.norm(config.dim)

    def __call__(
        self, x: Array, layout: Layout, head_mask: Array | None = None, output_attentions: bool = False
    ) -> tuple[Array, Array | None]:
        """Arguments and results as `MultiHeadSelfAttention.__call__`."""
        context, probabilities = self.attention(x, layout, head_mask, output_attentions)
        x = self.sa_layer_norm(context + x)  # (batch, seq, dim)
        return self.output_layer_norm(self.ffn(x) + x), probabilities


class Transformer(Module):
    """The stack of blocks."""

    def __init__(self, config: DistilBertConfig, make: LayerFactory) -> None:
        self.layer = List([TransformerBlock(config, layer, make) for layer in range(config.n_layers)])
        self.gradient_checkpointing = False

    def __call__(
        self,
        x: Array,
        layout: Layout,
        head_mask: list[Array | None],
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
        hidden_states: list[Array] = [x]
        attentions: list[Array | None] = []
        for block, block_head_mask in zip(self.layer, head_mask, strict=True):
            run = type(block).__call__
            if self.gradient_checkpointing:
                run = nnx.remat(run, static_argnums=4)
            x, probabilities = run(block, x, layout, block_head_mask, output_attentions)
            hidden_states.append(x)
            attentions.append(probabilities)
        return BaseModelOutput(
            x,
            tuple(hidden_states) if output_hidden_states else None,
            tuple(attentions) if output_attentions else None,
        )


class FlaxDistilBertModel(FlaxDistilBertPreTrainedModel):
    """The bare model: ids in, hidden states out."""

    _table_head = "Model"
    padding_is_unseen = True
    takes_segments = False

    def __init__(self, config: DistilBertConfig, **options: Unpack[Options]) -> None:
        make = self.begin(config, **options)
        self.embeddings = Embeddings(self.config, make)
        self.transformer = Transformer(self.config, make)
        self.post_init(make)

    def forward(
        self,
        input_ids: Array | None = None,
        attention_mask: Array | None = None,
        head_mask: Array | None = None,
        inputs_embeds: Array | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        position_ids: Array | None = None,
        token_type_ids: Array | None = None,
        segment_ids: Array | None = None,
        unpad: Unpad = "auto",
        num_segments: int | None = None,
        layout: Layout | None = None,
    ) -> BaseModelOutput | tuple[Array, ...]:
        """Encode a batch.

        Args:
            input_ids: (batch, seq) integers in the vocabulary; one outside gives an error, in traced code NaN.
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
            unpad: "auto" leaves padding out of the computation in compiled calls where that pays, without labels and
                outside training, never where attentions or a head mask are asked for or on the eager path. With True,
                hidden states at padding are always 0. With False, padding is computed as transformers does.
            num_segments: Of no effect here: for the models with one output per segment.
            layout: How the tokens lie, where the caller has worked it out; instead of attention_mask, segment_ids and
                unpad.

        Returns:
            last_hidden_state (batch, seq, dim), then hidden_states and attentions where asked for.

        Raises:
            InputError: Ids and embeddings both or neither given, too long an input, an id outside its table, two of
                mask, segments and layout.
        """
        check_one_input(input_ids, inputs_embeds)
        check_inputs(self.config, input_ids, inputs_embeds, position_ids, token_type_ids)
        check_one_mask(attention_mask, segment_ids, layout)
        if layout is None:
            layout = padded_layout(attention_mask, segment_ids, unpad)
        input_ids, inputs_embeds = (None if x is None else layout.gather(x) for x in (input_ids, inputs_embeds))
        encoded = self.transformer(
            self.embeddings(input_ids, inputs_embeds, layout.positions(position_ids)),
            layout,
            self._split_head_mask(head_mask),
            self.config.output_attentions if output_attentions is None else output_attentions,
            self.config.output_hidden_states if output_hidden_states is None else output_hidden_states,
        )
        return self._as_output(encoded.map_hidden_states(layout.scatter), return_dict)

    def _split_head_mask(self, head_mask: Array | None) -> list[Array | None]:
        """(heads,) or (n_layers, heads) -> n_layers of (1, heads left, 1, 1)."""
        n_layers = len(self.transformer.layer)  # fewer than the config's where a user took some out
        if head_mask is None:
            return [None] * n_layers
        head_mask = jnp.asarray(head_mask, self.dtype)
        factors = jnp.broadcast_to(head_mask, (n_layers, self.config.n_heads))  # (n_layers, heads)
        left = [np.array(heads_left(self.config, layer)) for layer in range(n_layers)]
        return [factors[layer, heads][None, :, None, None] for layer, heads in enumerate(left)]  # (1, heads, 1, 1)
