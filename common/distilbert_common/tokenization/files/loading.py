"""Settings out of files and keywords: which of them decides, and what is inferred where none says anything."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from distilbert_common.credentials import credential_names
from distilbert_common.errors import TokenizerError
from distilbert_common.tokenization.arguments import SIDES, choose
from distilbert_common.tokenization.files.added_tokens import (
    SpecialTokens,
    build_vocabulary,
    collect_added,
    read_special_tokens,
)
from distilbert_common.tokenization.files.paths import TokenizerFiles, read_object, read_vocab
from distilbert_common.tokenization.files.tokenizer_config import (
    UNTOUCHED,
    carried_fields,
    check_same_pieces,
    listed_tokens,
    named_tokens,
    names_of,
)
from distilbert_common.tokenization.files.tokenizer_json import NORMALIZER_KEYS, TokenizerJson, parse
from distilbert_common.tokenization.normalizer import Normalizer
from distilbert_common.tokenization.settings import DEFAULT_MAX_LENGTH, MODEL_INPUT_NAMES, ROLES, TokenizerSettings

__all__ = ["read_settings"]

_LOGGER = logging.getLogger(__name__)

_NO_LIMIT = 1_000_000
"""transformers writes 10**30 where it knows no model_max_length; from here on a value is taken as that."""

_BRACKETED = re.compile(r"\[.*\]|<.*>")
"""The form of special tokens, which say nothing about the case of a vocabulary."""

_NULL_COUNTS = frozenset({"strip_accents", *ROLES})
"""Options of which null is a value, and does not mean that nothing is said."""


class OptionSources:
    """Where options come from; of several sources that say something the first decides.

    Args:
        sources: Name and options of each source.
    """

    def __init__(self, sources: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        self._sources = sources

    def find(self, name: str) -> tuple[Any, str] | None:
        """Return the value of an option and the name of its source, or None; null counts for a few only."""
        for source, options in self._sources:
            if name in options and (options[name] is not None or name in _NULL_COUNTS):
                return options[name], source
        return None

    def get(self, name: str, default: Any) -> Any:
        """Return the value of an option, or the default."""
        value_and_source = self.find(name)
        return default if value_and_source is None else value_and_source[0]

    def options(self, source: str) -> Mapping[str, Any]:
        """Return the options of a source, empty if it has none."""
        return dict(self._sources).get(source, {})


def read_settings(
    files: TokenizerFiles,
    keywords: Mapping[str, Any],
    defaults: Mapping[str, Any] = MappingProxyType({}),
    vocabulary: TokenizerJson | None = None,
) -> TokenizerSettings:
    """Make the settings of a tokenizer from its files and from keywords.

    Keywords decide before tokenizer_config.json, special_tokens_map.json and tokenizer.json, in this order. In files
    of transformers before 4.34, which say nothing of `added_tokens_decoder`, special_tokens_map.json comes second.

    Args:
        files: The files; if tokenizer.json and vocab.txt are both there, tokenizer.json counts.
        keywords: Options by name; None means not given, but for special tokens, where it means none.
        defaults: What the class of the tokenizer says where nothing else does.
        vocabulary: The vocabulary where it is in no file.

    Raises:
        TokenizerError: A file is damaged or of another model, or an option makes no sense.
    """
    config, model_config = read_object(files.tokenizer_config), read_object(files.config)
    check_same_pieces(keywords, config, model_config, files.where)
    _warn_of_secrets(config)
    file = _read_vocabulary(files) if vocabulary is None else vocabulary
    sources = _option_sources(files, keywords, config, file, defaults)
    _warn_of_disagreement(config, file)
    normalizer, case_source = _normalizer(sources, file.pieces)
    max_length, length_source = _max_length(sources, model_config)
    special = _special_tokens(sources)
    in_config = config.get("added_tokens_decoder") or {}
    in_added_tokens_json = {} if in_config else read_object(files.added_tokens)
    added = collect_added(file.added, in_added_tokens_json, in_config, special)
    vocab, roles = build_vocabulary(file.pieces, added, special, normalizer)
    return TokenizerSettings(
        vocabulary=vocab,
        normalizer=normalizer,
        special_tokens=roles,
        additional_special_tokens=[token.content for token in special.additional],
        model_max_length=max_length,
        padding_side=choose("padding_side", sources.get("padding_side", "right"), SIDES),
        truncation_side=choose("truncation_side", sources.get("truncation_side", "right"), SIDES),
        clean_up_tokenization_spaces=bool(sources.get("clean_up_tokenization_spaces", files.tokenizer is None)),
        split_special_tokens=bool(sources.get("split_special_tokens", False)),
        model_input_names=names_of("model_input_names", sources.get("model_input_names", MODEL_INPUT_NAMES)),
        never_split=tuple(names_of("never_split", sources.get("never_split", ()))),
        unk_piece=_unk_piece(roles, file),
        name_or_path=str(sources.options("keyword").get("name_or_path") or ""),
        extra_fields=carried_fields({**config, **sources.options("keyword")}),
        sources={"do_lower_case": case_source, "model_max_length": length_source},
        **_fixed_settings(sources, file),
    )


def _option_sources(
    files: TokenizerFiles,
    keywords: Mapping[str, Any],
    config: Mapping[str, Any],
    file: TokenizerJson,
    defaults: Mapping[str, Any],
) -> OptionSources:
    keyword_options = {name: value for name, value in keywords.items() if value is not None or name in ROLES}
    special_map = {name: token for name, token in read_object(files.special_tokens_map).items() if token is not None}
    in_files = [("tokenizer_config.json", config), ("special_tokens_map.json", special_map)]
    if not config.get("added_tokens_decoder"):
        in_files.reverse()
    return OptionSources(
        [("keyword", keyword_options), *in_files, ("tokenizer.json", file.options), ("class", defaults)]
    )


def _read_vocabulary(files: TokenizerFiles) -> TokenizerJson:
    if files.tokenizer is not None:
        return parse(read_object(files.tokenizer), str(files.tokenizer))
    if files.vocab is None:
        raise TokenizerError("no vocabulary was given; pass vocab_file= or tokenizer_file=, or use from_pretrained")
    return TokenizerJson(read_vocab(files.vocab), {}, {}, {})


def _special_tokens(sources: OptionSources) -> SpecialTokens:
    """Gather the special tokens; a list among the keywords replaces those in the files."""
    keywords = sources.options("keyword")
    in_files = [sources.options(name) for name in ("tokenizer_config.json", "special_tokens_map.json")]
    listed = listed_tokens(keywords) or [token for options in in_files for token in listed_tokens(options)]
    named = {
        name: token for options in (*reversed(in_files), keywords) for name, token in named_tokens(options).items()
    }
    return read_special_tokens(sources.find, named, listed)


def _unk_piece(roles: Mapping[str, str], file: TokenizerJson) -> str:
    """Return the piece for unknown words, which there must be though no token has that role."""
    piece = roles.get("unk_token") or str(file.options.get("unk_token", ROLES["unk_token"]))
    if piece not in file.pieces:
        raise TokenizerError(f"unk_token is null and the vocabulary has no {piece}; pass unk_token= to name a piece")
    return piece


def _fixed_settings(sources: OptionSources, file: TokenizerJson) -> dict[str, Any]:
    """Return the settings that tokenizer.json alone decides, and the two that others may decide too."""
    parts = dict(file.parts)
    if "prefix" not in parts:
        parts["prefix"] = sources.get("wordpieces_prefix", "##")
    if sources.get("do_basic_tokenize", True) is False:
        parts["splits_punctuation"] = False
    return parts


def _warn_of_secrets(config: Mapping[str, Any]) -> None:
    """Tell of secrets by the names of their fields."""
    if names := [name for name in credential_names(config) if config[name] not in (None, False, True, "")]:
        _LOGGER.warning(
            "tokenizer_config.json has a secret under %s, which is not kept; take it out, and revoke it if others "
            "could read it", ", ".join(names),
        )  # fmt: skip


def _warn_of_disagreement(config: Mapping[str, Any], file: TokenizerJson) -> None:
    in_tokenizer_json = {**file.options, "do_basic_tokenize": file.parts.get("splits_punctuation", True)}
    for name in (*NORMALIZER_KEYS, "do_basic_tokenize"):
        if file.parts and name in config and name in in_tokenizer_json and config[name] != in_tokenizer_json[name]:
            _LOGGER.warning(
                "tokenizer_config.json says %s=%r but tokenizer.json says %r; tokenizer_config.json decides, as in "
                "transformers. Pass %s= to choose yourself.",
                name, config[name], in_tokenizer_json[name], name,
            )  # fmt: skip


def _normalizer(sources: OptionSources, pieces: Mapping[str, int]) -> tuple[Normalizer, str]:
    if sources.get("do_basic_tokenize", True) is False:
        return UNTOUCHED, "do_basic_tokenize is False"
    lowercase, source = sources.find("do_lower_case") or _inferred_case(pieces)
    options = {theirs: sources.get(ours, getattr(Normalizer, theirs)) for ours, theirs in NORMALIZER_KEYS.items()}
    options["lowercase"] = lowercase
    for ours, theirs in NORMALIZER_KEYS.items():
        if not isinstance(options[theirs], (bool, type(None)) if ours == "strip_accents" else bool):
            raise TokenizerError(f"{ours} is {options[theirs]!r}; expected true or false")
    return Normalizer(**options), source


def _inferred_case(pieces: Mapping[str, int]) -> tuple[bool, str]:
    """Infer whether text is lower-cased: it must not be where pieces with capitals could then never be found."""
    capitals = sum(piece != piece.lower() and not _BRACKETED.fullmatch(piece) for piece in pieces)
    return capitals == 0, f"inferred: {capitals or 'no'} pieces of the vocabulary hold capitals"


def _max_length(sources: OptionSources, model_config: Mapping[str, Any]) -> tuple[int, str]:
    value, source = sources.find("model_max_length") or sources.find("max_len") or (_NO_LIMIT, "")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if source == "keyword" or (isinstance(value, (int, float)) and value < _NO_LIMIT):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise TokenizerError(f"model_max_length is {value!r}; expected a whole number of at least 1")
        return value, source
    if isinstance(positions := model_config.get("max_position_embeddings"), int):
        return positions, "config.json"
    return DEFAULT_MAX_LENGTH, "default"
