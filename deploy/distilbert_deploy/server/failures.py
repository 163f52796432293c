"""Answers that say no: a status, a kind of error, and a sentence."""

from __future__ import annotations

import json
from collections.abc import Mapping

__all__ = ["ERROR_TYPES", "RequestFailure", "error_body"]

ERROR_TYPES: dict[int, str] = {
    400: "bad_request",
    401: "unauthorized",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    408: "timeout",
    413: "too_large",
    415: "unsupported_media_type",
    422: "validation",
    429: "overloaded",
    500: "backend",
    503: "unhealthy",
    504: "timeout",
}
"""The kind of error of each status."""


class RequestFailure(Exception):  # noqa: N818 - the answer to one request, and no error of the server
    """The answer to a request that cannot be served.

    Attributes:
        status: The HTTP status.
        message: What was given, what was expected, what to do.
        headers: Further headers, as `Retry-After`.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, dict(headers or {})


def error_body(status: int, message: str) -> bytes:
    """Return `{"error": …, "error_type": …}` as JSON."""
    error_type = ERROR_TYPES.get(status, "bad_request" if status < 500 else "backend")
    return json.dumps({"error": message, "error_type": error_type}, ensure_ascii=False).encode("utf-8", "replace")
