"""DistilBERT: embeddings, n transformer blocks, hidden states (Sanh et al., arXiv 1910.01108).

Module and parameter names are those of transformers, so that the parameters of one fit the other.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Unpack

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from distilbert_common import BaseModelOutput, DistilBertConfig
from distilbert_common.checks import check_one_input, check_one_mask
from distilbert_common.pruning import attention_dim, heads_left
from distilbert_common.unpadding import Packing
from distilbert_flax.activations import ACTIVATIONS
from distilbert_flax.attention import eager_attention, expand_mask, sdpa_attention
from distilbert_flax.checks import check_inputs
from distilbert_flax.layers import Layers
from distilbert_flax.options import Options
from distilbert_flax.pretrained import FlaxDistilBertPreTrainedModel
from distilbert_flax.segments import segment_mask, segment_positions
from distilbert_flax.slices import in_slices
from distilbert_flax.unpadding import put_back, take


class Embeddings(nnx.Module):
    """Word plus position embeddings, normalised, with dropout."""

    def __init__(self, config: DistilBertConfig, make: Layers) -> None:
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
        words = self.word_embeddings(input_ids) if inputs_embeds is None else inputs_embeds  # (batch, seq, dim)
        if position_ids is None:
            position_ids = jnp.arange(words.shape[1])[None, :]  # (1, seq)
        return self.dropout(self.LayerNorm(words + self.position_embeddings(position_ids)))


class MultiHeadSelfAttention(nnx.Module):
    """Self-attention over all heads at once, without dropout after `out_lin`."""

    def __init__(self, config: DistilBertConfig, layer: int, make: Layers) -> None:
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
        self, x: Array, mask: Array | None, head_mask: Array | None = None, output_attentions: bool = False
    ) -> tuple[Array, Array | None]:
        """Attend.

        Args:
            x: (batch, seq, dim).
            mask: What `expand_mask` or `segment_mask` returns, or None.
            head_mask: Factor for the probabilities, broadcastable to (batch, heads, seq, seq).
            output_attentions: Whether to return the probabilities; they and a head mask take the eager path.

        Returns:
            (batch, seq, dim), and the probabilities (batch, heads, seq, seq) or None.
        """
        query, key, value = (self.split_heads(lin(x)) for lin in (self.q_lin, self.k_lin, self.v_lin))
        probabilities = None
        if output_attentions or head_mask is not None or self.config.attn_implementation == "eager":
            context, probabilities = eager_attention(query, key, value, mask, self.dropout, head_mask)
        else:
            context = sdpa_attention(query, key, value, mask, self.dropout)
        context = context.swapaxes(1, 2).reshape(*x.shape[:-1], -1)  # (batch, seq, heads * head_dim)
        return self.out_lin(context), probabilities if output_attentions else None


class FFN(nnx.Module):
    """The position-wise feed-forward network: dim -> hidden_dim -> dim."""

    def __init__(self, config: DistilBertConfig, make: Layers) -> None:
        self.lin1 = make.linear(config.dim, config.hidden_dim)
        self.lin2 = make.linear(config.hidden_dim, config.dim)
        self.activation = ACTIVATIONS[config.activation]
        self.dropout = make.dropout(config.dropout)

    def __call__(self, x: Array) -> Array:
        """(batch, seq, dim) -> (batch, seq, dim)."""
        activation = jax.checkpoint(self.activation)  # cheap to compute again for the backward pass, large to keep
        return self.dropout(self.lin2(activation(self.lin1(x))))


class TransformerBlock(nnx.Module):
    """Attention and feed-forward network, each with a residual sum and a LayerNorm after it."""

    def __init__(self, config: DistilBertConfig, layer: int, make: Layers) -> None:
        self.attention = MultiHeadSelfAttention(config, layer, make)
        self.sa_layer_norm = make.norm(config.dim)
        self.ffn = FFN(config, make)
        self.output_layer_norm = make.norm(config.dim)

    def __call__(
        self, x: Array, mask: Array | None, head_mask: Array | None = None, output_attentions: bool = False
    ) -> tuple[Array, Array | None]:
        """Arguments and results as `MultiHeadSelfAttention.__call__`."""
        context, probabilities = self.attention(x, mask, head_mask, output_attentions)
        x = self.sa_layer_norm(context + x)  # (batch, seq, dim)
        return self.output_layer_norm(self.ffn(x) + x), probabilities


class Transformer(nnx.Module):
    """The stack of blocks."""

    def __init__(self, config: DistilBertConfig, make: Layers) -> None:
        self.layer = nnx.List([TransformerBlock(config, layer, make) for layer in range(config.n_layers)])
        self.gradient_checkpointing = False

    def __call__(
        self,
        x: Array,
        mask: Array | None,
        head_mask: list[Array | None],
        output_attentions: bool = False,
        output_hidden_states: bool = False,
    ) -> BaseModelOutput:
        """Run the blocks.

        Args:
            x: (batch, seq, dim).
            mask: What `expand_mask` or `segment_mask` returns, or None.
            head_mask: One factor or None for each block.
            output_attentions: Whether to collect each block's probabilities.
            output_hidden_states: Whether to collect the embeddings and each block's output.
        """
        hidden_states: list[Array] = [x]
        attentions: list[Array | None] = []
        run = TransformerBlock.__call__
        if self.gradient_checkpointing:
            run = nnx.remat(run, static_argnums=4)
        for block, block_head_mask in zip(self.layer, head_mask, strict=True):
            x, probabilities = run(block, x, mask, block_head_mask, output_attentions)
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

    def __init__(self, config: DistilBertConfig, **options: Unpack[Options]) -> None:
        make = self.begin(config, **options)
        self.embeddings = Embeddings(self.config, make)
        self.transformer = Transformer(self.config, make)
        self.tokens_at_once: int | None = None
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
        *,
        position_ids: Array | None = None,
        token_type_ids: Array | None = None,
        segment_ids: Array | None = None,
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

        Returns:
            last_hidden_state (batch, seq, dim), then hidden_states and attentions where asked for.

        Raises:
            InputError: Ids and embeddings both or neither given, too long an input, an id outside its table, both a
                mask and segments.
        """
        check_one_input(input_ids, inputs_embeds)
        check_one_mask(attention_mask, segment_ids)
        check_inputs(self.config, input_ids, inputs_embeds, position_ids, token_type_ids)
        packing = attention_mask if isinstance(attention_mask, Packing) else None
        if packing is not None:
            position_ids = jnp.arange(input_ids.shape[1])[None] if position_ids is None else position_ids
            input_ids, position_ids = take(packing, input_ids), take(packing, position_ids)  # (rows, length) each
            segment_ids, attention_mask = packing.segment_ids, None
        mask = None if attention_mask is None else expand_mask(attention_mask)
        if segment_ids is not None:
            segment_ids = jnp.asarray(segment_ids)
            mask = segment_mask(segment_ids)
            position_ids = segment_positions(segment_ids) if position_ids is None else position_ids
        attentions = self.config.output_attentions if output_attentions is None else output_attentions
        states = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        options = {"output_attentions": attentions, "output_hidden_states": states}
        run = partial(self.transformer, head_mask=self.split_head_mask(head_mask), **options)
        encoded = in_slices(run, self.embeddings(input_ids, inputs_embeds, position_ids), mask, self.tokens_at_once)
        if packing is not None:
            encoded = each_state(encoded, lambda x: put_back(packing, x))
        elif segment_ids is not None:
            encoded = each_state(encoded, lambda x: jnp.where((segment_ids != 0)[:, :, None], x, 0))
        return self._as_output(encoded, return_dict)

    def split_head_mask(self, head_mask: Array | None) -> list[Array | None]:
        """(heads,) or (n_layers, heads) -> n_layers of (1, heads left, 1, 1)."""
        if head_mask is None:
            return [None] * len(self.transformer.layer)
        shape = (self.config.n_layers, self.config.n_heads)
        factors = jnp.broadcast_to(jnp.asarray(head_mask, self.dtype), shape)  # (n_layers, heads)
        left = [np.array(heads_left(self.config, layer)) for layer in range(self.config.n_layers)]
        return [factors[layer, heads][None, :, None, None] for layer, heads in enumerate(left)]  # (1, heads, 1, 1)


def each_state(encoded: BaseModelOutput, change: Callable[[Array], Array]) -> BaseModelOutput:
    """Return the output with each hidden state changed; the last one is the same array in both places."""
    if encoded.hidden_states is None:
        return BaseModelOutput(change(encoded.last_hidden_state), None, encoded.attentions)
    states = tuple(change(x) for x in encoded.hidden_states)
    return BaseModelOutput(states[-1], states, encoded.attentions)
