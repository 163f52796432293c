"""What a server is told: which model, where it listens, and how much it takes."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path

from distilbert_common.errors import InputError

__all__ = ["BACKENDS", "LOG_FORMATS", "Settings", "read_token"]

BACKENDS = ("pt", "tf", "flax", "onnx")
LOG_FORMATS = ("json", "text")
BODIES_AT_ONCE = 64
"""Requests hold as much as so many bodies of full size."""

_AT_LEAST_ONE = ("workers", "tokens_per_batch", "max_queue", "max_body", "max_items", "max_tokens")
SHORTEST = 3
"""The fewest tokens of an example of which one is its own."""
_ABOVE_ZERO = ("timeout", "body_timeout")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a server, checked.

    Attributes:
        model: A directory, a weights file or a hub id, in any dialect.
        task: The task, by any of its names; "" for the one that the config names.
        backend: "pt", "tf", "flax" or "onnx"; "" for the first one installed.
        device: "cpu", "gpu", or "auto" for the GPU if there is one.
        revision: Branch, tag or commit on the hub; "" for the main branch.
        host: The address to listen at.
        port: The port to listen at; 0 for one that is free.
        workers: How many processes answer, each with a model of its own.
        tokens_per_batch: About how many tokens one call of the model computes, of all requests together.
        max_queue: How many requests of a worker may wait or be computed; further ones get 429.
        max_body: How many bytes a body may have, also when it is decompressed.
        max_items: How many examples a request may have.
        max_tokens: How many tokens a request may have, all examples and windows together.
        max_length: How many tokens of an example are read; None for as many as the model takes.
        truncate: Whether longer examples are cut; else they are refused.
        timeout: After how many seconds a request gets 504.
        body_timeout: After how many seconds a client must have sent its headers or its body, or taken its answer.
        grace: How many seconds a server that was told to stop goes on to answer what it accepted.
        token: The bearer token that requests need; "" for none.
        page: Whether there are pages for a browser.
        log_format: "json" or "text".
        warm_up: Whether the model computes some batches before the first request.
        health_route: A further path of the health check, as Vertex AI names it; "" for none.
        predict_route: A further path for predictions, as Vertex AI names it; "" for none.
    """

    model: str
    task: str = ""
    backend: str = ""
    device: str = "auto"
    revision: str = ""
    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 1
    tokens_per_batch: int = 4096
    max_queue: int = 512
    max_body: int = 2_000_000
    max_items: int = 128
    max_tokens: int = 65_536
    max_length: int | None = None
    truncate: bool = True
    timeout: float = 60.0
    body_timeout: float = 10.0
    grace: float = 25.0
    token: str = field(default="", repr=False)
    page: bool = True
    log_format: str = "json"
    warm_up: bool = True
    health_route: str = ""
    predict_route: str = ""

    def __post_init__(self) -> None:
        for name in _AT_LEAST_ONE:
            number = getattr(self, name)
            if number < 1:
                raise InputError(f"{_option(name)} is {number}; expected at least 1")
        if self.max_length is not None and self.max_length < SHORTEST:
            raise InputError(
                f"--max-length is {self.max_length}; expected at least {SHORTEST}, of which two are special"
            )
        for name in _ABOVE_ZERO:
            if not getattr(self, name) > 0:
                raise InputError(f"{_option(name)} is {getattr(self, name)}; expected a number of seconds above 0")
        if not self.grace >= 0:
            raise InputError(f"--grace is {self.grace}; expected a number of seconds, at least 0")
        if not 0 <= self.port <= 65_535:
            raise InputError(f"--port is {self.port}; expected 1 to 65535, or 0 for a free port")
        if not self.model:
            raise InputError("no model was named; give a directory, a weights file or a hub id, or set HF_MODEL_ID")
        self._check_choices()

    def _check_choices(self) -> None:
        if self.backend not in ("", *BACKENDS):
            raise InputError(f"--backend is {self.backend!r}; choose from {', '.join(BACKENDS)}")
        if self.log_format not in LOG_FORMATS:
            raise InputError(f"--log-format is {self.log_format!r}; choose from {', '.join(LOG_FORMATS)}")
        for name in ("health_route", "predict_route"):
            route = getattr(self, name)
            if route and not route.startswith("/"):
                raise InputError(f"{name} is {route!r}; expected a path that starts with /")
        if not self.token.isascii() or any(char.isspace() or not char.isprintable() for char in self.token):
            raise InputError("the token has spaces, or characters that headers cannot hold; use letters and digits")

    @property
    def max_held(self) -> int:
        """How many bytes the requests that are not answered yet may hold, their bodies and tokens."""
        return BODIES_AT_ONCE * self.max_body

    @property
    def shown(self) -> dict[str, object]:
        """The settings without the token, for `/info`."""
        return {item.name: getattr(self, item.name) for item in fields(self) if item.repr}


def read_token(path: Path) -> str:
    """Return the token in a file, which keeps it out of the list of processes and their environment.

    Raises:
        InputError: The file cannot be read, or is empty.
    """
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"--token-file {path} cannot be read: {error}; give a text file with the token in it"
        ) from None
    if not token:
        raise InputError(f"--token-file {path} is empty; write the token into it, or leave the option out")
    return token


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
