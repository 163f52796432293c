"""`distilbert serve`: a model behind HTTP."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from distilbert_common.errors import InputError, MissingFrameworkError

__all__ = ["serve"]

LIMITS = "Limits"


def _setting(name: str, help: str, **settings: Any) -> Any:
    """Return an option that a variable of the environment may give too."""
    return typer.Option(envvar=f"DISTILBERT_SERVE_{name}", help=help, **settings)


def _limit(name: str, help: str) -> Any:
    return _setting(name, help, rich_help_panel=LIMITS)


def serve(
    model: Annotated[
        str,
        typer.Argument(
            metavar="[MODEL]",
            help="Directory, weights file or hub id, in any dialect; HF_MODEL_ID or /opt/ml/model if not given.",
        ),
    ] = "",
    task: Annotated[str | None, typer.Option(help="The task; the one that the model was trained for.")] = None,
    backend: Annotated[str | None, _setting("BACKEND", "pt, tf, flax or onnx; the first that is installed.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, gpu, or auto for the GPU if there is one.")] = None,
    host: Annotated[str | None, _setting("HOST", "Address; 127.0.0.1, or 0.0.0.0 on a platform.")] = None,
    port: Annotated[int | None, _setting("PORT", "Port, 8080; 0 for a free one.")] = None,
    workers: Annotated[int | None, _setting("WORKERS", "Processes, each with the model; 1.")] = None,
    tokens_per_batch: Annotated[
        int | None, _setting("TOKENS_PER_BATCH", "Tokens of all requests that are computed at once; 4096.")
    ] = None,
    warm_up: Annotated[
        bool | None, typer.Option("--warm-up/--no-warm-up", help="Compute some batches before the first request; yes.")
    ] = None,
    max_queue: Annotated[int | None, _limit("MAX_QUEUE", "Requests that may wait; 512.")] = None,
    max_body: Annotated[int | None, _limit("MAX_BODY", "Bytes of a body; 2000000.")] = None,
    max_items: Annotated[int | None, _limit("MAX_ITEMS", "Examples in a request; 128.")] = None,
    max_tokens: Annotated[int | None, _limit("MAX_TOKENS", "Tokens of a request; 65536.")] = None,
    max_length: Annotated[int | None, _limit("MAX_LENGTH", "Tokens of an example; the model's.")] = None,
    truncate: Annotated[
        bool | None,
        typer.Option(
            "--truncate/--no-truncate", help="Cut longer examples, or refuse them; cut.", rich_help_panel=LIMITS
        ),
    ] = None,
    timeout: Annotated[float | None, _limit("TIMEOUT", "Seconds until a request gets 504; 60.")] = None,
    body_timeout: Annotated[
        float | None, _limit("BODY_TIMEOUT", "Seconds for a client to send headers, a body, or take an answer; 10.")
    ] = None,
    grace: Annotated[float | None, _limit("GRACE", "Seconds to answer what was accepted, after SIGTERM; 25.")] = None,
    token: Annotated[
        str | None,
        _setting(
            "TOKEN",
            "Token that requests need; better in the variable or a file than among the arguments.",
            show_envvar=True,
        ),
    ] = None,
    token_file: Annotated[Path | None, _setting("TOKEN_FILE", "File that holds the token.")] = None,
    page: Annotated[bool | None, typer.Option("--page/--no-page", help="Pages for a browser; yes.")] = None,
    log_format: Annotated[str | None, _setting("LOG_FORMAT", "json or text; json.")] = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit on the hub.")] = None,
) -> None:
    """Serve a model over HTTP: the JSON of Hugging Face, SageMaker and Vertex AI, metrics, and a page to try it."""
    options: dict[str, Any] = {name: value for name, value in locals().items() if value is not None}
    _require_extra()
    from distilbert_deploy.server import Settings
    from distilbert_deploy.server import serve as run
    from distilbert_deploy.server.environment import model_from_environment, settings_from_environment
    from distilbert_deploy.server.settings import read_token

    if options.pop("token_file", None) is not None:
        if token is not None:
            raise InputError("a token and a token file were given; give one of them")
        options["token"] = read_token(Path(str(token_file)))
    options["model"] = model or model_from_environment(os.environ)
    raise typer.Exit(run(Settings(**{**settings_from_environment(os.environ), **options})))


def _require_extra() -> None:
    """Require the libraries of the extra `serve`."""
    for module in ("starlette", "uvicorn", "prometheus_client"):
        if find_spec(module) is None:
            raise MissingFrameworkError("serving", module, "serve")
