"""What the environment of a container says: SageMaker's, Hugging Face's and Vertex AI's variables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from distilbert_common.errors import InputError

__all__ = ["model_from_environment", "settings_from_environment"]

MODEL_DIRECTORY = "/opt/ml/model"
"""Where SageMaker puts the model."""


def _number(text: str) -> int:
    return int(text)


def _seconds(text: str) -> float:
    return float(text)


def _megabytes(text: str) -> int:
    return int(float(text) * 1_000_000)


VARIABLES: tuple[tuple[str, str, Callable[[str], Any]], ...] = (
    ("HF_TASK", "task", str),
    ("HF_MODEL_REVISION", "revision", str),
    ("AIP_HTTP_PORT", "port", _number),
    ("SAGEMAKER_BIND_TO_PORT", "port", _number),
    ("AIP_HEALTH_ROUTE", "health_route", str),
    ("AIP_PREDICT_ROUTE", "predict_route", str),
    ("SAGEMAKER_MODEL_SERVER_WORKERS", "workers", _number),
    ("SAGEMAKER_MODEL_SERVER_TIMEOUT", "timeout", _seconds),
    ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "max_body", _megabytes),
)
"""Variables of the platforms, what they set, and how they are read; of several for one setting, the last one counts."""


def settings_from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings that a platform's variables give; options of the command go before them.

    Args:
        environment: The variables.

    Raises:
        InputError: One is no number where a number is expected.
    """
    settings: dict[str, Any] = {}
    for variable, name, parse in VARIABLES:
        text = environment.get(variable, "").strip()
        if text:
            try:
                settings[name] = parse(text)
            except ValueError:
                raise InputError(f"the variable {variable} is {text!r}; expected a number") from None
    if any(name.startswith(("AIP_", "SM_", "SAGEMAKER_")) for name in environment):
        settings["host"] = "0.0.0.0"  # in a container, where the platform asks from outside
    return settings


def model_from_environment(environment: Mapping[str, str]) -> str:
    """Return the model that the variables name: HF_MODEL_ID, else the directory that SageMaker fills.

    Raises:
        InputError: Nothing names one.
    """
    if environment.get("HF_MODEL_ID"):
        return environment["HF_MODEL_ID"]
    directory = environment.get("SM_MODEL_DIR") or MODEL_DIRECTORY
    if (Path(directory) / "config.json").is_file():
        return directory
    storage = environment.get("AIP_STORAGE_URI", "")
    if storage:
        raise InputError(
            f"AIP_STORAGE_URI is {storage}, which only Google's client can read; put the model into the image, or copy "
            "it there before the server starts, and name its directory"
        )
    raise InputError(
        f"no model was named, and {directory} holds none; name a directory or a hub id, or set HF_MODEL_ID"
    )
