"""Logs: a line for each request with what it cost, and never with what it said."""

from __future__ import annotations

import json
import logging
import sys
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

__all__ = ["ACCESS", "configure_logging", "log_ready", "log_request"]

_LOGGER = logging.getLogger(__name__)
ACCESS = logging.getLogger("distilbert_deploy.access")


def log_request(fields: dict[str, Any]) -> None:
    """Log a request, by the names of its figures."""
    ACCESS.info("request", extra={"fields": fields})


def log_ready(facts: Mapping[str, Any]) -> None:
    """Log that this process has its model, and which."""
    _LOGGER.info("ready", extra={"fields": {name: facts[name] for name in ("model", "task", "backend")}})


def configure_logging(log_format: str, level: int = logging.INFO) -> None:
    """Send the logs of this process to standard error, one line each.

    Args:
        log_format: "json" or "text".
        level: What is worth a line; of libraries, warnings are.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if log_format == "json" else _Text())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in ("distilbert_deploy", "distilbert_tasks"):
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(True)
    warnings.formatwarning = _sentence


def _sentence(message: Warning | str, *_: Any, **__: Any) -> str:
    """Return a warning without the line of code that led to it."""
    return str(message)


class _Json(logging.Formatter):
    """A line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            "process": record.process,
            **getattr(record, "fields", {}),
        }
        if record.name != ACCESS.name:
            line["logger"] = record.name
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True)


class _Text(logging.Formatter):
    """A line for people; control characters are escaped."""

    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{name}={value}" for name, value in getattr(record, "fields", {}).items())
        text = f"{record.getMessage()} {fields}".strip().encode("unicode_escape").decode("ascii")
        line = f"{_time(record)} {record.levelname.lower()} [{record.process}] {text}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
