"""The outermost layer: the token, failures as JSON, and for each request headers, a line in the log and metrics."""

from __future__ import annotations

import base64
import binascii
import hmac
import logging
from collections.abc import Collection, Mapping
from typing import Any

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from distilbert_deploy.server.bodies import Body
from distilbert_deploy.server.failures import RequestFailure, error_body
from distilbert_deploy.server.lifecycle import CLOSE, Lifecycle
from distilbert_deploy.server.logs import log_request
from distilbert_deploy.server.metrics import Metrics
from distilbert_deploy.server.record import Record

__all__ = ["Guard"]

_LOGGER = logging.getLogger(__name__)
_CLOSE = (b"connection", b"close")
_CHALLENGE = {"WWW-Authenticate": 'Bearer, Basic realm="distilbert"'}
"""Browsers ask for a password when they see Basic, and send the token as one."""


class Guard:
    """Wraps the routes of a server.

    Args:
        app: The routes.
        lifecycle: The state of the worker.
        metrics: Where requests are counted.
        routes: The paths that there are; others count as one.
        open_routes: Those that need no token.
        token: The token; "" for none.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        lifecycle: Lifecycle,
        metrics: Metrics,
        routes: Collection[str],
        open_routes: Collection[str],
        token: str,
    ) -> None:
        self._app, self._lifecycle, self._metrics = app, lifecycle, metrics
        self._routes, self._open_routes, self._token = frozenset(routes), frozenset(open_routes), token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        route = scope["path"] if scope["path"] in self._routes else "other"
        record = Record.of(headers.get("x-request-id", ""), scope["method"], route)
        scope["record"], scope["app"] = record, self  # with an app, Starlette raises where a method is not allowed
        self._lifecycle.responding += 1
        try:
            await self._answer(scope, Body(receive), self._sender(send, record), headers)
        finally:
            self._lifecycle.responding -= 1
            self._metrics.request(route, record.status, record.seconds)
            if route not in self._open_routes:
                log_request(record.fields)

    async def _answer(self, scope: Scope, body: Body, send: Send, headers: Headers) -> None:
        try:
            self._check_token(scope["path"], headers)
            await self._app(scope, body, send)
        except RequestFailure as failure:
            if failure.status != 408 and "expect" not in headers:
                await body.discard()
            await _send_failure(send, failure)
        except HTTPException as error:
            await _send_failure(send, _as_failure(error, scope["method"]))
        except ClientDisconnect:
            pass
        except Exception:
            _LOGGER.exception("request %s failed", scope["record"].request_id)
            await _send_failure(send, RequestFailure(500, "the server failed; its log says why", CLOSE))

    def _check_token(self, path: str, headers: Headers) -> None:
        """Require the token.

        Raises:
            RequestFailure: It is missing or wrong.
        """
        if not self._token or path in self._open_routes:
            return
        if not hmac.compare_digest(_token_of(headers.get("authorization", "")), self._token):
            raise RequestFailure(401, "the token is missing or wrong; send Authorization: Bearer TOKEN", _CHALLENGE)

    def _sender(self, send: Send, record: Record) -> Send:
        """Return a `send` that adds headers and notes the status."""

        async def send_noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                headers = [*message.get("headers", ()), *record.headers]
                if self._lifecycle.is_stopping and _CLOSE not in headers:
                    headers.append(_CLOSE)
                message["headers"] = headers
            await send(message)

        return send_noting


async def _send_failure(send: Send, failure: RequestFailure) -> None:
    body = error_body(failure.status, failure.message)
    headers: Mapping[str, Any] = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        **{name.lower(): value for name, value in failure.headers.items()},
    }
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": failure.status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


def _as_failure(error: HTTPException, method: str) -> RequestFailure:
    """Return what Starlette refuses in this server's words."""
    message = error.detail
    if error.status_code == 405:
        message = f"{method[:16]} is not allowed here; use {(error.headers or {}).get('Allow', 'another method')}"
    return RequestFailure(error.status_code, message, error.headers)


def _token_of(authorization: str) -> bytes:
    """Return the token of an Authorization header: a bearer token, or the password of a browser."""
    scheme, _, value = authorization.partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer":
        return value.encode("utf-8", "replace")
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).partition(b":")[2]
        except (binascii.Error, ValueError):
            return b""
    return b""
