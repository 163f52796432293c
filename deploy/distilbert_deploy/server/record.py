"""What is noted of one request while it is answered: for its headers, its line in the log, and the metrics."""

from __future__ import annotations

import re
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Record"]

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


@dataclass
class Record:
    """One request.

    Attributes:
        request_id: The client's own, where it is a sensible one, else a new one.
        method: The HTTP method.
        route: The path, of those that there are; "other" for all that there are not.
        start: When it came, in seconds of `time.monotonic`.
        status: The HTTP status of its answer; 499 where the client went away.
        items: How many examples it has.
        tokens: How many tokens it has.
        steps: How long each step took, in seconds.
    """

    request_id: str
    method: str
    route: str
    start: float = field(default_factory=time.monotonic)
    status: int = 499
    items: int = 0
    tokens: int = 0
    steps: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, asked_id: str, method: str, route: str) -> Record:
        """Return the record of a request that begins."""
        request_id = asked_id if _REQUEST_ID.fullmatch(asked_id) else uuid.uuid4().hex
        return cls(request_id, method, route)

    @property
    def seconds(self) -> float:
        """How long it took so far."""
        return time.monotonic() - self.start

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """The headers that tell the client what the request cost, times in milliseconds."""
        headers = {"x-request-id": self.request_id}
        if self.steps:
            headers |= {f"x-{step}-time": f"{1000 * seconds:.2f}" for step, seconds in self.steps.items()}
            headers |= {"x-total-time": f"{1000 * self.seconds:.2f}", "x-tokens": str(self.tokens)}
        return [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()]

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of its line in the log."""
        fields: dict[str, Any] = {
            "request_id": self.request_id,
            "method": self.method[:16],
            "route": self.route,
            "status": self.status,
            "ms": round(1000 * self.seconds, 2),
        }
        if self.items:
            fields |= {"items": self.items, "tokens": self.tokens}
        return fields | {f"{step}_ms": round(1000 * seconds, 2) for step, seconds in self.steps.items()}
