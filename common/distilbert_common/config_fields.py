"""The fields of a configuration: their rules, their defaults, their other names, and which are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

__all__ = [
    "ACTIVATIONS",
    "GENERAL_DEFAULTS",
    "LATENT_DEFAULTS",
    "MAX_IMPLIED_LABELS",
    "NOT_WRITTEN",
    "OWN_FIELDS",
    "RENAMED",
    "RULES",
    "by_config_name",
    "is_int",
]

Function = TypeVar("Function")


ACTIVATIONS: tuple[str, ...] = (
    "gelu", "gelu_10", "gelu_accurate", "gelu_fast", "gelu_new", "gelu_python", "gelu_pytorch_tanh",
    "laplace", "leaky_relu", "linear", "mish", "quick_gelu", "relu", "relu2", "relu6", "sigmoid", "silu",
    "swish", "tanh",
)  # fmt: skip
"""Every activation of transformers' table without parameters of its own; all three families know each."""

_SAME_ACTIVATION = {
    "gelu_accurate": "gelu_new", "gelu_fast": "gelu_new", "gelu_python": "gelu", "gelu_pytorch_tanh": "gelu_new",
    "swish": "silu",
}  # fmt: skip
"""The names that stand for the formula of another: transformers computes some of them in other steps."""


def by_config_name(functions: Mapping[str, Function]) -> dict[str, Function]:
    """Return the activations by every name that a config may have for them.

    Args:
        functions: One for each formula.
    """
    return {name: functions[_SAME_ACTIVATION.get(name, name)] for name in ACTIVATIONS}


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
