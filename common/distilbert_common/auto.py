"""Classes that choose a class by a checkpoint's config: here DistilBERT's, or an error that names the other model.

Programs name `AutoModelForSequenceClassification` and the like rather than a model's own class. Each family has them
in its `auto` module, with its own models.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from distilbert_common.config import DistilBertConfig
from distilbert_common.config_fields import OWN_FIELDS
from distilbert_common.errors import ConfigError, InputError
from distilbert_common.files import HUB_OPTIONS, local_path, read_json, resolve
from distilbert_common.loading_options import split_options

if TYPE_CHECKING:
    from distilbert_common.tokenization.tokenizer import TokenizerBase

__all__ = ["AutoClass", "AutoConfig", "AutoModelClass", "AutoTokenizer", "check_model_type"]

_CONVERT = "make a DistilBERT of it with: distilbert convert SRC DST --to pt"
_ADVICE = {
    "bert": f"{_CONVERT}; its tokenizer is read by DistilBertTokenizerFast.from_pretrained",
    "distil_bert": f"it is KerasHub's name; {_CONVERT}",
}
_OTHER_MODEL = "open it with transformers' class of this name, or give a DistilBERT such as distilbert-base-uncased"


def check_model_type(fields: Mapping[str, Any], source: object, name: str) -> None:
    """Require the config of a DistilBERT.

    Args:
        fields: The content of `config.json`.
        source: Where it is from, for the message.
        name: The class that was asked for it.

    Raises:
        ConfigError: It is another model's.
    """
    model_type = fields.get("model_type", DistilBertConfig.model_type)
    if model_type == DistilBertConfig.model_type or OWN_FIELDS.issubset(fields):
        return
    advice = _ADVICE.get(str(model_type), _OTHER_MODEL)
    raise ConfigError(f"{source} holds a model of type {model_type!r}, and {name} opens DistilBERT alone; {advice}")


def config_fields(source: str | Path | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of the `config.json` of a checkpoint, empty where there is none.

    Args:
        source: A directory, a file, or a hub id.
        options: Keywords of a `from_pretrained`, of which those count that say where files are.
    """
    if source is None or (local_path(source).is_file() and Path(source).suffix != ".json"):
        return {}
    where = {name: value for name, value in options.items() if name in (*HUB_OPTIONS, "use_auth_token")}
    path = resolve(source, "config.json", required=False, **split_options(where, "config").hub)
    return {} if path is None else read_json(path)


class AutoClass:
    """What has a `from_pretrained` and no instances."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise InputError(f"{type(self).__name__} has no instances; call {type(self).__name__}.from_pretrained(...)")


class AutoConfig(AutoClass):
    """The config of a checkpoint."""

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **kwargs: Any) -> Any:
        """Read a config, as `DistilBertConfig.from_pretrained` does.

        Raises:
            ConfigError: It is another model's; the message names its type.
        """
        check_model_type(
            config_fields(pretrained_model_name_or_path, kwargs), pretrained_model_name_or_path, "AutoConfig"
        )
        return DistilBertConfig.from_pretrained(pretrained_model_name_or_path, **kwargs)

    @classmethod
    def for_model(cls, model_type: str, *args: Any, **kwargs: Any) -> DistilBertConfig:
        """Make a config.

        Args:
            model_type: "distilbert".
            *args: Fields by position.
            **kwargs: Fields by name.
        """
        check_model_type({"model_type": model_type}, "the call", "AutoConfig")
        return DistilBertConfig(*args, **kwargs)


class AutoTokenizer(AutoClass):
    """The tokenizer of a checkpoint."""

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | Path, *inputs: Any, use_fast: bool = True, **kwargs: Any
    ) -> TokenizerBase:
        """Load a `DistilBertTokenizerFast`.

        Args:
            pretrained_model_name_or_path: A directory, a vocabulary file, or a hub id.
            *inputs: Options of the tokenizer by position.
            use_fast: False gives a `DistilBertTokenizer`, in plain Python.
            **kwargs: What the tokenizer's own `from_pretrained` takes.

        Raises:
            ConfigError: The checkpoint is another model's; the message names its type.
            TokenizerError: The files are missing, damaged, or of a tokenizer that cuts texts otherwise.
        """
        from distilbert_common.tokenization import DistilBertTokenizer, DistilBertTokenizerFast

        kwargs.pop("config", None)
        if not local_path(pretrained_model_name_or_path).is_file():
            fields = config_fields(pretrained_model_name_or_path, kwargs)
            check_model_type(fields, pretrained_model_name_or_path, cls.__name__)
        tokenizer_class = DistilBertTokenizerFast if use_fast else DistilBertTokenizer
        return tokenizer_class.from_pretrained(pretrained_model_name_or_path, *inputs, **kwargs)


class AutoModelClass(AutoClass):
    """A model of a checkpoint; a family names the class.

    Attributes:
        model_class: The class of the models that are returned.
    """

    model_class: ClassVar[Any]

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path | None, *model_args: Any, **kwargs: Any) -> Any:
        """Load a model, as its own class' `from_pretrained` does.

        Args:
            pretrained_model_name_or_path: A directory, a weights file, or a hub id.
            *model_args: Passed on.
            **kwargs: What that class takes.

        Raises:
            ConfigError: The checkpoint is another model's; the message names its type.
            CheckpointError: There is none, or it is damaged.
        """
        config = kwargs.get("config")
        if isinstance(config, (str, Path, type(None))):
            source = config or pretrained_model_name_or_path
            check_model_type(config_fields(source, kwargs), source, cls.__name__)
        else:
            kwargs["config"] = cls._own_config(config)
        return cls.model_class.from_pretrained(pretrained_model_name_or_path, *model_args, **kwargs)

    @classmethod
    def from_config(cls, config: Any, **kwargs: Any) -> Any:
        """Make a model with new weights.

        Args:
            config: A DistilBertConfig, or transformers' own.
            **kwargs: What the constructor takes, and `dtype`.

        Raises:
            ConfigError: The config is another model's; the message names its type.
        """
        return cls.model_class._from_config(cls._own_config(config), **kwargs)

    @classmethod
    def _own_config(cls, config: Any) -> DistilBertConfig:
        """Return a config as it is, or transformers' as ours."""
        if isinstance(config, DistilBertConfig):
            return config
        fields = config.to_dict() if hasattr(config, "to_dict") else {"model_type": type(config).__name__}
        check_model_type(fields, type(config).__name__, cls.__name__)
        own_config: DistilBertConfig = DistilBertConfig.from_dict(fields)
        return own_config
