"""Metrics for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from distilbert_deploy.server.batcher import BatchFacts

__all__ = ["Metrics"]

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_TOKENS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 65536)
_STEPS = ("encode", "queue", "compute", "decode")


class Metrics:
    """What a server counts and times."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()

        def histogram(name: str, text: str, buckets: tuple[float, ...], labels: tuple[str, ...] = ()) -> Histogram:
            return Histogram(f"distilbert_{name}", text, labels, buckets=buckets, registry=registry)

        self._requests = Counter("distilbert_requests", "Answered requests.", ("route", "status"), registry=registry)
        self._duration = histogram("request_duration_seconds", "From a request to its answer.", _SECONDS)
        steps = histogram("step_duration_seconds", "Steps of a request for predictions.", _SECONDS, ("step",))
        self._steps = {step: steps.labels(step) for step in _STEPS}
        self._input_tokens = histogram("request_tokens", "Tokens of a request.", _TOKENS)
        self._batch_requests = histogram("batch_requests", "Requests that were computed together.", _COUNTS)
        self._batch_tokens = histogram("batch_tokens", "Tokens that were computed together.", _TOKENS)
        self._batch_seconds = histogram("batch_duration_seconds", "Computing a batch.", _SECONDS)
        self._accepted = self._gauge("requests_in_progress", "Requests that wait or are computed.")
        self._ready = self._gauge("workers_ready", "Workers that take requests.")

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"distilbert_{name}", text, registry=self._registry)

    def watch(self, accepted: Callable[[], int], ready_workers: Callable[[], int]) -> None:
        """Say where the gauges get their values, which are read when somebody asks."""
        self._accepted.set_function(accepted)
        self._ready.set_function(ready_workers)

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count a request of any kind.

        Args:
            route: The path, of those that there are.
            status: The HTTP status; 499 where the client went away.
            seconds: How long it took.
        """
        self._requests.labels(route, status).inc()
        self._duration.observe(seconds)

    def step(self, step: str, seconds: float) -> None:
        """Note how long a step of a request took: encode, queue, compute or decode."""
        self._steps[step].observe(seconds)

    def tokens(self, tokens: int) -> None:
        """Note how many tokens a request has."""
        self._input_tokens.observe(tokens)

    def batch(self, batch: BatchFacts) -> None:
        """Note what was computed together."""
        self._batch_requests.observe(batch.requests)
        self._batch_tokens.observe(batch.tokens)
        self._batch_seconds.observe(batch.seconds)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        content: bytes = generate_latest(self._registry)
        return content
