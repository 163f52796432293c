"""Settings out of files and keywords: which of them decides, and what is inferred where none says anything."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from distilbert_common.errors import TokenizerError
from distilbert_common.tokenization.added import build_vocabulary, collect_added, special_token_names
from distilbert_common.tokenization.files import TokenizerFiles, read_object, read_vocab
from distilbert_common.tokenization.normalizer import Normalizer
from distilbert_common.tokenization.options import SIDES, choose
from distilbert_common.tokenization.settings import DEFAULT_MAX_LENGTH, MODEL_INPUT_NAMES, ROLES, TokenizerSettings
from distilbert_common.tokenization.tokenizer_json import NORMALIZER_KEYS, TokenizerJson, parse

_LOGGER = logging.getLogger(__name__)

_NO_LIMIT = 1_000_000
"""transformers writes 10**30 where it knows no model_max_length; from here on a value is taken as that."""

_BRACKETED = re.compile(r"\[.*\]|<.*>")
"""The form of special tokens, which say nothing about the case of a vocabulary."""

_UNSUPPORTED: dict[str, tuple[Any, ...]] = {"do_basic_tokenize": (None, True), "never_split": (None, [], ())}
"""Options of transformers' slow tokenizer that are not supported, and the values that mean the usual thing."""

OPTIONS = (
    *NORMALIZER_KEYS, *ROLES, *_UNSUPPORTED, "additional_special_tokens", "model_max_length", "padding_side",
    "truncation_side", "clean_up_tokenization_spaces", "split_special_tokens", "model_input_names",
)  # fmt: skip
"""The keywords of a tokenizer."""


class Layers:
    """Sources of options, the ones that decide first.

    Args:
        layers: Name and options of each source.
    """

    def __init__(self, layers: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        self._layers = layers

    def find(self, name: str) -> tuple[Any, str] | None:
        """Return the value of an option and the name of its source, or None; null counts for `strip_accents` only."""
        for source, options in self._layers:
            if name in options and (options[name] is not None or name == "strip_accents"):
                return options[name], source
        return None

    def get(self, name: str, default: Any) -> Any:
        """Return the value of an option, or the default."""
        found = self.find(name)
        return default if found is None else found[0]


def read_settings(
    files: TokenizerFiles, given: Mapping[str, Any], defaults: Mapping[str, Any] = MappingProxyType({})
) -> TokenizerSettings:
    """Make the settings of a tokenizer from its files and from keywords.

    Keywords decide before tokenizer_config.json, special_tokens_map.json and tokenizer.json, in this order.

    Args:
        files: The files; tokenizer.json or vocab.txt must be there, and if both are, tokenizer.json counts.
        given: Options by name; None means not given.
        defaults: What the class of the tokenizer says where nothing else does.

    Raises:
        TokenizerError: A file is damaged or of another model, or an option makes no sense.
    """
    config = read_object(files.tokenizer_config)
    file = _read_vocabulary(files)
    layers = Layers(
        [
            ("keyword", {name: value for name, value in given.items() if value is not None}),
            ("tokenizer_config.json", config),
            ("special_tokens_map.json", read_object(files.special_tokens_map)),
            ("tokenizer.json", file.options),
            ("class", defaults),
        ]
    )
    _check_supported(layers)
    _warn_of_disagreement(config, file.options)
    normalizer, case_source = _normalizer(layers, file.pieces)
    max_length, length_source = _max_length(layers, read_object(files.config))
    special_tokens, additional = special_token_names(layers.get)
    added = collect_added(file.added, read_object(files.added_tokens), config, [*special_tokens.values(), *additional])
    return TokenizerSettings(
        vocabulary=build_vocabulary(file.pieces, added, special_tokens, additional, normalizer),
        normalizer=normalizer,
        special_tokens=special_tokens,
        additional_special_tokens=additional,
        model_max_length=max_length,
        padding_side=choose("padding_side", layers.get("padding_side", "right"), SIDES),
        truncation_side=choose("truncation_side", layers.get("truncation_side", "right"), SIDES),
        clean_up_tokenization_spaces=bool(layers.get("clean_up_tokenization_spaces", False)),
        decoder_cleanup=layers.get("decoder_cleanup", True),
        split_special_tokens=bool(layers.get("split_special_tokens", False)),
        model_input_names=list(layers.get("model_input_names", MODEL_INPUT_NAMES)),
        prefix=layers.get("prefix", "##"),
        max_word_chars=layers.get("max_word_chars", 100),
        sources={"do_lower_case": case_source, "model_max_length": length_source},
    )


def _read_vocabulary(files: TokenizerFiles) -> TokenizerJson:
    if files.tokenizer is not None:
        return parse(read_object(files.tokenizer), str(files.tokenizer))
    if files.vocab is None:
        raise TokenizerError("no vocabulary was given; pass vocab_file= or tokenizer_file=, or use from_pretrained")
    return TokenizerJson(read_vocab(files.vocab), {}, {})


def _check_supported(layers: Layers) -> None:
    for name, usual in _UNSUPPORTED.items():
        if layers.get(name, None) not in usual:
            raise TokenizerError(f"{name}={layers.get(name, None)!r} is not supported; remove it from the options")


def _warn_of_disagreement(config: Mapping[str, Any], in_tokenizer_json: Mapping[str, Any]) -> None:
    for name in NORMALIZER_KEYS:
        if name in config and name in in_tokenizer_json and config[name] != in_tokenizer_json[name]:
            _LOGGER.warning(
                "tokenizer_config.json says %s=%r but tokenizer.json says %r; tokenizer_config.json decides, as in "
                "transformers. Pass %s= to choose yourself.",
                name, config[name], in_tokenizer_json[name], name,
            )  # fmt: skip


def _normalizer(layers: Layers, pieces: Mapping[str, int]) -> tuple[Normalizer, str]:
    lowercase, source = layers.find("do_lower_case") or _inferred_case(pieces)
    options = {theirs: layers.get(ours, getattr(Normalizer, theirs)) for ours, theirs in NORMALIZER_KEYS.items()}
    options["lowercase"] = lowercase
    for ours, theirs in NORMALIZER_KEYS.items():
        if not isinstance(options[theirs], (bool, type(None)) if ours == "strip_accents" else bool):
            raise TokenizerError(f"{ours} is {options[theirs]!r}; expected true or false")
    return Normalizer(**options), source


def _inferred_case(pieces: Mapping[str, int]) -> tuple[bool, str]:
    """Infer whether text is lower-cased: it must not be where pieces with capitals could then never be found."""
    capitals = sum(piece != piece.lower() and not _BRACKETED.fullmatch(piece) for piece in pieces)
    return capitals == 0, f"inferred: {capitals or 'no'} pieces of the vocabulary hold capitals"


def _max_length(layers: Layers, model_config: Mapping[str, Any]) -> tuple[int, str]:
    value, source = layers.find("model_max_length") or (_NO_LIMIT, "")
    if source == "keyword" or (isinstance(value, (int, float)) and value < _NO_LIMIT):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise TokenizerError(f"model_max_length is {value!r}; expected a whole number of at least 1")
        return value, source
    if isinstance(positions := model_config.get("max_position_embeddings"), int):
        return positions, "config.json"
    return DEFAULT_MAX_LENGTH, "default"
