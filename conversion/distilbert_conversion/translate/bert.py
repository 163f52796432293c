"""A BERT checkpoint read as a DistilBERT: modules and config fields renamed, token type 0 folded in, the rest left out.

BERT is DistilBERT with token types and a pooler. Every dialect spells a parameter the same way in both, so that one
table of module names serves PyTorch, TensorFlow and Flax files alike. The position table is added to every token;
adding the row of token type 0 to each of its rows gives what BERT computes for a single segment.
Source: `modeling_bert.py`, `modeling_tf_bert.py` and `modeling_flax_bert.py` of transformers 4.57.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from distilbert_common.errors import CheckpointError, CheckpointNotFoundError, ConfigError
from distilbert_common.files import read_json
from distilbert_conversion.source import Source
from distilbert_conversion.translate.translated_checkpoint import TranslatedCheckpoint
from distilbert_conversion.weights.lazy import Array, LazyTensor, equal

__all__ = ["MODULES", "is_bert", "read_as_distilbert", "translated_config", "wrapper_of"]

MODULES: dict[str, str] = {
    "embeddings.word_embeddings": "embeddings.word_embeddings",
    "embeddings.position_embeddings": "embeddings.position_embeddings",
    "embeddings.LayerNorm": "embeddings.LayerNorm",
    "encoder.layer.{i}.attention.self.query": "transformer.layer.{i}.attention.q_lin",
    "encoder.layer.{i}.attention.self.key": "transformer.layer.{i}.attention.k_lin",
    "encoder.layer.{i}.attention.self.value": "transformer.layer.{i}.attention.v_lin",
    "encoder.layer.{i}.attention.output.dense": "transformer.layer.{i}.attention.out_lin",
    "encoder.layer.{i}.attention.output.LayerNorm": "transformer.layer.{i}.sa_layer_norm",
    "encoder.layer.{i}.intermediate.dense": "transformer.layer.{i}.ffn.lin1",
    "encoder.layer.{i}.output.dense": "transformer.layer.{i}.ffn.lin2",
    "encoder.layer.{i}.output.LayerNorm": "transformer.layer.{i}.output_layer_norm",
    "predictions.transform.dense": "vocab_transform",
    "predictions.transform.LayerNorm": "vocab_layer_norm",
    "predictions.decoder": "vocab_projector",
    "predictions": "vocab_projector",
    "classifier": "classifier",
    "qa_outputs": "qa_outputs",
}
"""BERT's modules, bare, and DistilBERT's; `{i}` is the layer. The last two rest on the last hidden state alone."""

POSITIONS = "embeddings.position_embeddings"
TOKEN_TYPES = "embeddings.token_type_embeddings"
NOTES = {
    True: "a BERT: token type 0 is folded into the positions, exact for single segments",
    False: "a BERT: token types are left out, so the outputs are not the BERT's",
}
POOLED = ("pooler.dense", "seq_relationship")
"""What rests on the first token's pooled state, and is left out; a classifier beside a pooler does too."""

FIELDS: tuple[tuple[str, str, Any], ...] = (
    # BERT                          DistilBERT                 where BERT's config does not say
    ("vocab_size", "vocab_size", 30522),
    ("max_position_embeddings", "max_position_embeddings", 512),
    ("num_hidden_layers", "n_layers", 12),
    ("num_attention_heads", "n_heads", 12),
    ("hidden_size", "dim", 768),
    ("intermediate_size", "hidden_dim", 3072),
    ("hidden_dropout_prob", "dropout", 0.1),
    ("attention_probs_dropout_prob", "attention_dropout", 0.1),
    ("hidden_act", "activation", "gelu"),
    ("initializer_range", "initializer_range", 0.02),
    ("pad_token_id", "pad_token_id", 0),
)
"""The config fields that both have."""

_EPSILON = (  # measured by parity_tests/helpers/minilm.py
    "DistilBERT has no field for it, and the outputs would differ; those of all-MiniLM-L6-v2 move by 4e-3 between "
    "1e-12 and 1e-5, by 4e-4 between 1e-12 and 1e-6"
)
REQUIRED: tuple[tuple[str, Any, str], ...] = (
    ("layer_norm_eps", 1e-12, _EPSILON),
    ("position_embedding_type", "absolute", "DistilBERT has no relative positions"),
    ("is_decoder", False, "DistilBERT attends in both directions"),
    ("add_cross_attention", False, "DistilBERT has no cross-attention"),
)
"""What a BERT must be: field, value (also where the field is absent), and why."""

_OF_BERT_ALONE = {
    *(field for field, _, _ in (*FIELDS, *REQUIRED)),
    *("model_type", "type_vocab_size", "use_cache", "classifier_dropout", "gradient_checkpointing"),
    *("architectures", "_name_or_path"),
}
_LEADING = re.compile(r"(module\.)?(params/)?(tf_bert\w*/)?(bert[./])?((mlm___|nsp___)?cls[./])?")
_WRAPPER = re.compile(
    r"(?P<wrapper>(?:.*?[./])??)(?:tf_bert\w*/)?(?:bert[./])?encoder[./]layer(?:_\._|[./])[0-9]+[./]attention[./]self[./]query[./]"
)
_LAYER = re.compile(r"\blayer(?:_\._|\.)([0-9]{1,4})(?=\.)")


@dataclass(frozen=True)
class Name:
    """A BERT parameter's name, taken apart.

    Attributes:
        module: As in `MODULES`.
        layer: As written, "" where there is none.
        separator: "/" in TensorFlow files and MessagePack, else ".".
        parameter: The last part: "weight", "kernel:0" and so on.
        tf: Whether the layer is spelled as TensorFlow does.
    """

    module: str
    layer: str
    separator: str
    parameter: str
    tf: bool

    @classmethod
    def parse(cls, name: str) -> Name:
        """Take a name in a file apart."""
        separator = "/" if "/" in name else "."
        match = _LEADING.match(name)
        assert match is not None  # every part of it is optional
        module, _, parameter = name[match.end() :].rpartition(separator)
        module = module.replace(separator, ".")
        layer = _LAYER.search(module)
        return cls(
            _LAYER.sub("layer.{i}", module), layer[1] if layer else "", separator, parameter, "layer_._" in module
        )

    def renamed(self) -> str:
        """Return the name of the same parameter in a DistilBERT file of the same dialect."""
        block = f"layer_._{self.layer}" if self.tf else f"layer{self.separator}{self.layer}"
        parts = MODULES[self.module].replace("layer.{i}", "layer_{i}").split(".")
        return self.separator.join((*parts, self.parameter)).replace("layer_{i}", block)


def is_bert(file_tensors: Iterable[str]) -> bool:
    """Whether the names in a file are a BERT's."""
    return any(Name.parse(name).module == "encoder.layer.{i}.attention.self.query" for name in file_tensors)


def wrapper_of(name: str) -> str | None:
    """Return what stands before the model's own part of a BERT layer's name, as "model."; None for other names."""
    match = _WRAPPER.match(name)
    return None if match is None else match["wrapper"]


def read_as_distilbert(
    source: Source, file_tensors: Mapping[str, LazyTensor], fold_token_type: bool | None
) -> TranslatedCheckpoint:
    """Return what a BERT's file holds as a DistilBERT's.

    Args:
        source: The file.
        file_tensors: Its tensors by their names in it, of any framework.
        fold_token_type: Add the row of token type 0 to every position, or leave it out; None refuses.

    Raises:
        CheckpointError: It was not asked for, has no config, or its tensors contradict each other.
        ConfigError: No DistilBERT equals it.
    """
    path = source.path
    if fold_token_type is None:
        raise CheckpointError(f"{path} is a BERT; make a DistilBERT of it with: distilbert convert SRC DST --to pt")
    config = source.sibling("config.json") or source.sibling("bert_config.json")  # which Google's code wrote
    if config is None:
        raise CheckpointNotFoundError(f"{path} has no config.json beside it; a model's sizes are read from there")
    fields = read_json(config)
    parsed = {name: Name.parse(name) for name in file_tensors}
    left_out = _beyond_distilbert({parts.module for parts in parsed.values()}, str(fields.get("architectures")))
    tensors: dict[str, LazyTensor] = {}
    for name, parts in parsed.items():
        if parts.module not in left_out:
            new = parts.renamed() if parts.module in MODULES else name
            if not equal(file_tensors[name], tensors.setdefault(new, file_tensors[name])):
                raise CheckpointError(f"{path} holds two different values for {new}, one as {name!r}")
    if fold_token_type:
        tables = {parts.module: name for name, parts in parsed.items() if parts.module in (POSITIONS, TOKEN_TYPES)}
        if len(tables) < 2:
            raise CheckpointError(f"{path} has no {TOKEN_TYPES} to fold into positions; pass --no-fold-token-type")
        tensors[parsed[tables[POSITIONS]].renamed()] = _folded(
            file_tensors[tables[POSITIONS]], file_tensors[tables[TOKEN_TYPES]]
        )
    names_left_out = tuple(name for name, parts in parsed.items() if parts.module in left_out)
    return TranslatedCheckpoint(translated_config(fields), tensors, names_left_out, (NOTES[fold_token_type],))


def _beyond_distilbert(modules: set[str], architectures: str) -> set[str]:
    """Return the modules that a DistilBERT has no place for.

    A token classifier takes the last hidden states, as DistilBERT's does, though old files hold a pooler beside it.
    """
    classifies_tokens = "ForTokenClassification" in architectures
    pooled = "pooler.dense" in modules or "ForSequenceClassification" in architectures
    return {TOKEN_TYPES, *POOLED, *(("classifier",) if pooled and not classifies_tokens else ())}


def _folded(positions: LazyTensor, token_types: LazyTensor) -> LazyTensor:
    """Return the position table with token type 0 added to every row."""
    if len(token_types.shape) != 2 or not token_types.shape[0] or token_types.shape[1:] != positions.shape[1:]:
        raise CheckpointError(f"{TOKEN_TYPES} is {token_types.shape}, which does not fit positions {positions.shape}")

    def load() -> Array:
        added: Array = positions.read() + token_types.read()[0]  # (max_position_embeddings, dim)
        return added

    return LazyTensor(positions.shape, positions.dtype, load)


def translated_config(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a BERT's `config.json` as a DistilBERT's; fields that are about neither model are kept.

    Raises:
        ConfigError: It is another model's, or a BERT that no DistilBERT equals.
    """
    if fields.get("model_type", "bert") != "bert":
        raise ConfigError(f"the config's model_type is {fields['model_type']!r}; expected 'bert' or 'distilbert'")
    for field, value, reason in REQUIRED:
        if fields.get(field, value) != value:
            raise ConfigError(
                f"config field {field!r} is {fields[field]!r}; expected {value!r}: {reason}; "
                "change it in config.json if you accept that"
            )
    shared = {key: value for key, value in fields.items() if key not in _OF_BERT_ALONE}
    return {**shared, "model_type": "distilbert", **{ours: fields.get(theirs, std) for theirs, ours, std in FIELDS}}
