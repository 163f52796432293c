"""The model configuration: transformers' `config.json`, field for field, without a framework."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from distilbert_common.errors import ConfigError
from distilbert_common.files import read_json, resolve, write_text
from distilbert_common.loading_options import split_options

ACTIVATIONS: tuple[str, ...] = (
    "gelu", "gelu_10", "gelu_accurate", "gelu_fast", "gelu_new", "gelu_python", "gelu_pytorch_tanh",
    "laplace", "leaky_relu", "linear", "mish", "quick_gelu", "relu", "relu2", "relu6", "sigmoid", "silu",
    "swish", "tanh",
)  # fmt: skip
"""Every activation of transformers' table without parameters of its own; all three families know each."""

PROBLEM_TYPES = (None, "regression", "single_label_classification", "multi_label_classification")


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_list_of_ints(value: Any) -> bool:
    return isinstance(value, (list, tuple, set)) and all(map(_is_int, value))


Rule = tuple[str, Callable[[Any], bool]]
_COUNT: Rule = ("a whole number of at least 1", lambda value: _is_int(value) and value >= 1)
_RATE: Rule = ("a number from 0 to 1", lambda value: _is_number(value) and 0 <= value <= 1)
_FLAG: Rule = ("true or false", lambda value: isinstance(value, bool))

RULES: dict[str, Rule] = {
    "vocab_size": _COUNT,
    "max_position_embeddings": _COUNT,
    "sinusoidal_pos_embds": _FLAG,
    "n_layers": _COUNT,
    "n_heads": _COUNT,
    "dim": _COUNT,
    "hidden_dim": _COUNT,
    "dropout": _RATE,
    "attention_dropout": _RATE,
    "activation": (f"one of {', '.join(ACTIVATIONS)}", lambda value: value in ACTIVATIONS),
    "initializer_range": ("a number of at least 0", lambda value: _is_number(value) and value >= 0),
    "qa_dropout": _RATE,
    "seq_classif_dropout": _RATE,
    "pad_token_id": (
        "null or a whole number of at least 0",
        lambda value: value is None or (_is_int(value) and value >= 0),
    ),
    "tie_word_embeddings": _FLAG,
    "output_attentions": _FLAG,
    "output_hidden_states": _FLAG,
    "return_dict": _FLAG,
    "problem_type": (f"one of {', '.join(map(str, PROBLEM_TYPES))}", lambda value: value in PROBLEM_TYPES),
    "pruned_heads": (
        "an object of lists of heads by layer",
        lambda value: isinstance(value, Mapping) and all(map(_is_list_of_ints, value.values())),
    ),
    "chunk_size_feed_forward": (
        "a whole number of at least 0",
        lambda value: _is_int(value) and value >= 0,
    ),
}
"""The rule that each field keeps, in words and as a check."""

_LATENT_DEFAULTS: dict[str, Any] = {
    "architectures": None,
    "chunk_size_feed_forward": 0,
    "dtype": None,
    "output_attentions": False,
    "output_hidden_states": False,
    "problem_type": None,
    "pruned_heads": {},
    "return_dict": True,
    "tie_word_embeddings": True,
}
"""Fields that transformers writes to JSON only where they differ from these values."""

_RENAMED = {
    "hidden_size": "dim",
    "num_attention_heads": "n_heads",
    "num_hidden_layers": "n_layers",
    "torch_dtype": "dtype",
}
_OWN_FIELDS = {"dim", "n_layers", "n_heads", "hidden_dim"}
"""Fields that no other model's config has together: a user's subclass may have a type of its own."""
_RESERVED = {"self", "_field_names"}
MAX_IMPLIED_LABELS = 1_000_000
"""The most labels that are named LABEL_0, LABEL_1, … by a number alone; more must be given by name."""

_NOT_WRITTEN = {"attn_implementation", "name_or_path"}


class DistilBertConfig:
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
    attribute_map: ClassVar[dict[str, str]] = _RENAMED

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
        given = {_RENAMED.get(key, key): value for key, value in kwargs.items() if key != "model_type"}
        labels = {key: given.pop(key, None) for key in ("num_labels", "id2label", "label2id")}
        for key, value in {**fields, **_LATENT_DEFAULTS, **given}.items():
            setattr(self, key, value)
        self._set_labels(**labels)
        self.validate()

    def __setattr__(self, name: str, value: Any) -> None:
        name = _RENAMED.get(name, name)
        if name in RULES and not RULES[name][1](value):
            raise ConfigError(f"config field {name!r} is {value!r}; it must be {RULES[name][0]}")
        if name == "pruned_heads":
            value = {layer: sorted(heads) for layer, heads in _int_keys(name, value).items()}
        object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        if name in _RENAMED:
            return getattr(self, _RENAMED[name])
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
        if not _is_int(value) or not 1 <= value <= MAX_IMPLIED_LABELS:
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
            label2id = _label_ids(label2id)
        if id2label is None:
            implied = len(label2id) if label2id else 2
            self.num_labels = implied if num_labels is None else num_labels
            if label2id and len(label2id) == self.num_labels:
                self.id2label = {i: label for label, i in label2id.items()}
        else:
            self.id2label = _int_keys("id2label", id2label)
            if not all(isinstance(label, (str, int, float)) for label in self.id2label.values()):
                raise ConfigError(f"config field 'id2label' is {id2label!r}; its labels must be text")
            if num_labels is not None and num_labels != len(id2label):
                raise ConfigError(
                    f"config field 'num_labels' is {num_labels}, but 'id2label' names {len(id2label)} labels; "
                    "give one of them, or equal ones"
                )
        self.label2id = dict(label2id) if label2id else {label: i for i, label in self.id2label.items()}

    @property
    def use_return_dict(self) -> bool:
        """Whether models return `ModelOutput` (transformers' second name for `return_dict`)."""
        return bool(self.return_dict)

    # Reading and writing.

    @classmethod
    def from_dict(cls, config_dict: Mapping[str, Any], **overrides: Any) -> DistilBertConfig:
        """Build a config from the parsed content of a `config.json`.

        Args:
            config_dict: The JSON object; unknown keys are kept.
            **overrides: Fields that replace the object's.

        Raises:
            ConfigError: The object is another model's config, or a value breaks its rule.
        """
        model_type = config_dict.get("model_type", cls.model_type)
        if model_type not in cls._model_types() and not _OWN_FIELDS.issubset(config_dict):
            raise ConfigError(
                f"the config's model_type is {model_type!r}; expected {cls.model_type!r}: another model's file"
            )
        merged = {_RENAMED.get(key, key): value for key, value in config_dict.items()}
        for key in merged:
            if _is_reserved(key):
                raise ConfigError(f"the config has a field {key!r}, which cannot be one; remove it")
        if {"num_labels", "id2label", "label2id"} & set(overrides):
            kept = len(merged.get("id2label") or ()) == overrides.get("num_labels")
            merged = {k: v for k, v in merged.items() if kept or k not in ("num_labels", "id2label", "label2id")}
        merged.update({_RENAMED.get(key, key): value for key, value in overrides.items()})
        return cls(**merged)

    @classmethod
    def _model_types(cls) -> set[str]:
        """Return this class's type and those of the classes that it derives from."""
        return {base.model_type for base in cls.__mro__ if issubclass(base, DistilBertConfig)}

    def updated(self, **overrides: Any) -> DistilBertConfig:
        """Return a copy with some fields replaced.

        Raises:
            TypeError: A name is not a config field.
            ConfigError: A value breaks its field's rule.
        """
        known = {*self.to_dict(), *_RENAMED, *_NOT_WRITTEN, "num_labels"}
        unknown = sorted(set(overrides) - known)
        if unknown:
            raise TypeError(f"unexpected keyword argument {unknown[0]!r}: neither an option nor a config field")
        kept = {key: value for key, value in vars(self).items() if key in _NOT_WRITTEN}
        return self.from_dict(self.to_dict(), **{**kept, **overrides})

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path, **kwargs: Any) -> DistilBertConfig:
        """Read the config of a checkpoint.

        Args:
            name_or_path: A directory with `config.json`, that file itself, or a hub id.
            **kwargs: `cache_dir`, `revision`, `token`, `local_files_only`, `subfolder` for the hub;
                every other keyword overrides a config field.

        Raises:
            ConfigError: The file is not a DistilBERT config.
            CheckpointError: There is no such file.
        """
        hub, _, fields = split_options(kwargs, "config")
        path = resolve(name_or_path, "config.json", **hub)
        assert path is not None
        config = cls.from_dict(read_json(path), **fields)
        config.name_or_path = str(name_or_path)
        return config

    def save_pretrained(self, directory: str | Path) -> None:
        """Write `config.json` into `directory`, which is made where it is missing."""
        Path(directory).mkdir(parents=True, exist_ok=True)
        write_text(Path(directory) / "config.json", self.to_json_string())

    def to_dict(self) -> dict[str, Any]:
        """Return every field, known and kept, as JSON-ready values with `model_type`."""
        fields = {k: v for k, v in vars(self).items() if not k.startswith("_") and k not in _NOT_WRITTEN}
        return copy.deepcopy({**fields, "model_type": self.model_type})

    def to_diff_dict(self) -> dict[str, Any]:
        """Return what transformers writes: the architecture, and the rest only where it is not the default."""
        full = self.to_dict()
        plain = {i: f"LABEL_{i}" for i in range(2)}
        if self.id2label == plain and self.label2id == {label: i for i, label in plain.items()}:
            del full["id2label"], full["label2id"]
        return {k: v for k, v in full.items() if k not in _LATENT_DEFAULTS or v != _LATENT_DEFAULTS[k]}

    def to_json_string(self, use_diff: bool = True) -> str:
        """Return the text of a `config.json`, keys sorted.

        Args:
            use_diff: Whether to leave out what equals transformers' general defaults, as its own files do.
        """
        fields = self.to_diff_dict() if use_diff else self.to_dict()
        return json.dumps(fields, indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DistilBertConfig) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__} {self.to_json_string()}"


def _is_reserved(name: str) -> bool:
    """Whether a field of this name would hide a part of the class."""
    part = getattr(DistilBertConfig, name, None)
    fixed = isinstance(part, property) and part.fset is None
    return name in _RESERVED or name.startswith("__") or fixed or callable(part)


def _label_ids(label2id: Mapping[str, Any]) -> dict[str, int]:
    """Return the ids of labels as whole numbers; some files have them as text."""
    try:
        return {label: int(i) for label, i in label2id.items()}
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise ConfigError(f"config field 'label2id' is {label2id!r}; its values must be whole numbers") from error


def _int_keys(field: str, mapping: Mapping[Any, Any]) -> dict[int, Any]:
    """Return the mapping with the whole-number keys that JSON turned into text."""
    try:
        return {int(key): value for key, value in mapping.items()}
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise ConfigError(f"config field {field!r} is {mapping!r}; its keys must be whole numbers") from error
