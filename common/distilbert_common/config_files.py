"""Reading and writing a configuration: dicts, JSON, files and the hub."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Self

from distilbert_common.config_fields import LATENT_DEFAULTS, OWN_FIELDS, RENAMED
from distilbert_common.config_values import storable, warn_of_secrets
from distilbert_common.errors import ConfigError
from distilbert_common.files import read_json, resolve, write_text
from distilbert_common.hub import check_push_options, push_folder, take_saving_options
from distilbert_common.loading_options import split_options, take_passed_on
from distilbert_common.user_warnings import warn_user

__all__ = ["ConfigFiles"]

_RESERVED = {"self", "_field_names"}


class ConfigFiles:
    """How a config is read and written; the base of `DistilBertConfig`, which has the fields."""

    model_type: ClassVar[str]
    name_or_path: str

    def __init__(self, **fields: Any) -> None:
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Return every field as values for JSON."""
        raise NotImplementedError

    @classmethod
    def from_dict(cls, config_dict: Mapping[str, Any], *, return_unused_kwargs: bool = False, **overrides: Any) -> Any:
        """Build a config from the parsed content of a `config.json`.

        Args:
            config_dict: The JSON object; unknown keys are kept, save loading options and secrets.
            return_unused_kwargs: Whether keywords that are no fields of the config are returned beside it.
            **overrides: Fields that replace the object's.

        Returns:
            The config; with `return_unused_kwargs` also a dict.

        Raises:
            ConfigError: The object is another model's config, or a value breaks its rule.
        """
        model_type = config_dict.get("model_type", cls.model_type)
        if str(model_type) not in cls._model_types() and not OWN_FIELDS.issubset(config_dict):
            raise ConfigError(
                f"the config's model_type is {model_type!r}; expected {cls.model_type!r}: another model's file"
            )
        warn_of_secrets(config_dict, "the file of the config")
        merged = {RENAMED.get(key, key): value for key, value in storable(config_dict).items()}
        for key in merged:
            if _is_reserved(cls, key):
                raise ConfigError(f"the config has a field {key!r}, which cannot be one; remove it")
        unused = _pop_unused(cls, merged, overrides) if return_unused_kwargs else {}
        if {"num_labels", "id2label", "label2id"} & set(overrides):
            fitting = len(merged.get("id2label") or ()) == overrides.get("num_labels")
            merged = {k: v for k, v in merged.items() if fitting or k not in ("num_labels", "id2label", "label2id")}
        merged.update({RENAMED.get(key, key): value for key, value in overrides.items()})
        config = cls(**merged)
        return (config, unused) if return_unused_kwargs else config

    @classmethod
    def _model_types(cls) -> set[str]:
        """Return this class's type and those of the classes that it derives from."""
        return {base.model_type for base in cls.__mro__ if hasattr(base, "model_type")}

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **kwargs: Any) -> Any:
        """Read the config of a checkpoint.

        Args:
            pretrained_model_name_or_path: A directory with `config.json`, that file itself, or a hub id.
            **kwargs: `cache_dir`, `revision`, `token`, `local_files_only`, `subfolder`, `force_download` for the hub;
                `return_unused_kwargs`, as `from_dict` takes it; the loading options of `LOADING_OPTIONS`; fields of
                the config, which replace the file's. As in transformers, another keyword becomes no field: a warning
                names it.

        Returns:
            The config; with `return_unused_kwargs` also a dict of the keywords that are no fields.

        Raises:
            ConfigError: The file is not a DistilBERT config.
            CheckpointNotFoundError: There is no such file.
            UnreadableFileError: It is damaged.
        """
        returns_unused = bool(kwargs.pop("return_unused_kwargs", False))
        passed_on = take_passed_on(kwargs, "config") if returns_unused else {}
        config_dict, fields = cls.get_config_dict(pretrained_model_name_or_path, **kwargs)
        config, unused = cls.from_dict(config_dict, **fields, return_unused_kwargs=True)
        config.name_or_path = str(pretrained_model_name_or_path)
        if unused and not returns_unused:
            warn_user(f"from_pretrained: no effect has {', '.join(unused)}, which is no field; set it on the config")
        return (config, {**unused, **passed_on}) if returns_unused else config

    @classmethod
    def get_config_dict(
        cls, pretrained_model_name_or_path: str | Path, **kwargs: Any
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the content of a `config.json`, without secrets, and the keywords that are no loading options.

        Args:
            pretrained_model_name_or_path: A directory with `config.json`, that file itself, or a hub id.
            **kwargs: As `from_pretrained` takes them.
        """
        hub, handled, fields = split_options(kwargs, "config")
        filename = handled.get("_configuration_file") or "config.json"
        path = resolve(pretrained_model_name_or_path, filename, **hub)
        assert path is not None
        content = read_json(path)
        warn_of_secrets(content, str(path))
        return storable(content), fields

    @classmethod
    def from_json_file(cls, json_file: str | Path) -> Self:
        """Read a config from a JSON file of any name."""
        config: Self = cls.from_dict(read_json(Path(json_file)))
        return config

    def save_pretrained(self, save_directory: str | Path, push_to_hub: bool = False, **kwargs: Any) -> None:
        """Write `config.json`.

        Args:
            save_directory: Made where it is missing.
            push_to_hub: Whether to upload the directory.
            **kwargs: `repo_id`, else the directory's own name; `token` and the like, as in `push_folder`.
        """
        repo_id = kwargs.pop("repo_id", None) or Path(save_directory).name
        check_push_options(kwargs)
        Path(save_directory).mkdir(parents=True, exist_ok=True)
        self.to_json_file(Path(save_directory) / "config.json")
        if push_to_hub:
            push_folder(save_directory, repo_id, patterns=["config.json"], **kwargs)

    def push_to_hub(self, repo_id: str, **kwargs: Any) -> str:
        """Upload `config.json` to the hub; `token` and the like as in `push_folder`."""
        take_saving_options(kwargs)
        with TemporaryDirectory() as directory:
            self.save_pretrained(directory)
            return push_folder(directory, repo_id, **kwargs)

    def to_diff_dict(self) -> dict[str, Any]:
        """Return what transformers writes: the architecture, and the rest only where it is not the default."""
        full = self.to_dict()
        unnamed = {i: f"LABEL_{i}" for i in range(2)}
        if full["id2label"] == unnamed and full["label2id"] == {label: i for i, label in unnamed.items()}:
            del full["id2label"], full["label2id"]
        return {k: v for k, v in full.items() if k not in LATENT_DEFAULTS or v != LATENT_DEFAULTS[k]}

    def to_json_string(self, use_diff: bool = True) -> str:
        """Return the text of a `config.json`, keys sorted.

        Args:
            use_diff: Whether to leave out what equals transformers' general defaults, as its own files do.
        """
        fields = self.to_diff_dict() if use_diff else self.to_dict()
        return json.dumps(fields, indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    def to_json_file(self, json_file_path: str | Path, use_diff: bool = True) -> None:
        """Write the text of `to_json_string` to a file, all or nothing."""
        write_text(Path(json_file_path), self.to_json_string(use_diff))


def _is_reserved(cls: type[ConfigFiles], name: str) -> bool:
    """Whether a field of this name would hide a part of the class."""
    part = getattr(cls, name, None)
    fixed = isinstance(part, property) and part.fset is None
    return name in _RESERVED or name.startswith("__") or fixed or callable(part)


def _pop_unused(cls: type[ConfigFiles], fields: Mapping[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """Take the keywords out that are no fields of a config made from `fields`, and return them."""
    config = cls(**fields)
    return {name: overrides.pop(name) for name in list(overrides) if not hasattr(config, name)}
