"""The layout of tokenizer.json, the file of the `tokenizers` library: reading it and writing it."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from distilbert_common.errors import TokenizerError
from distilbert_common.tokenization.settings import TokenizerSettings
from distilbert_common.tokenization.vocabulary import FLAGS, AddedToken, filler, without_gaps

__all__ = ["NORMALIZER_KEYS", "TokenizerJson", "from_memory", "parse", "post_processor", "render", "template"]

_LOGGER = logging.getLogger(__name__)

NORMALIZER_KEYS = {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
    "clean_text": "clean_text",
}
"""Our name of each normalizer option, and the file's."""

PARTS = {
    "model": ("WordPiece",),
    "normalizer": ("BertNormalizer", None),
    "pre_tokenizer": ("BertPreTokenizer", "WhitespaceSplit"),
}
"""The parts of a tokenizer and the types that are understood, BERT's own first; None where the part may be absent."""

_NESTED = {"normalizer": "normalizers", "pre_tokenizer": "pretokenizers", "post_processor": "processors"}
"""Where a part that is a sequence of parts holds them."""

_NO_TEMPLATE = (
    "%s has no post_processor, so texts get no [CLS] and [SEP] around them, as in transformers 4; transformers 5 and "
    "a tokenizer made from vocab.txt add them. To have them, save the vocabulary with "
    "tokenizer.save_vocabulary(folder) and load that file"
)


class TokenizerJson(NamedTuple):
    """What tokenizer.json says: `options` by our names, and `parts`, the settings that no option may change."""

    pieces: dict[str, int]
    added: dict[int, AddedToken]
    options: dict[str, Any]
    parts: dict[str, Any]


def parse(content: Mapping[str, Any], where: str) -> TokenizerJson:
    """Read the content of a tokenizer.json.

    Args:
        content: The JSON object.
        where: The name of the file, for error messages.

    Raises:
        TokenizerError: It is the tokenizer of another model, or damaged.
    """
    parts = {name: _unwrapped(name, content.get(name)) for name in (*PARTS, "post_processor", "decoder")}
    try:
        for name in PARTS:
            _check_type(name, parts[name], where)
        model = parts["model"]
        options = {**_normalizer_options(parts["normalizer"]), "unk_token": model.get("unk_token", "[UNK]")}
        options.update(_sides(content))
        if parts["post_processor"] is None:
            _LOGGER.warning(_NO_TEMPLATE, where)
        else:
            options.update(_cls_and_sep(parts["post_processor"], where))
        added = {token["id"]: AddedToken.of(token) for token in content.get("added_tokens") or ()}
        pieces = {piece: index for piece, index in model["vocab"].items() if piece != filler(index)}
        return TokenizerJson(pieces, added, options, _fixed(parts))
    except (AttributeError, IndexError, KeyError, StopIteration, TypeError) as error:
        raise TokenizerError(
            f"{where} is damaged ({error!r}); write it anew with tokenizer.save_pretrained, or remove it and keep "
            "vocab.txt"
        ) from error


def from_memory(library_tokenizer: Any, vocab: Mapping[str, int] | None) -> TokenizerJson | None:
    """Read a vocabulary that is in no file.

    Args:
        library_tokenizer: A `tokenizers.Tokenizer`, or an object that holds one as `_tokenizer`.
        vocab: Id by piece.

    Raises:
        TokenizerError: It is the tokenizer of another model.
    """
    if library_tokenizer is not None:
        return parse(json.loads(library_tokenizer.to_str()), "tokenizer_object")
    return None if vocab is None else TokenizerJson(dict(vocab), {}, {}, {})


def _unwrapped(name: str, part: Any) -> Any:
    """Return the one part that a sequence of one holds."""
    inner = part.get(_NESTED.get(name, "")) if isinstance(part, Mapping) and part.get("type") == "Sequence" else None
    return inner[0] if isinstance(inner, list) and len(inner) == 1 else part


def _check_type(name: str, part: Any, where: str) -> None:
    # Files of early versions of the library name no type for the model.
    is_old_model = name == "model" and part is not None and "continuing_subword_prefix" in part
    kind = None if part is None else part.get("type", "WordPiece" if is_old_model else None)
    if kind in PARTS[name] and (part is None) is (kind is None):
        return
    if part is None and name == "pre_tokenizer":
        raise TokenizerError(
            f"{where} has no pre_tokenizer, so that every text would be one word, and that unknown; set "
            "tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer() before you save it"
        )
    raise TokenizerError(
        f"{where} has {name} {kind or 'of no type'}, DistilBERT has {PARTS[name][0]}: it cuts texts otherwise. Use the "
        "tokenizers library, or transformers' PreTrainedTokenizerFast, for this file and give its input_ids and "
        "attention_mask to the model"
    )


def _normalizer_options(normalizer: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return our options; where there is no normalizer, nothing is done to a text."""
    if normalizer is None:
        return dict.fromkeys(NORMALIZER_KEYS, False)
    return {ours: normalizer[theirs] for ours, theirs in NORMALIZER_KEYS.items() if theirs in normalizer}


def _sides(content: Mapping[str, Any]) -> dict[str, str]:
    """Return the sides that truncation and padding are set to; their lengths are for the library itself.

    Files from before tokenizers 0.11 name no side for truncation: it was always the right one.
    """
    sections = {"truncation_side": content.get("truncation"), "padding_side": content.get("padding")}
    return {
        side: section.get("direction", "Right").lower() for side, section in sections.items() if section is not None
    }


def _fixed(parts: Mapping[str, Any]) -> dict[str, Any]:
    model, decoder = parts["model"], parts["decoder"]
    return {
        "prefix": model.get("continuing_subword_prefix", "##"),
        "max_word_chars": model.get("max_input_chars_per_word", 100),
        "decoder_cleanup": (decoder or {}).get("cleanup", True),
        "splits_punctuation": parts["pre_tokenizer"]["type"] == "BertPreTokenizer",
        "adds_special_tokens": parts["post_processor"] is not None,
    }


def _cls_and_sep(post_processor: Mapping[str, Any], where: str) -> dict[str, str]:
    """Return the two tokens put around a text, from the two kinds of post-processor that do what BERT does."""
    if post_processor["type"] == "BertProcessing":
        return {"cls_token": post_processor["cls"][0], "sep_token": post_processor["sep"][0]}
    single, pair = (
        [next(iter(item.values()))["id"] for item in post_processor.get(name, ())] for name in ("single", "pair")
    )
    cls, sep = (single[0], single[-1]) if len(single) > 1 else ("[CLS]", "[SEP]")
    if single != [cls, "A", sep] or pair != [cls, "A", sep, "B", sep]:
        raise TokenizerError(
            f"{where} has a post_processor {post_processor['type']} that puts {single} and {pair} together; DistilBERT "
            "was trained on [CLS] A [SEP] and [CLS] A [SEP] B [SEP]. Set such a TemplateProcessing before you save it"
        )
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
        "normalizer": {"type": PARTS["normalizer"][0], **asdict(settings.normalizer)},
        "pre_tokenizer": {"type": PARTS["pre_tokenizer"][0 if settings.splits_punctuation else 1]},
        "post_processor": post_processor(settings),
        "decoder": {"type": "WordPiece", "prefix": settings.prefix, "cleanup": settings.decoder_cleanup},
        "model": {
            "type": PARTS["model"][0],
            "unk_token": settings.unk_piece,
            "continuing_subword_prefix": settings.prefix,
            "max_input_chars_per_word": settings.max_word_chars,
            "vocab": without_gaps(settings.vocabulary.pieces, settings.vocabulary.n_pieces),
        },
    }


def post_processor(settings: TokenizerSettings) -> dict[str, Any] | None:
    """Return what puts [CLS] and [SEP] around texts, or None where nothing does."""
    tokens = [settings.special_tokens.get(role, "") for role in ("cls_token", "sep_token")]
    ids = [settings.vocabulary.token_id(token) for token in tokens]
    return template(tokens, ids) if settings.adds_special_tokens and None not in ids else None


def template(tokens: Sequence[str], ids: Sequence[int | None]) -> dict[str, Any]:
    """Return the post-processor that puts two tokens around texts, in the places of [CLS] and [SEP].

    Args:
        tokens: The two tokens.
        ids: Their ids.
    """
    cls, sep = tokens
    first = [_special(cls, 0), {"Sequence": {"id": "A", "type_id": 0}}, _special(sep, 0)]
    second = [{"Sequence": {"id": "B", "type_id": 1}}, _special(sep, 1)]
    return {
        "type": "TemplateProcessing",
        "single": first,
        "pair": first + second,
        "special_tokens": {
            token: {"id": token, "ids": [index], "tokens": [token]} for token, index in zip(tokens, ids, strict=True)
        },
    }


def _special(token: str, type_id: int) -> dict[str, Any]:
    return {"SpecialToken": {"id": token, "type_id": type_id}}
