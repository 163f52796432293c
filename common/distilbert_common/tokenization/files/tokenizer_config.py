"""tokenizer_config.json, as transformers 4.0 to 5.x wrote it: what its fields mean, and which are kept as they are.

The files of tokenizers that cut texts otherwise are refused (`check_same_pieces`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from distilbert_common.credentials import is_credential, without_credentials
from distilbert_common.errors import TokenizerError
from distilbert_common.loading_options import is_loading_option
from distilbert_common.tokenization.files.tokenizer_json import NORMALIZER_KEYS
from distilbert_common.tokenization.normalizer import Normalizer
from distilbert_common.tokenization.settings import MODEL_INPUT_NAMES, ROLES, TokenizerSettings

__all__ = [
    "OPTIONS",
    "UNTOUCHED",
    "carried_fields",
    "check_same_pieces",
    "listed_tokens",
    "named_tokens",
    "names_of",
    "options_of",
    "special_tokens_map",
    "unknown_options",
]

OPTIONS = (
    *NORMALIZER_KEYS, *ROLES, "additional_special_tokens", "extra_special_tokens", "model_max_length", "max_len",
    "padding_side", "truncation_side", "clean_up_tokenization_spaces", "do_basic_tokenize", "never_split",
    "split_special_tokens", "model_input_names", "name_or_path", "tokenizer_class",
)  # fmt: skip
"""The options of a tokenizer: keywords, and fields of the file."""

CARRIED_OPTIONS = (
    "add_prefix_space", "chat_template", "is_split_into_words", "max_length", "pad_to_multiple_of",
    "pad_token_type_id", "padding", "processor_class", "return_attention_mask", "return_offsets_mapping",
    "return_tensors", "return_token_type_ids", "stride", "truncation", "truncation_strategy", "wordpieces_prefix",
)  # fmt: skip
"""Keywords of transformers' tokenizers that do nothing to texts there either; they are written into the file.

Programs give those of a call to `from_pretrained` too, which there takes any keyword but `add_special_tokens`.
"""

UNTOUCHED = Normalizer(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
"""What `do_basic_tokenize=False` does to a text."""

_OWN_FIELDS = frozenset({*OPTIONS, "added_tokens_decoder", "model_specific_special_tokens"})

_NOT_CARRIED = frozenset({
    "add_special_tokens", "backend", "fast_tokenizer_files", "files_loaded", "init_inputs", "is_local", "merges_file",
    "slow_tokenizer_class", "special_tokens_map_file", "tokenizer_file", "verbose", "vocab_file",
})  # fmt: skip
"""Fields that say, as loading options do, where a tokenizer came from: nothing that lasts.

`add_special_tokens` is none of them, but transformers opens no file that has it.
"""


def carried_fields(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that have no meaning here and are written back as they are.

    Args:
        config: The content of tokenizer_config.json.
    """
    dropped = _OWN_FIELDS | _NOT_CARRIED | set(named_tokens(config))
    return {
        name: value
        for name, value in without_credentials(config).items()
        if name not in dropped and not is_loading_option(name) and not name.startswith("_")
    }


def unknown_options(options: Iterable[str]) -> list[str]:
    """Return those keywords that no tokenizer has, sorted."""
    return sorted(set(options).difference(OPTIONS, CARRIED_OPTIONS))


def named_tokens(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the special tokens with a name of their own, such as "image_token".

    transformers 4 writes them as `extra_special_tokens`, 5 as `model_specific_special_tokens`, both also one by one.

    Args:
        options: The content of a file, or keywords.

    Raises:
        TokenizerError: A name is no name of an attribute.
    """
    named = {
        name: value
        for name, value in options.items()
        if name.endswith("_token") and name not in ROLES and _is_token(value) and not is_credential(name, value)
    }
    for field in ("extra_special_tokens", "model_specific_special_tokens"):
        if isinstance(value := options.get(field), Mapping):
            named.update(value)
    for name in named:
        if not (name.isidentifier() and not name.startswith("_")):
            raise TokenizerError(f"a special token is named {name!r}; expected a name such as 'image_token'")
    return named


def listed_tokens(options: Mapping[str, Any]) -> list[Any]:
    """Return the special tokens without a role: `additional_special_tokens` of 4.x, `extra_special_tokens` of 5.

    Args:
        options: The content of a file, or keywords.

    Raises:
        TokenizerError: One of the two is not a list.
    """
    tokens: list[Any] = []
    for field in ("additional_special_tokens", "extra_special_tokens"):
        value = options.get(field)
        if isinstance(value, (list, tuple)):
            tokens.extend(value)
        elif value is not None and not (field == "extra_special_tokens" and isinstance(value, Mapping)):
            raise TokenizerError(f"{field} is {value!r}; expected a list of tokens")
    return tokens


def special_tokens_map(settings: TokenizerSettings) -> dict[str, Any]:
    """Return the special tokens by role or name, and the list of the others where there are any."""
    additional = list(settings.additional_special_tokens)
    return {**settings.special_tokens, **({"additional_special_tokens": additional} if additional else {})}


def options_of(settings: TokenizerSettings) -> dict[str, Any]:
    """Return the options that make a tokenizer with such settings.

    Args:
        settings: The settings of the tokenizer.
    """
    return {
        "clean_up_tokenization_spaces": settings.clean_up_tokenization_spaces,
        "do_lower_case": settings.normalizer.lowercase,
        "model_max_length": settings.model_max_length,
        "name_or_path": settings.name_or_path,
        "padding_side": settings.padding_side,
        "strip_accents": settings.normalizer.strip_accents,
        "tokenize_chinese_chars": settings.normalizer.handle_chinese_chars,
        "truncation_side": settings.truncation_side,
        **_unusual(settings),
        **special_tokens_map(settings),
    }


def _unusual(settings: TokenizerSettings) -> dict[str, Any]:
    """Return the options that are only given where they say something."""
    is_basic = settings.splits_punctuation or settings.normalizer != UNTOUCHED
    named = {name: token for name, token in settings.special_tokens.items() if name not in ROLES}
    options: dict[str, tuple[Any, Any]] = {
        "clean_text": (settings.normalizer.clean_text, True),
        "do_basic_tokenize": (is_basic, True),
        "extra_special_tokens": (named, {}),
        "model_input_names": (list(settings.model_input_names), list(MODEL_INPUT_NAMES)),
        "never_split": (list(settings.never_split), []),
        "split_special_tokens": (settings.split_special_tokens, False),
        "wordpieces_prefix": (settings.prefix, "##"),
    }
    return {name: value for name, (value, usual) in options.items() if value != usual}


def names_of(field: str, value: Any) -> list[str]:
    """Return a field that is a list of strings.

    Raises:
        TokenizerError: It is not.
    """
    if isinstance(value, (list, tuple, set)) and all(isinstance(name, str) for name in value):
        return list(value)
    raise TokenizerError(f"{field} is {value!r}; expected a list of strings")


def _is_token(value: Any) -> bool:
    return isinstance(value, (str, Mapping)) or isinstance(getattr(value, "content", None), str)


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
        for name, supported in _WORD_SPLITTERS.items():
            if (value := tokenizer_config.get(name)) not in (None, supported):
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
