"""`serve`: the socket, the workers behind it, and the status that the process ends with."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable

from distilbert_common.errors import InputError
from distilbert_deploy.server.draining import DrainingServer, ServerConfig
from distilbert_deploy.server.loading import load_model
from distilbert_deploy.server.logs import configure_logging
from distilbert_deploy.server.model import ServedModel
from distilbert_deploy.server.settings import Settings

__all__ = ["serve"]

_LOGGER = logging.getLogger(__name__)
BACKLOG = 1024


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT.

    Connections are accepted by the system from the start, so that health checks of the port succeed; what they ask is
    answered once the model is loaded.

    Args:
        settings: What the server is told.

    Returns:
        The exit status: 0, or 2 where workers could not start.

    Raises:
        InputError: The port is taken, or settings do not fit the model.
        DistilBertError: The model cannot be read.
    """
    configure_logging(settings.log_format)
    _raise_file_limit()
    listener = _listen(settings.host, settings.port)
    try:
        host, port = listener.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        _LOGGER.info("listening at http://%s:%d", shown, port, extra={"fields": {"port": port}})
        server = DrainingServer(ServerConfig(settings, _loader(settings)))
        server.run([listener])
        return 2 if server.failed else 0
    finally:
        listener.close()


def _loader(settings: Settings) -> Callable[[Settings], ServedModel]:
    """Return what gives the server its model; one in this process is loaded here, so that what is wrong is raised."""
    if settings.workers == 1:
        model = load_model(settings)
        return lambda _: model
    threads = str(max(1, (os.cpu_count() or 1) // settings.workers))
    for variable in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
        os.environ.setdefault(variable, threads)  # which the workers inherit
    return load_model


def _listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises:
        InputError: The address is not this machine's, or the port is taken.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"port {port} of {host!r} cannot be used: {reason}; choose another --port or --host") from None


def _raise_file_limit() -> None:
    """Let this process have as many connections as the system allows it."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = min(hard, 65_536) if hard != resource.RLIM_INFINITY else 65_536
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
