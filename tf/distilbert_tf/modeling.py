"""DistilBERT: embeddings, n transformer blocks, hidden states (Sanh et al., arXiv 1910.01108).

Layer names are those of transformers, so that the weights of one fit the other.
"""

from __future__ import annotations

from typing import Any

from keras import ops

from distilbert_common import BaseModelOutput, DistilBertConfig
from distilbert_common.checks import Unpad
from distilbert_common.pruning import attention_dim, heads_left
from distilbert_tf.activations import ACTIVATIONS
from distilbert_tf.arrays import Tensor
from distilbert_tf.attention import eager_attention, sdpa_attention
from distilbert_tf.fast.layers import fused_feed_forward, linear
from distilbert_tf.framework.checkpointing import checkpoint
from distilbert_tf.framework.configured import ConfiguredLayer, NumberedLayer
from distilbert_tf.initialization import serializable
from distilbert_tf.layers import look_up, normalize
from distilbert_tf.layout import NO_PADDING, Layout, padded_layout
from distilbert_tf.pretrained import TFDistilBertPreTrainedModel

__all__ = [
    "Embeddings",
    "FFN",
    "MultiHeadSelfAttention",
    "TFDistilBertMainLayer",
    "TFDistilBertModel",
    "Transformer",
    "TransformerBlock",
]


@serializable
class Embeddings(ConfiguredLayer):
    """Word plus position embeddings, normalized, with dropout."""

    def __init__(self, config: DistilBertConfig, **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        self.word_embeddings = self.embed("word_embeddings", config.vocab_size)
        self.position_embeddings = self.embed("position_embeddings", config.max_position_embeddings)
        self.position_embeddings.trainable = not config.sinusoidal_pos_embds
        self.LayerNorm = self.norm("LayerNorm")
        self.dropout = self.drop("dropout", config.dropout)

    def build(self, input_shape: Any = None) -> None:
        """Create the weights."""
        self.build_parts(self.word_embeddings, self.position_embeddings, self.LayerNorm)

    def call(
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
        if inputs_embeds is None:
            embeddings = look_up(self.word_embeddings, input_ids, self.config.pad_token_id)  # (batch, seq, dim)
        else:
            embeddings = ops.cast(inputs_embeds, self.compute_dtype)  # (batch, seq, dim)
        if position_ids is None:
            position_ids = ops.expand_dims(ops.arange(ops.shape(embeddings)[1]), 0)  # (1, seq)
        return self.dropout(normalize(self.LayerNorm, embeddings + look_up(self.position_embeddings, position_ids)))


@serializable
class MultiHeadSelfAttention(NumberedLayer):
    """Self-attention over all heads at once, without dropout after `out_lin`."""

    def __init__(self, config: DistilBertConfig, layer: int = 0, **kwargs: Any) -> None:
        super().__init__(config, layer, **kwargs)
        self.head_dim = config.dim // config.n_heads
        width = attention_dim(config, layer)  # heads * head_dim
        self.dropout = self.drop("dropout", config.attention_dropout, dtype="float32")
        self.q_lin = self.linear("q_lin", width)
        self.k_lin = self.linear("k_lin", width)
        self.v_lin = self.linear("v_lin", width)
        self.out_lin = self.linear("out_lin", config.dim)

    def build(self, input_shape: Any = None) -> None:
        """Create the weights."""
        self.build_parts(self.q_lin, self.k_lin, self.v_lin)
        self.out_lin.build((None, None, attention_dim(self.config, self.layer)))

    def split_heads(self, x: Tensor) -> Tensor:
        """(batch, seq, heads * head_dim) -> (batch, heads, seq, head_dim)."""
        batch, seq = ops.shape(x)[:2]
        x = ops.reshape(x, (batch, seq, x.shape[-1] // self.head_dim, self.head_dim))  # (batch, seq, heads, head_dim)
        return ops.transpose(x, (0, 2, 1, 3))  # (batch, heads, seq, head_dim)

    def call(
        self,
        x: Tensor,
        layout: Layout = NO_PADDING,
        head_mask: Tensor | None = None,
        output_attentions: bool = False,
        training: bool | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Attend.

        Args:
            x: (batch, seq, dim), as the layout gathers it.
            layout: How the tokens lie, and with that who attends to whom.
            head_mask: Factor for the probabilities, broadcastable to (batch, heads, seq, seq).
            output_attentions: Whether to return the probabilities; they and a head mask take the eager path.
            training: Whether dropout acts.

        Returns:
            (batch, seq, dim), and the probabilities (batch, heads, seq, seq) or None.
        """
        query, key, value = (self.split_heads(linear(lin, x)) for lin in (self.q_lin, self.k_lin, self.v_lin))
        dropout = self.dropout if training and self.dropout.rate > 0 else None
        if output_attentions or head_mask is not None or self.config.attn_implementation == "eager":
            context, probabilities = eager_attention(query, key, value, layout.mask, dropout, head_mask)
        else:
            context, probabilities = layout.attend(sdpa_attention, query, key, value, dropout), None
        context = ops.transpose(context, (0, 2, 1, 3))  # (batch, seq, heads, head_dim)
        context = ops.reshape(context, (*ops.shape(x)[:2], query.shape[1] * self.head_dim))  # (batch, seq, heads * …)
        return linear(self.out_lin, context), probabilities if output_attentions else None


@serializable
class FFN(ConfiguredLayer):
    """The position-wise feed-forward network: dim -> hidden_dim -> dim."""

    def __init__(self, config: DistilBertConfig, **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        self.lin1 = self.linear("lin1", config.hidden_dim)
        self.lin2 = self.linear("lin2", config.dim)
        self.activation = ACTIVATIONS[config.activation]
        self.dropout = self.drop("dropout", config.dropout)

    def build(self, input_shape: Any = None) -> None:
        """Create the weights."""
        self.build_parts(self.lin1)
        self.lin2.build((None, None, self.config.hidden_dim))

    @fused_feed_forward
    def call(self, x: Tensor) -> Tensor:
        """(batch, seq, dim) -> (batch, seq, dim)."""
        return self.dropout(self.lin2(self.activation(self.lin1(x))))


@serializable
class TransformerBlock(NumberedLayer):
    """Attention and feed-forward network, each with a residual sum and a LayerNorm after it."""

    def __init__(self, config: DistilBertConfig, layer: int = 0, **kwargs: Any) -> None:
        super().__init__(config, layer, **kwargs)
        self.attention = MultiHeadSelfAttention(config, layer, **self.options("attention"))
        self.sa_layer_norm = self.norm("sa_layer_norm")
        self.ffn = FFN(config, **self.options("ffn"))
        self.output_layer_norm = self.norm("output_layer_norm")

    def build(self, input_shape: Any = None) -> None:
        """Create the weights."""
        self.build_parts(self.attention, self.sa_layer_norm, self.ffn, self.output_layer_norm)

    def call(
        self, x: Tensor, layout: Layout = NO_PADDING, head_mask: Tensor | None = None, output_attentions: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Arguments and results as `MultiHeadSelfAttention.call`."""
        context, probabilities = self.attention(
            x, layout=layout, head_mask=head_mask, output_attentions=output_attentions
        )
        x = normalize(self.sa_layer_norm, context + x)  # (batch, seq, dim)
        return normalize(self.output_layer_norm, self.ffn(x) + x), probabilities


@serializable
class Transformer(ConfiguredLayer):
    """The stack of blocks."""

    def __init__(self, config: DistilBertConfig, **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        self.layer = [TransformerBlock(config, i, **self.options(f"layer_{i}")) for i in range(config.n_layers)]
        self.gradient_checkpointing = False

    def build(self, input_shape: Any = None) -> None:
        """Create the weights."""
        self.build_parts(*self.layer)

    def call(
        self,
        x: Tensor,
        layout: Layout = NO_PADDING,
        head_mask: list[Tensor | None] | None = None,
        output_attentions: bool = False,
        output_hidden_states: bool = False,
        training: bool | None = None,
    ) -> BaseModelOutput:
        """Run the blocks.

        Args:
            x: (batch, seq, dim), as the layout gathers it.
            layout: How the tokens lie, and with that who attends to whom.
            head_mask: One factor or None for each block.
            output_attentions: Whether to collect each block's probabilities.
            output_hidden_states: Whether to collect the embeddings and each block's output.
            training: Whether dropout acts.
        """
        hidden_states: list[Tensor] = [x]
        attentions: list[Tensor | None] = []
        for block, block_head_mask in zip(self.layer, head_mask or [None] * len(self.layer), strict=True):
            if self.gradient_checkpointing and training and not output_attentions:
                x, probabilities = checkpoint(block, x, layout, block_head_mask), None
            else:
                x, probabilities = block(
                    x, layout=layout, head_mask=block_head_mask, output_attentions=output_attentions
                )
            hidden_states.append(x)
            attentions.append(probabilities)
        return BaseModelOutput(
            x,
            tuple(hidden_states) if output_hidden_states else None,
            tuple(attentions) if output_attentions else None,
        )


@serializable
class TFDistilBertMainLayer(ConfiguredLayer):
    """The bare model as a layer: what every model, also the bare one, holds as `distilbert`."""

    def __init__(self, config: DistilBertConfig, **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        self.embeddings = Embeddings(config, **self.options("embeddings"))
        self.transformer = Transformer(config, **self.options("transformer"))

    def build(self, input_shape: Any = None) -> None:
        """Create the weights."""
        self.build_parts(self.embeddings, self.transformer)

    def call(
        self, input_ids: Tensor | None = None, attention_mask: Tensor | None = None, head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None, output_attentions: bool | None = None,
        output_hidden_states: bool | None = None, return_dict: bool | None = None, *,
        position_ids: Tensor | None = None, segment_ids: Tensor | None = None, unpad: Unpad = "auto",
        num_segments: int | None = None, layout: Layout | None = None,
    ) -> BaseModelOutput | tuple[Tensor, ...]:  # fmt: skip
        """Encode a batch; arguments as `TFDistilBertModel.call`, but that a `ModelOutput` is the default."""
        if layout is None:
            layout = padded_layout(attention_mask, segment_ids, unpad)
        input_ids, inputs_embeds = (None if x is None else layout.gather(x) for x in (input_ids, inputs_embeds))
        encoded: BaseModelOutput = self.transformer(
            self.embeddings(
                input_ids=input_ids, inputs_embeds=inputs_embeds, position_ids=layout.positions(position_ids)
            ),
            layout=layout,
            head_mask=self._split_head_mask(head_mask),
            output_attentions=self.config.output_attentions if output_attentions is None else output_attentions,
            output_hidden_states=(
                self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
            ),
        )
        encoded = encoded.map_hidden_states(layout.scatter)
        return encoded.to_tuple() if return_dict is False else encoded

    def _split_head_mask(self, head_mask: Tensor | None) -> list[Tensor | None]:
        """(heads,) or (n_layers, heads) -> n_layers of (1, heads left, 1, 1)."""
        n_layers = len(self.transformer.layer)  # fewer than the config's where a user took some out
        if head_mask is None:
            return [None] * n_layers
        factors = ops.broadcast_to(ops.cast(head_mask, self.compute_dtype), (n_layers, self.config.n_heads))
        left = [heads_left(self.config, layer) for layer in range(n_layers)]
        factors = [ops.take(factors[layer], ops.array(heads, "int32"), axis=0) for layer, heads in enumerate(left)]
        return [ops.reshape(x, (1, len(heads), 1, 1)) for x, heads in zip(factors, left, strict=True)]


@serializable
class TFDistilBertModel(TFDistilBertPreTrainedModel):
    """The bare model: ids in, hidden states out."""

    head = "Model"
    logit_names = ("last_hidden_state",)
    label_names = ()

    def __init__(self, config: DistilBertConfig, **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        self.distilbert = TFDistilBertMainLayer(self.config, **self.options("distilbert"))
        self.post_init()

    def call(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        training: bool | None = None,
        *,
        position_ids: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        segment_ids: Tensor | None = None,
        unpad: Unpad = "auto",
        num_segments: int | None = None,
        layout: Layout | None = None,
    ) -> BaseModelOutput | tuple[Tensor, ...]:
        """Encode a batch.

        All can be given as keywords, as one dict, as one list, or in this order.

        Args:
            input_ids: (batch, seq) integers in the vocabulary.
            attention_mask: (batch, seq), non-zero attends; or (batch, 1 or heads, seq, seq), see `expand_mask`.
            head_mask: (heads,) or (n_layers, heads) factors for the attention probabilities.
            inputs_embeds: (batch, seq, dim) instead of ids; positions are added to them.
            output_attentions: Whether to return the probabilities; the config's choice when None.
            output_hidden_states: Whether to return all hidden states; the config's choice when None.
            return_dict: Whether to return a `ModelOutput` instead of a tuple; the config's choice when None.
            training: Whether dropout acts; False when None.
            position_ids: (batch, seq) or (1, seq) integers; 0, 1, 2, … when None.
            token_type_ids: Accepted and ignored, with a warning where non-zero.
            segment_ids: (batch, seq) integers instead of a mask, for rows that hold several sequences: tokens attend
                to those with their own number, positions start anew in each sequence, 0 is padding.
            unpad: "auto" leaves padding out of a compiled call where that pays and nothing reads it, never where
                attentions are asked for or on the eager path. With True, hidden states at padding are always 0. With
                False, padding is computed as transformers does.
            num_segments: Of no effect here: for the models with one output per segment.
            layout: How the tokens lie, where the caller has worked it out; instead of attention_mask, segment_ids and
                unpad.

        Returns:
            last_hidden_state (batch, seq, dim), then hidden_states and attentions where asked for.

        Raises:
            InputError: Ids and embeddings both or neither given, too long an input, an id outside its table, two of
                mask, segments and layout.
        """
        encoded: BaseModelOutput = self.distilbert(
            input_ids=input_ids, attention_mask=attention_mask, head_mask=head_mask, inputs_embeds=inputs_embeds,
            output_attentions=output_attentions, output_hidden_states=output_hidden_states, position_ids=position_ids,
            segment_ids=segment_ids, unpad=unpad, layout=layout, training=training,
        )  # fmt: skip
        return self._as_output(encoded, return_dict)
