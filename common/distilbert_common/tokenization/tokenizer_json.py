"""The layout of tokenizer.json, the file of the `tokenizers` library: reading it and writing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

from distilbert_common.errors import TokenizerError
from distilbert_common.tokenization.settings import TokenizerSettings
from distilbert_common.tokenization.vocab import FLAGS, AddedToken

NORMALIZER_KEYS = {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
    "clean_text": "clean_text",
}
"""Our name of each normalizer option, and the file's."""

PARTS = {"normalizer": "BertNormalizer", "pre_tokenizer": "BertPreTokenizer", "model": "WordPiece"}
"""The parts of a BERT tokenizer and their types."""


class TokenizerJson(NamedTuple):
    """What tokenizer.json says; `options` has our names of settings as keys."""

    pieces: dict[str, int]
    added: dict[int, AddedToken]
    options: dict[str, Any]


def parse(content: Mapping[str, Any], where: str) -> TokenizerJson:
    """Read the content of a tokenizer.json.

    Args:
        content: The JSON object.
        where: The name of the file, for error messages.

    Raises:
        TokenizerError: It is the tokenizer of another model, or damaged.
    """
    _check_parts(content, where)
    try:
        model, normalizer = content["model"], content["normalizer"]
        options = {ours: normalizer[theirs] for ours, theirs in NORMALIZER_KEYS.items() if theirs in normalizer}
        options["unk_token"] = model["unk_token"]
        options["prefix"] = model.get("continuing_subword_prefix", "##")
        options["max_word_chars"] = model.get("max_input_chars_per_word", 100)
        options["decoder_cleanup"] = (content.get("decoder") or {}).get("cleanup", True)
        options.update(_cls_and_sep(content["post_processor"]))
        added = {token["id"]: AddedToken.of(token) for token in content.get("added_tokens", ())}
        return TokenizerJson(dict(model["vocab"]), added, options)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise TokenizerError(f"{where} is damaged or not the tokenizer of a BERT: {error!r}") from error


def _check_parts(content: Mapping[str, Any], where: str) -> None:
    for part, expected in PARTS.items():
        found = content.get(part) or {}
        # Files of early versions of the library name no type for the model.
        kind = found.get("type", expected if "continuing_subword_prefix" in found else None)
        if kind != expected:
            raise TokenizerError(
                f"{where} has {part} {kind or 'of no type'}, DistilBERT has {expected}; give the files of a BERT-like "
                "tokenizer"
            )


def _cls_and_sep(post_processor: Mapping[str, Any]) -> dict[str, str]:
    """Return the two tokens put around a text, from the two kinds of post-processor that do what BERT does."""
    if post_processor["type"] == "BertProcessing":
        return {"cls_token": post_processor["cls"][0], "sep_token": post_processor["sep"][0]}
    single = [next(iter(item.values()))["id"] for item in post_processor["single"]]
    pair = [next(iter(item.values()))["id"] for item in post_processor["pair"]]
    cls, sep = single[0], single[-1]
    if single != [cls, "A", sep] or pair != [cls, "A", sep, "B", sep]:
        raise ValueError(f"post_processor puts {single} and {pair} together, not [CLS] A [SEP] B [SEP]")
    return {"cls_token": cls, "sep_token": sep}


def render(settings: TokenizerSettings) -> dict[str, Any]:
    """Return the content of tokenizer.json.

    Args:
        settings: The settings of the tokenizer.
    """
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": index, "content": token.content, **{flag: getattr(token, flag) for flag in FLAGS}}
            for index, token in settings.vocabulary.added_by_id.items()
        ],
        "normalizer": {"type": PARTS["normalizer"], **asdict(settings.normalizer)},
        "pre_tokenizer": {"type": PARTS["pre_tokenizer"]},
        "post_processor": _post_processor(settings),
        "decoder": {"type": "WordPiece", "prefix": settings.prefix, "cleanup": settings.decoder_cleanup},
        "model": {
            "type": PARTS["model"],
            "unk_token": settings.special_tokens["unk_token"],
            "continuing_subword_prefix": settings.prefix,
            "max_input_chars_per_word": settings.max_word_chars,
            "vocab": settings.vocabulary.pieces,
        },
    }


def _post_processor(settings: TokenizerSettings) -> dict[str, Any]:
    cls, sep = settings.special_tokens["cls_token"], settings.special_tokens["sep_token"]
    first = [_special(cls, 0), {"Sequence": {"id": "A", "type_id": 0}}, _special(sep, 0)]
    second = [{"Sequence": {"id": "B", "type_id": 1}}, _special(sep, 1)]
    ids = {token: settings.vocabulary[token] for token in (cls, sep)}
    return {
        "type": "TemplateProcessing",
        "single": first,
        "pair": first + second,
        "special_tokens": {token: {"id": token, "ids": [index], "tokens": [token]} for token, index in ids.items()},
    }


def _special(token: str, type_id: int) -> dict[str, Any]:
    return {"SpecialToken": {"id": token, "type_id": type_id}}
