"""The keywords of transformers' `from_pretrained`, 4.0 to 5.x, and what each means here.

One table for models, config and tokenizers: a keyword says where files are, is acted on by some callers, or has no
effect. None of them ever becomes a config field.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from distilbert_common.credentials import is_credential
from distilbert_common.errors import ConfigError, InputError
from distilbert_common.user_warnings import warn_user

__all__ = [
    "CALLERS",
    "LOADING_OPTIONS",
    "MODELS",
    "LoadingOption",
    "SplitOptions",
    "is_loading_option",
    "sole_value",
    "split_options",
    "take_passed_on",
]

MODELS = ("pt", "tf", "flax")
CALLERS = (*MODELS, "config", "tokenizer")
"""Who takes the keywords: the three families' models, the config, the tokenizers."""


@dataclass(frozen=True)
class LoadingOption:
    """One keyword.

    Attributes:
        kind: "hub" says where files are; "handled" is for the caller to act on; "field" may be a config field as
            well; "ignored" has no effect; "refused" would change the result, and cannot be had.
        callers: For whom this is so; for the others it is ignored.
        neutral: Values that ask for nothing: always accepted silently. `...` stands for all.
        note: What is said where another value has no effect.
    """

    kind: str
    callers: tuple[str, ...] = CALLERS
    neutral: tuple[Any, ...] = (None, False)
    note: str = ""


_ANY = (...,)  # met in any case, or of no consequence
_NO_CODE = "no code from a checkpoint is ever run"
_HUB = LoadingOption("hub")
_MODELS = LoadingOption("handled", MODELS, _ANY)
_PYTORCH = LoadingOption("handled", ("pt",), _ANY)
_FLAX = LoadingOption("handled", ("flax",), _ANY)
_FIELD = LoadingOption("field", (*MODELS, "config"), _ANY)
_SILENT = LoadingOption("ignored", neutral=_ANY)
_ONE_DEVICE = LoadingOption("ignored", note="a model is loaded on one device")
_OWN_KERNELS = LoadingOption("ignored", note="the models have kernels of their own")
_QUANTIZED = LoadingOption(
    "refused",
    MODELS,
    note="quantized loading is not part of this project; load the weights as they are, and quantize after it",
)

LOADING_OPTIONS: dict[str, LoadingOption] = {
    # Where files are.
    **dict.fromkeys(("cache_dir", "force_download", "local_files_only", "revision", "subfolder", "token"), _HUB),
    "use_auth_token": _HUB,  # the older name of `token`
    "proxies": LoadingOption("ignored", neutral=(None, {}), note="set HTTPS_PROXY in the environment instead"),
    "mirror": LoadingOption("ignored", neutral=(None, ""), note="set HF_ENDPOINT in the environment instead"),
    "resume_download": _SILENT,  # downloads always resume
    **dict.fromkeys(("commit_hash", "_commit_hash"), _SILENT),
    # What the caller acts on.
    **dict.fromkeys(
        ("variant", "use_safetensors", "config", "output_loading_info", "ignore_mismatched_sizes"), _MODELS
    ),
    "state_dict": LoadingOption("handled", ("pt",), note="give a directory with the weights instead"),
    "device_map": LoadingOption("handled", ("pt",), note="the framework places its variables itself"),
    "disable_mmap": _PYTORCH,
    "return_unused_kwargs": LoadingOption("handled", ("config",), note="only the config's from_pretrained takes it"),
    "_configuration_file": LoadingOption("handled", ("config",), _ANY),
    **dict.fromkeys(("_do_init", "input_shape"), _FLAX),
    # Config fields that programs pass along with the rest.
    **dict.fromkeys(("dtype", "torch_dtype", "attn_implementation", "_attn_implementation"), _FIELD),
    # Met in any case: the dialect is found out, files are mapped, no code is run.
    **dict.fromkeys(("from_pt", "from_tf", "from_flax", "low_cpu_mem_usage", "_fast_init"), _SILENT),
    **dict.fromkeys(("_from_auto", "_from_pipeline"), _SILENT),
    "weights_only": LoadingOption("ignored", neutral=(None, True), note=_NO_CODE),
    **dict.fromkeys(("trust_remote_code", "code_revision"), LoadingOption("ignored", note=_NO_CODE)),
    # Placement over several devices.
    **dict.fromkeys(("max_memory", "offload_folder", "offload_state_dict", "offload_buffers"), _ONE_DEVICE),
    **dict.fromkeys(("tp_plan", "tp_size", "device_mesh", "distributed_config"), _ONE_DEVICE),
    # Other models' business, and kernels.
    "generation_config": LoadingOption("ignored", note="DistilBERT does not generate"),
    "experts_implementation": LoadingOption("ignored", note="DistilBERT has no experts"),
    **dict.fromkeys(("use_kernels", "kernel_config", "allow_all_kernels", "fusion_config"), _OWN_KERNELS),
    "adapter_kwargs": LoadingOption("ignored", neutral=(None, {}), note="load adapters with PEFT"),
    "adapter_name": LoadingOption("ignored", neutral=(None, "default"), note="load adapters with PEFT"),
    # What would change the weights.
    **dict.fromkeys(("load_in_8bit", "load_in_4bit"), _QUANTIZED),
    "quantization_config": replace(_QUANTIZED, neutral=(None,)),
    "gguf_file": LoadingOption("refused", note="GGUF is not read; give a safetensors file"),
    "key_mapping": LoadingOption("refused", MODELS, (None, {}), "rename the weights in the file instead"),
    "load_weight_prefix": LoadingOption("refused", ("tf",), (None, ""), "prefixes of names are taken off on their own"),
    "tf_to_pt_weight_rename": LoadingOption("refused", ("tf",), (None,), "names of every framework are known already"),
    # Of the classes that choose a class.
    **dict.fromkeys(("use_fast", "from_slow", "_is_local", "_processor_class", "fix_mistral_regex"), _SILENT),
    **dict.fromkeys(("legacy", "backend"), _FIELD),
    "tokenizer_type": LoadingOption("ignored", neutral=(None, "distilbert"), note="the tokenizer is DistilBERT's"),
}
"""Every keyword by name."""


class SplitOptions(NamedTuple):
    """Keywords sorted by what becomes of them.

    Attributes:
        hub: For `resolve` and `open_checkpoint`: `cache_dir`, `revision`, `token`, `local_files_only`, `subfolder`,
            `force_download`; `use_auth_token` has become `token`.
        handled: Loading options that the caller acts on.
        fields: All others: config fields, or a tokenizer's options; the caller knows which exist.
    """

    hub: dict[str, Any]
    handled: dict[str, Any]
    fields: dict[str, Any]


def split_options(kwargs: Mapping[str, Any], caller: str) -> SplitOptions:
    """Sort the keywords of a `from_pretrained`; what has no effect is named in one warning, values are never shown.

    In a model's `from_pretrained`, after the keywords of its own signature::

        hub, handled, fields = split_options(kwargs, "pt")
        with open_checkpoint(name_or_path, **hub, **handled) as checkpoint:
            config = (config or checkpoint.config()).updated(**fields)

    Args:
        kwargs: The keywords that are not in the caller's own signature.
        caller: One of `CALLERS`.

    Returns:
        Three dicts; for a model whose signature has all that it acts on, `handled` holds `variant` and
        `use_safetensors` at most, which `open_checkpoint` takes.

    Raises:
        InputError: A keyword asks for what would change the result and cannot be had, as 8-bit weights.
    """
    hub: dict[str, Any] = {}
    handled: dict[str, Any] = {}
    fields: dict[str, Any] = {}
    by_kind = {"hub": hub, "handled": handled, "field": fields}
    ignored: list[str] = []
    for name, value in kwargs.items():
        option = LOADING_OPTIONS.get(name)
        if option is None and is_credential(name, value):
            ignored.append(f"{name} (a credential; pass token= for the hub)")
        elif option is None:
            fields[name] = value
        elif caller in option.callers and option.kind in by_kind:
            by_kind[option.kind][name] = value
        elif not _asks_for_nothing(value, option.neutral):
            if option.kind == "refused" and caller in option.callers:
                raise InputError(f"from_pretrained cannot honor {name}: {option.note}")
            ignored.append(f"{name} ({option.note})" if option.note else name)
    if ignored:
        warn_user(f"from_pretrained: no effect has {', '.join(ignored)}")
    _rename_token(hub)
    return SplitOptions(hub, handled, fields)


def take_passed_on(kwargs: dict[str, Any], caller: str) -> dict[str, Any]:
    """Take the loading options out that mean nothing to a caller, but may to whom it returns them, and return them."""
    names = [name for name in kwargs if is_loading_option(name) and LOADING_OPTIONS[name].kind != "hub"]
    others = [name for name in names if not name.startswith("_") and caller not in _acting(name)]
    return {name: kwargs.pop(name) for name in others}


def _acting(name: str) -> tuple[str, ...]:
    option = LOADING_OPTIONS[name]
    return option.callers if option.kind == "handled" else ()


def is_loading_option(name: str) -> bool:
    """Whether a keyword is a loading option that can be no config field."""
    return name in LOADING_OPTIONS and LOADING_OPTIONS[name].kind != "field"


def sole_value(name: str, value: Any) -> Any:
    """Return the one value of an option that transformers 5 also takes as a mapping by parts of a model.

    Args:
        name: The option, `dtype` or `attn_implementation`, for the message.
        value: The value, or a mapping that has it under "", the name of the model itself.

    Raises:
        ConfigError: The mapping has values for parts only, and this model has none.
    """
    if not isinstance(value, Mapping):
        return value
    if "" not in value:
        raise ConfigError(
            f"{name} is {dict(value)!r}, but the model has no parts with a {name} of their own; give one value, "
            "or a mapping that has it under ''"
        )
    return value[""]


def _asks_for_nothing(value: Any, neutral: tuple[Any, ...]) -> bool:
    return ... in neutral or any(value is plain or (type(value) is type(plain) and value == plain) for plain in neutral)


def _rename_token(hub: dict[str, Any]) -> None:
    """Let `use_auth_token` count as `token`, which decides where both are given."""
    older = hub.pop("use_auth_token", None)
    if hub.get("token") is None and older is not None:
        hub["token"] = older
