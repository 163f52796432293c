"""The model configuration: transformers' `config.json`, field for field, without a framework."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from distilbert_common.config_fields import (
    GENERAL_DEFAULTS,
    LATENT_DEFAULTS,
    MAX_IMPLIED_LABELS,
    NOT_WRITTEN,
    RENAMED,
    RULES,
    is_int,
)
from distilbert_common.config_files import ConfigFiles
from distilbert_common.config_values import int_keys, label_ids, parsed, plain, storable, warn_of_secrets
from distilbert_common.errors import ConfigError

__all__ = ["DistilBertConfig"]


class DistilBertConfig(ConfigFiles):
    """What a DistilBERT is made of: sizes, rates, activation, labels and output flags.

    Names, order and defaults are those of transformers' `DistilBertConfig`; `hidden_size`,
    `num_attention_heads`, `num_hidden_layers` and `torch_dtype` work as aliases everywhere.
    Keys that are not known are kept as attributes and written back.

    Args:
        vocab_size: Rows of the word embedding table.
        max_position_embeddings: Rows of the position table: the longest input, in tokens.
        sinusoidal_pos_embds: Whether the position table starts as the frozen sinusoid.
        n_layers: Transformer blocks.
        n_heads: Attention heads; must divide `dim`.
        dim: Width of embeddings and hidden states.
        hidden_dim: Inner width of the feed-forward networks.
        dropout: Dropout rate after the embeddings and in the feed-forward networks.
        attention_dropout: Dropout rate of the attention probabilities.
        activation: Activation of the feed-forward networks and of the masked-LM head; see `ACTIVATIONS`.
        initializer_range: Standard deviation of the initial weights.
        qa_dropout: Dropout rate before the question-answering head.
        seq_classif_dropout: Dropout rate before the sequence-classification and multiple-choice heads.
        pad_token_id: Vocabulary id of padding; its embedding starts at zero.
        **kwargs: `num_labels` or `id2label`/`label2id`, `problem_type`, `tie_word_embeddings`,
            `output_attentions`, `output_hidden_states`, `return_dict`, `dtype`, aliases, anything else to keep.

    Raises:
        ConfigError: A value breaks its field's rule.
    """

    model_type: ClassVar[str] = "distilbert"
    name_or_path: str = ""
    attn_implementation: str | None = None
    dim: int
    n_heads: int
    n_layers: int
    pruned_heads: dict[int, list[int]]
    attribute_map: ClassVar[dict[str, str]] = RENAMED

    def __init__(
        self,
        vocab_size: int = 30522,
        max_position_embeddings: int = 512,
        sinusoidal_pos_embds: bool = False,
        n_layers: int = 6,
        n_heads: int = 12,
        dim: int = 768,
        hidden_dim: int = 4 * 768,
        dropout: float = 0.1,
        attention_dropout: float = 0.1,
        activation: str = "gelu",
        initializer_range: float = 0.02,
        qa_dropout: float = 0.1,
        seq_classif_dropout: float = 0.2,
        pad_token_id: int | None = 0,
        **kwargs: Any,
    ) -> None:
        fields = {k: v for k, v in locals().items() if k not in ("self", "kwargs", "__class__")}
        self._field_names = tuple(fields)
        warn_of_secrets(kwargs, "the config")
        values = {RENAMED.get(key, key): value for key, value in storable(kwargs).items() if key != "model_type"}
        labels = {key: values.pop(key, None) for key in ("num_labels", "id2label", "label2id")}
        for key, value in {**fields, **LATENT_DEFAULTS, **values}.items():
            setattr(self, key, value)
        self._set_labels(**labels)
        self.validate()

    def __setattr__(self, name: str, value: Any) -> None:
        name = RENAMED.get(name, name)
        value = plain(name, value)
        if name in RULES and not RULES[name][1](value):
            raise ConfigError(f"config field {name!r} is {value!r}; it must be {RULES[name][0]}")
        if name == "pruned_heads":
            value = {layer: sorted(heads) for layer, heads in int_keys(name, value).items()}
        object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        if name in RENAMED:
            return getattr(self, RENAMED[name])
        if name in GENERAL_DEFAULTS:
            return copy.copy(GENERAL_DEFAULTS[name])
        raise AttributeError(f"{type(self).__name__!r} has no field {name!r}")

    def validate(self) -> None:
        """Check the rules that tie fields to each other.

        Raises:
            ConfigError: `n_heads` does not divide `dim`, or `pad_token_id` is outside the vocabulary.
        """
        if self.dim % self.n_heads:
            raise ConfigError(f"config field 'dim' is {self.dim}; it must be a multiple of n_heads ({self.n_heads})")
        if self.pad_token_id is not None and self.pad_token_id >= self.vocab_size:
            raise ConfigError(
                f"config field 'pad_token_id' is {self.pad_token_id}; it must be below vocab_size ({self.vocab_size})"
            )

    # Labels: `id2label` is the stored fact, `num_labels` its length.

    @property
    def num_labels(self) -> int:
        """The number of labels; setting it renames them LABEL_0, LABEL_1, …, as in transformers."""
        return len(self.id2label)

    @num_labels.setter
    def num_labels(self, value: int) -> None:
        if not is_int(value) or not 1 <= value <= MAX_IMPLIED_LABELS:
            rule = f"a whole number from 1 to {MAX_IMPLIED_LABELS:,}"
            raise ConfigError(f"config field 'num_labels' is {value!r}; it must be {rule}")
        if value != len(getattr(self, "id2label", ())):
            self.id2label = {i: f"LABEL_{i}" for i in range(value)}
            self.label2id = {label: i for i, label in self.id2label.items()}

    def _set_labels(
        self,
        num_labels: int | None,
        id2label: Mapping[Any, str] | None,
        label2id: Mapping[str, Any] | None,
    ) -> None:
        if label2id:
            label2id = label_ids(label2id)
        if id2label is None:
            implied = len(label2id) if label2id else 2
            self.num_labels = implied if num_labels is None else num_labels
            if label2id and len(label2id) == self.num_labels:
                self.id2label = {i: label for label, i in label2id.items()}
        else:
            self.id2label = int_keys("id2label", id2label)
            if not all(isinstance(label, (str, int, float)) for label in self.id2label.values()):
                raise ConfigError(f"config field 'id2label' is {id2label!r}; its labels must be text")
            if num_labels is not None and num_labels != len(id2label):
                raise ConfigError(
                    f"config field 'num_labels' is {num_labels}, but 'id2label' names {len(id2label)} labels; "
                    "give one of them, or equal ones"
                )
        self.label2id = dict(label2id) if label2id else {label: i for i, label in self.id2label.items()}

    @property
    def _attn_implementation(self) -> str:
        """Transformers' second name for `attn_implementation`, which programs read: the default where there is none."""
        return self.attn_implementation or "sdpa"

    @_attn_implementation.setter
    def _attn_implementation(self, value: str | None) -> None:
        self.attn_implementation = value

    @property
    def _name_or_path(self) -> str:
        """Transformers' second name for `name_or_path`, which programs read."""
        return self.name_or_path

    @_name_or_path.setter
    def _name_or_path(self, value: str) -> None:
        self.name_or_path = value

    @property
    def use_return_dict(self) -> bool:
        """Whether models return `ModelOutput`: as `return_dict` says, and never for TorchScript, which takes tuples."""
        return bool(self.return_dict and not self.torchscript)

    # Changes.

    def to_dict(self) -> dict[str, Any]:
        """Return every field, known and kept, as JSON-ready values with `model_type`; never a secret."""
        fields = {k: v for k, v in vars(self).items() if not k.startswith("_") and k not in NOT_WRITTEN}
        return copy.deepcopy({**storable(fields), "model_type": self.model_type})

    def updated(self, **overrides: Any) -> DistilBertConfig:
        """Return a copy with some fields replaced.

        Raises:
            TypeError: A name is not a config field.
            ConfigError: A value breaks its field's rule.
        """
        known = {*self.to_dict(), *RENAMED, *NOT_WRITTEN, *GENERAL_DEFAULTS, "num_labels"}
        unknown = sorted(set(overrides) - known)
        if unknown:
            raise TypeError(f"unexpected keyword argument {unknown[0]!r}: neither an option nor a config field")
        unwritten = {key: value for key, value in vars(self).items() if key in NOT_WRITTEN}
        config: DistilBertConfig = self.from_dict(self.to_dict(), **{**unwritten, **overrides})
        return config

    def update(self, config_dict: Mapping[str, Any]) -> None:
        """Set fields.

        Args:
            config_dict: Values by field; loading options and secrets are left out.

        Raises:
            ConfigError: A value breaks its field's rule.
        """
        for name, value in storable(config_dict).items():
            setattr(self, name, value)
        self.validate()

    def update_from_string(self, update_str: str) -> None:
        """Set fields that exist from text such as "n_layers=3,dropout=0.2", as command lines have it.

        Raises:
            ConfigError: A field does not exist, or its value is of another type.
        """
        pairs = (pair.partition("=") for pair in update_str.split(","))
        self.update({name.strip(): self._parsed(name.strip(), text.strip()) for name, _, text in pairs})

    def _parsed(self, name: str, text: str) -> Any:
        if not hasattr(self, name):
            raise ConfigError(f"the config has no field {name!r} to update")
        return parsed(name, text, getattr(self, name))

    def get_text_config(self, decoder: bool = False, encoder: bool = False) -> Self:
        """Return the config itself: there is no other part that has one of its own."""
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DistilBertConfig) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__} {self.to_json_string()}"
