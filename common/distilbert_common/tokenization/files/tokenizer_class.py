"""Telling from a tokenizer's files that they were written for a tokenizer which cuts texts otherwise."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from distilbert_common.errors import TokenizerError

__all__ = ["check_same_pieces"]

_LOGGER = logging.getLogger(__name__)

SAME_PIECES = frozenset({
    "Bert", "ConvBert", "DistilBert", "DPRContextEncoder", "DPRQuestionEncoder", "DPRReader", "Electra", "LayoutLM",
    "Lxmert", "MobileBert", "Realm", "RetriBert", "SqueezeBert",
})  # fmt: skip
"""The models whose tokenizers cut texts as DistilBERT's does."""

_GENERIC = frozenset({"PreTrained", "PreTrainedTokenizer", "TokenizersBackend", "PreTrainedTokenizerBackend", ""})
"""Classes that are what their tokenizer.json says."""

_OTHER_PIECES = frozenset({
    "Albert", "Bart", "BertGeneration", "BertJapanese", "Bertweet", "BigBird", "ByT5", "Camembert", "Canine",
    "CharacterBert", "CLIP", "CodeGen", "Cohere", "CTRL", "Deberta", "DebertaV2", "Ernie", "Flaubert", "Funnel", "GPT2",
    "Herbert", "KoBert", "Llama", "Longformer", "MBart", "MPNet", "Nllb", "OpenAIGPT", "Pegasus", "Phobert", "Qwen2",
    "RemBert", "Roberta", "RoCBert", "RoFormer", "T5", "XLM", "XLMRoberta", "XLNet",
})  # fmt: skip
"""The models whose tokenizers are known to cut texts otherwise, some of them with a vocab.txt too."""

_WORD_SPLITTERS = {"word_tokenizer_type": "basic", "subword_tokenizer_type": "wordpiece"}
"""Fields that name a step of the tokenizer, and the value that stands for BERT's own."""

_SPLITTER_OPTIONS = ("mecab_kwargs", "sudachi_kwargs", "jumanpp_kwargs", "spm_file", "sp_model_kwargs", "merges_file")
"""Fields that only tokenizers with another step have."""


def check_same_pieces(
    keywords: Mapping[str, Any], tokenizer_config: Mapping[str, Any], model_config: Mapping[str, Any], where: str
) -> None:
    """Require that files were written for a tokenizer that cuts texts as DistilBERT's does; warn where nobody knows.

    Args:
        keywords: Options of the caller; his `tokenizer_class` decides.
        tokenizer_config: The content of tokenizer_config.json.
        model_config: The content of config.json, which names the class where the former does not.
        where: The place, for messages.

    Raises:
        TokenizerError: They were written for another.
    """
    if keywords.get("tokenizer_class") is None:
        for name, own in _WORD_SPLITTERS.items():
            if (value := tokenizer_config.get(name)) not in (None, own):
                raise TokenizerError(_refusal(where, f"{name} {value!r}"))
        for name in _SPLITTER_OPTIONS:
            if tokenizer_config.get(name):
                raise TokenizerError(_refusal(where, f"{name} {tokenizer_config[name]!r}"))
    declared = [source.get("tokenizer_class") for source in (keywords, tokenizer_config, model_config)]
    name = next((str(each) for each in declared if each), "")
    _check_class(name, where)


def _check_class(name: str, where: str) -> None:
    model = name.removesuffix("Fast").removesuffix("Tokenizer")
    if model in _OTHER_PIECES:
        raise TokenizerError(_refusal(where, f"tokenizer_class {name!r}"))
    if model not in SAME_PIECES | _GENERIC:
        _LOGGER.warning(
            "%s names the tokenizer_class %r, which is not known here; its texts are cut as DistilBERT cuts them. If "
            "that class does something else, use it and give its input_ids and attention_mask to the model; if not, "
            "pass tokenizer_class='DistilBertTokenizer' to say so",
            where, name,
        )  # fmt: skip


def _refusal(where: str, declared: str) -> str:
    return (
        f"{where} declares {declared}: that tokenizer cuts texts otherwise than DistilBERT's, so the pieces would not "
        "be those that the model was trained on. Use transformers' own class for these files and give its input_ids "
        "and attention_mask to the model, or pass tokenizer_class='DistilBertTokenizer' to cut them as DistilBERT does "
        "all the same"
    )
