"""The pages for a browser: files of this package that load nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

__all__ = ["page_response"]

_HEADERS = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


def page_response(name: str) -> Callable[[Request], Awaitable[Response]]:
    """Return what answers with a page of `static/`."""
    content = files("distilbert_deploy.server").joinpath("static", name).read_bytes()

    async def respond(request: Request) -> Response:
        return Response(content, headers=_HEADERS)

    return respond
