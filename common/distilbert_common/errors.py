"""Every error that this project raises on purpose.

A message says what was given, what was expected and what to do; the command line prints it as it stands.
"""

__all__ = [
    "CheckpointError",
    "CheckpointNotFoundError",
    "ConfigError",
    "DeviceError",
    "DistilBertError",
    "HubError",
    "InputError",
    "MisshapenWeightError",
    "MissingFrameworkError",
    "OutputExistsError",
    "TextTypeError",
    "TokenizerError",
    "TokenizerNotFoundError",
    "UnreadableFileError",
    "UnsupportedFormatError",
]


class DistilBertError(Exception):
    """The base of all errors of this project: catch it to catch them all."""


class ConfigError(DistilBertError, ValueError):
    """A configuration value breaks a rule; the message names field, value and rule."""


class InputError(DistilBertError, ValueError):
    """A model or tokenizer input cannot be used: too long, outside the vocabulary, of the wrong shape."""


class DeviceError(InputError, RuntimeError):
    """A device that was asked for is not there, or cannot hold the values of a model."""


class TokenizerError(DistilBertError, ValueError):
    """Tokenizer files are missing or damaged, or a tokenizer option makes no sense."""


class TextTypeError(TokenizerError, TypeError):
    """What a tokenizer was given is no text: None, a number, or a list that holds such."""


class TokenizerNotFoundError(TokenizerError, FileNotFoundError):
    """There are no tokenizer files at the place named; `except OSError` catches it, as with transformers."""


class CheckpointError(DistilBertError, ValueError):
    """A checkpoint is missing, damaged, or does not fit the model asked for."""


class CheckpointNotFoundError(CheckpointError, FileNotFoundError):
    """A directory, file or repository is not there; `except OSError` catches it, as with transformers."""


class UnreadableFileError(CheckpointError, OSError):
    """A file of a checkpoint is damaged, or no more than a pointer to one; `except OSError` catches it."""


class HubError(CheckpointError, OSError):
    """The hub cannot be reached, or refuses; `except OSError` catches it, as with transformers."""


class MisshapenWeightError(CheckpointError, RuntimeError):
    """A weight has another shape than the model's; `except RuntimeError` catches it, as with transformers."""


class UnsupportedFormatError(CheckpointError):
    """A checkpoint format cannot hold what it should; the message names one that can."""


class OutputExistsError(DistilBertError, FileExistsError):
    """The place to write to exists and is not empty, and overwriting was not asked for."""


class MissingFrameworkError(DistilBertError, ImportError):
    """A framework that was asked for is not installed; the message holds the command that installs it."""

    def __init__(self, asked_for: str, package: str, extra: str) -> None:
        super().__init__(
            f"{asked_for} needs {package}, which is not installed; install it with: pip install 'distilbert[{extra}]'"
        )
