"""DistilBERT: embeddings, n transformer blocks, hidden states (Sanh et al., arXiv 1910.01108).

Module and parameter names are those of transformers, so that a state_dict of one fits the other.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from distilbert_common import BaseModelOutput, DistilBertConfig
from distilbert_common.checks import check_one_input, check_one_mask
from distilbert_common.constants import LAYER_NORM_EPS
from distilbert_common.initialization import sinusoidal_table
from distilbert_common.pruning import attention_dim, heads_left
from distilbert_pt.activations import ACTIVATIONS
from distilbert_pt.attention import DEFAULT, IMPLEMENTATIONS, eager_attention, expand_mask
from distilbert_pt.checks import check_inputs
from distilbert_pt.fast.hooks import has_hooks
from distilbert_pt.fast.layers import feed_forward, linear
from distilbert_pt.pretrained import DistilBertPreTrainedModel
from distilbert_pt.segments import segment_mask, segment_positions
from distilbert_pt.unpadding import UNPAD_THRESHOLD, RealTokens, is_at_hand, real_tokens

Mask = Tensor | RealTokens | None
"""What `expand_mask` or `segment_mask` returns; or the real tokens, where the others are left out; or None."""


class Embeddings(nn.Module):
    """Word plus position embeddings, normalised, with dropout."""

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
        words = self.word_embeddings(input_ids) if inputs_embeds is None else inputs_embeds  # (batch, seq, dim)
        if position_ids is None:
            position_ids = torch.arange(words.size(1), device=words.device)[None, :]  # (1, seq)
        return self.dropout(self.LayerNorm(words + self.position_embeddings(position_ids)))


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
        self, x: Tensor, mask: Mask, head_mask: Tensor | None = None, output_attentions: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Attend.

        Args:
            x: (batch, seq, dim).
            mask: Who attends to whom; with real tokens alone, x is (1, tokens, dim).
            head_mask: Factor for the probabilities, broadcastable to (batch, heads, seq, seq).
            output_attentions: Whether to return the probabilities; they and a head mask take the eager path.

        Returns:
            (batch, seq, dim), and the probabilities (batch, heads, seq, seq) or None.
        """
        query, key, value = (self.split_heads(linear(lin, x)) for lin in (self.q_lin, self.k_lin, self.v_lin))
        dropout = self.config.attention_dropout if self.training else 0.0
        implementation, probabilities = self.config.attn_implementation or DEFAULT, None
        if isinstance(mask, RealTokens):
            context = mask.attend(query, key, value, dropout)
        elif output_attentions or head_mask is not None or implementation == "eager":
            context, probabilities = eager_attention(query, key, value, mask, dropout, head_mask)
        else:
            context = IMPLEMENTATIONS[implementation](query, key, value, mask, dropout)
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

    def forward(self, x: Tensor) -> Tensor:
        """(batch, seq, dim) -> (batch, seq, dim)."""
        return self.dropout(feed_forward(self.lin1, self.activation, self.lin2, x))


class TransformerBlock(nn.Module):
    """Attention and feed-forward network, each with a residual sum and a LayerNorm after it."""

    def __init__(self, config: DistilBertConfig, layer: int) -> None:
        super().__init__()
        self.attention = MultiHeadSelfAttention(config, layer)
        self.sa_layer_norm = nn.LayerNorm(config.dim, eps=LAYER_NORM_EPS)
        self.ffn = FFN(config)
        self.output_layer_norm = nn.LayerNorm(config.dim, eps=LAYER_NORM_EPS)

    def forward(
        self, x: Tensor, mask: Mask, head_mask: Tensor | None = None, output_attentions: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Arguments and results as `MultiHeadSelfAttention.forward`."""
        context, probabilities = self.attention(x, mask, head_mask, output_attentions)
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
        mask: Mask,
        head_mask: list[Tensor | None],
        output_attentions: bool = False,
        output_hidden_states: bool = False,
    ) -> BaseModelOutput:
        """Run the blocks.

        Args:
            x: (batch, seq, dim).
            mask: Who attends to whom; with real tokens alone, x is (1, tokens, dim).
            head_mask: One factor or None for each block.
            output_attentions: Whether to collect each block's probabilities.
            output_hidden_states: Whether to collect the embeddings and each block's output.
        """
        hidden_states: list[Tensor] = [x]
        attentions: list[Tensor | None] = []
        for layer, (block, block_head_mask) in enumerate(zip(self.layer, head_mask, strict=True)):
            arguments = (x, mask, block_head_mask, output_attentions)
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
        self.embeddings = Embeddings(config)
        self.transformer = Transformer(config)
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
        unpad: bool | None = None,
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
            unpad: Whether padding is left out of the computation, and its hidden states are 0; None for where that
                pays and no hook watches the layers. Never where attentions or a head mask are asked for, or on the
                eager path, which compute padding as transformers does.

        Returns:
            last_hidden_state (batch, seq, dim), then hidden_states and attentions where asked for.

        Raises:
            InputError: Ids and embeddings both or neither given, too long an input, an id outside its table, both a
                mask and segments.
        """
        check_one_input(input_ids, inputs_embeds)
        check_one_mask(attention_mask, segment_ids)
        check_inputs(self.config, input_ids, inputs_embeds, position_ids, token_type_ids)
        attentions = self.config.output_attentions if output_attentions is None else output_attentions
        fused = not attentions and head_mask is None and self.config.attn_implementation != "eager"
        mask = self._mask(attention_mask, segment_ids, unpad if fused else False)
        if segment_ids is not None and position_ids is None:
            position_ids = segment_positions(segment_ids)  # (batch, seq)
        if isinstance(mask, RealTokens):
            seq = (input_ids if inputs_embeds is None else inputs_embeds).size(1)
            places = torch.arange(seq, device=mask.places.device)[None] if position_ids is None else position_ids
            position_ids = mask.take(places)  # (1, tokens)
            input_ids, inputs_embeds = (None if x is None else mask.take(x) for x in (input_ids, inputs_embeds))
        encoded = self.transformer(
            self.embeddings(input_ids, inputs_embeds, position_ids),
            mask,
            self._split_head_mask(head_mask),
            attentions,
            self.config.output_hidden_states if output_hidden_states is None else output_hidden_states,
        )
        if isinstance(mask, RealTokens):
            encoded = each_state(encoded, mask.put_back)
        elif segment_ids is not None:
            encoded = each_state(encoded, lambda x: x.where((segment_ids != 0)[:, :, None], 0))
        return self._as_output(encoded, return_dict)

    def _mask(self, attention_mask: Tensor | None, segment_ids: Tensor | None, unpad: bool | None) -> Mask:
        """Say who attends to whom: None where nothing is masked, the real tokens where padding is left out."""
        if segment_ids is not None:
            taken = is_at_hand(segment_ids) and not self._is_watched() if unpad is None else unpad
            return (real_tokens(segment_ids) if taken else None) or segment_mask(segment_ids)
        if attention_mask is None:
            return None
        if attention_mask.dim() == 2 and (unpad or is_at_hand(attention_mask)):
            real = attention_mask != 0  # (batch, seq)
            share = int(real.sum()) / max(1, real.numel())
            if share == 1:
                return None
            if unpad or (unpad is None and share < UNPAD_THRESHOLD and not self._is_watched()):
                return real_tokens(real) or expand_mask(attention_mask)
        return expand_mask(attention_mask)

    def _is_watched(self) -> bool:
        """Whether hooks see what the layers take and give: they are to see (batch, seq, dim), padding and all."""
        return any(has_hooks(module) for part in (self.embeddings, self.transformer) for module in part.modules())

    def _split_head_mask(self, head_mask: Tensor | None) -> list[Tensor | None]:
        """(heads,) or (n_layers, heads) -> n_layers of (1, heads left, 1, 1)."""
        n_layers = len(self.transformer.layer)  # fewer than the config's where a user took some out
        if head_mask is None:
            return [None] * n_layers
        factors = head_mask.to(self.dtype).expand(n_layers, -1)  # (n_layers, heads)
        left = [heads_left(self.config, layer) for layer in range(n_layers)]
        return [factors[layer, heads][None, :, None, None] for layer, heads in enumerate(left)]  # (1, heads, 1, 1)


def each_state(encoded: BaseModelOutput, change: Callable[[Tensor], Tensor]) -> BaseModelOutput:
    """Return the output with each hidden state changed; the last one is the same tensor in both places."""
    if encoded.hidden_states is None:
        return BaseModelOutput(change(encoded.last_hidden_state), None, encoded.attentions)
    states = tuple(change(x) for x in encoded.hidden_states)
    return BaseModelOutput(states[-1], states, encoded.attentions)
