"""The fields of a configuration: their rules, their defaults, their other names, and which are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Number
from typing import Any

from distilbert_common.credentials import credential_names, without_credentials
from distilbert_common.errors import ConfigError
from distilbert_common.loading_options import is_loading_option

ACTIVATIONS: tuple[str, ...] = (
    "gelu", "gelu_10", "gelu_accurate", "gelu_fast", "gelu_new", "gelu_python", "gelu_pytorch_tanh",
    "laplace", "leaky_relu", "linear", "mish", "quick_gelu", "relu", "relu2", "relu6", "sigmoid", "silu",
    "swish", "tanh",
)  # fmt: skip
"""Every activation of transformers' table without parameters of its own; all three families know each."""

PROBLEM_TYPES = (None, "regression", "single_label_classification", "multi_label_classification")


def is_int(value: Any) -> bool:
    """Whether a value is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_list_of_ints(value: Any) -> bool:
    return isinstance(value, (list, tuple, set)) and all(map(is_int, value))


Rule = tuple[str, Callable[[Any], bool]]
_COUNT: Rule = ("a whole number of at least 1", lambda value: is_int(value) and value >= 1)
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
        lambda value: value is None or (is_int(value) and value >= 0),
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
        lambda value: is_int(value) and value >= 0,
    ),
}
"""The rule that each field keeps, in words and as a check."""

LATENT_DEFAULTS: dict[str, Any] = {
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

RENAMED = {
    "hidden_size": "dim",
    "num_attention_heads": "n_heads",
    "num_hidden_layers": "n_layers",
    "torch_dtype": "dtype",
}
OWN_FIELDS = {"dim", "n_layers", "n_heads", "hidden_dim"}
"""Fields that no other model's config has together: a user's subclass may have a type of its own."""
MAX_IMPLIED_LABELS = 1_000_000
"""The most labels that are named LABEL_0, LABEL_1, … by a number alone; more must be given by name."""

NOT_WRITTEN = {"attn_implementation", "name_or_path"}
"""Fields that say how and from where a model was loaded."""

GENERAL_DEFAULTS: dict[str, Any] = {
    "add_cross_attention": False,
    "bos_token_id": None,
    "cross_attention_hidden_size": None,
    "decoder_start_token_id": None,
    "eos_token_id": None,
    "finetuning_task": None,
    "is_composition": False,
    "is_decoder": False,
    "is_encoder_decoder": False,
    "keys_to_ignore_at_inference": [],
    "prefix": None,
    "sep_token_id": None,
    "sub_configs": {},
    "task_specific_params": None,
    "tie_encoder_decoder": False,
    "tokenizer_class": None,
    "torchscript": False,
    "transformers_version": None,
    "use_bfloat16": False,
    "_auto_class": None,
    "_commit_hash": None,
}
"""What programs read from any model's config; not written unless a file or a program sets them.

The options of text generation, which transformers 4 keeps in every config, are not among them.
"""

_TABLES = ("id2label", "label2id")  # a label may be called "password"


def storable(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields without loading options and without secrets, at any depth."""
    kept = {name: value for name, value in fields.items() if not is_loading_option(name)}
    return without_credentials(kept, skip=_TABLES)


def secrets_in(fields: Mapping[str, Any]) -> list[str]:
    """Return the names of the fields that hold a secret; an unused token, None or false, is none."""
    return [name for name in credential_names(fields, skip=_TABLES) if fields[name] not in (None, False, True, "")]


def plain(name: str, value: Any) -> Any:
    """Return a value as JSON has it: a dtype by its name, a number of NumPy as a number."""
    if name == "dtype" and value is not None and not isinstance(value, str):
        value = getattr(value, "name", None) or getattr(value, "__name__", None) or str(value)
    if name == "dtype" and isinstance(value, str):
        return value.removeprefix("torch.")
    if isinstance(value, Number) and not isinstance(value, (int, float, complex)) and hasattr(value, "item"):
        return value.item()
    return value


def label_ids(label2id: Mapping[str, Any]) -> dict[str, int]:
    """Return the ids of labels as whole numbers; some files have them as text."""
    try:
        return {label: int(i) for label, i in label2id.items()}
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise ConfigError(f"config field 'label2id' is {label2id!r}; its values must be whole numbers") from error


def int_keys(field: str, mapping: Mapping[Any, Any]) -> dict[int, Any]:
    """Return the mapping with the whole-number keys that JSON turned into text."""
    try:
        return {int(key): value for key, value in mapping.items()}
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise ConfigError(f"config field {field!r} is {mapping!r}; its keys must be whole numbers") from error
