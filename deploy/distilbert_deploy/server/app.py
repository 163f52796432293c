"""The application: the routes of every contract, behind the guard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from distilbert_deploy.server.bodies import check_headers, read_body
from distilbert_deploy.server.failures import RequestFailure
from distilbert_deploy.server.formats import Payload
from distilbert_deploy.server.guard import Guard
from distilbert_deploy.server.lifecycle import Lifecycle, State
from distilbert_deploy.server.loading import load_model
from distilbert_deploy.server.local import LocalPredictor
from distilbert_deploy.server.logs import log_ready
from distilbert_deploy.server.metrics import Metrics
from distilbert_deploy.server.model import ServedModel
from distilbert_deploy.server.openapi import openapi
from distilbert_deploy.server.pages import page_response
from distilbert_deploy.server.pool import WorkerPool
from distilbert_deploy.server.service import Predictor, Service
from distilbert_deploy.server.settings import Settings
from distilbert_deploy.server.tasks import CONTRACTS

__all__ = ["Application", "create_app"]

HEALTH, READINESS, PREDICT = ("/health",), ("/ready", "/ping"), ("/predict", "/invocations")


@dataclass
class Application:
    """A server without its socket: an ASGI application, and what the process around it needs to know.

    Attributes:
        settings: What it was told.
        lifecycle: Where it stands.
        metrics: What it counts.
        load: Returns the model, where it is in this process.
        service: What answers requests; None until the model is loaded.
        asgi: The application.
    """

    settings: Settings
    lifecycle: Lifecycle
    metrics: Metrics
    load: Callable[[Settings], ServedModel]
    service: Service | None = None

    def __post_init__(self) -> None:
        self.metrics.watch(lambda: self.lifecycle.accepted, lambda: self.ready_workers)
        routes = self._routes()
        self.asgi: ASGIApp = Guard(
            Router(routes, redirect_slashes=False, default=_not_found, lifespan=self._lifespan),
            lifecycle=self.lifecycle,
            metrics=self.metrics,
            routes={route.path for route in routes},
            open_routes={*HEALTH, *READINESS, *self._extra(self.settings.health_route)},
            token=self.settings.token,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self.asgi(scope, receive, send)

    def _routes(self) -> list[Route]:
        settings = self.settings
        ready = (*READINESS, *self._extra(settings.health_route))
        predict = (*PREDICT, *self._extra(settings.predict_route))
        routes = [Route(path, self._health) for path in HEALTH]
        routes += [Route(path, self._ready) for path in dict.fromkeys(ready) if path not in HEALTH]
        routes += [Route(path, self._predict, methods=["POST"]) for path in dict.fromkeys(predict)]
        routes += [
            Route("/metrics", self._metrics_text),
            Route("/info", self._info),
            Route("/openapi.json", self._openapi),
            Route("/execution-parameters", self._execution_parameters),
        ]
        if settings.page:
            routes += [Route("/", page_response("page.html")), Route("/docs", page_response("docs.html"))]
        return routes

    @staticmethod
    def _extra(path: str) -> tuple[str, ...]:
        return (path,) if path else ()

    @asynccontextmanager
    async def _lifespan(self, app: Any) -> AsyncIterator[None]:
        """Load the model before requests are taken, and let go of it after the last one."""
        predictor = await (self._start_workers() if self.settings.workers > 1 else self._load())
        self.service = Service(predictor, self.settings, self.lifecycle, self.metrics)
        self.lifecycle.state = State.READY
        try:
            yield
        finally:
            self.lifecycle.state = State.CLOSING
            await predictor.close()

    async def _load(self) -> Predictor:
        """Return the model, in this process."""
        model = await asyncio.get_running_loop().run_in_executor(None, self.load, self.settings)
        log_ready(model.facts)
        return LocalPredictor(model, self.metrics.batch)

    async def _start_workers(self) -> Predictor:
        """Return workers, of which one is ready or none can be."""
        pool = WorkerPool(self.settings, self.metrics.batch)
        await pool.start()
        return pool

    @property
    def ready_workers(self) -> int:
        """How many models take requests."""
        return self.service.predictor.ready_workers if self.service is not None and self.lifecycle.is_ready else 0

    @property
    def failed(self) -> bool:
        """Whether workers cannot start, so that the server has to stop."""
        return self.service is not None and self.service.predictor.failed

    async def _health(self, request: Request) -> Response:
        """Live: the event loop answers."""
        return JSONResponse({"status": self.lifecycle.state.value})

    async def _ready(self, request: Request) -> Response:
        """Ready: requests are taken. SageMaker expects an empty body."""
        return Response(status_code=200 if self.ready_workers else 503)

    async def _predict(self, request: Request) -> Response:
        settings, record, headers = self.settings, request.scope["record"], request.headers
        self.lifecycle.check_open()
        if self.service is None:
            raise RequestFailure(503, "the model is being loaded; try again")
        kind, accept = check_headers(headers, settings.max_body)
        with self.lifecycle.reserving() as reserve:
            body = await read_body(request.receive, headers, reserve, settings.max_body, settings.body_timeout)
            content = await self.service.predict(Payload(body, kind, accept), request.receive, record, reserve)
        return Response(content, headers={"content-type": accept})

    async def _metrics_text(self, request: Request) -> Response:
        return Response(self.metrics.text(), headers={"content-type": self.metrics.content_type})

    async def _info(self, request: Request) -> Response:
        facts = self.service.predictor.facts if self.service is not None else {}
        hidden = {"model", "task", "backend", "max_length"}
        return JSONResponse({**facts, "settings": {k: v for k, v in self.settings.shown.items() if k not in hidden}})

    async def _openapi(self, request: Request) -> Response:
        if self.service is None:
            raise RequestFailure(503, "the model is being loaded; try again")
        paths = (*PREDICT, *self._extra(self.settings.predict_route))
        facts = self.service.predictor.facts
        return JSONResponse(openapi(CONTRACTS[facts["task"]], facts, paths, self.settings))

    async def _execution_parameters(self, request: Request) -> Response:
        """What SageMaker's batch transform asks."""
        return JSONResponse(
            {
                "MaxConcurrentTransforms": min(self.settings.max_queue, 32),
                "BatchStrategy": "SINGLE_RECORD",
                "MaxPayloadInMB": max(1, self.settings.max_body // 1_000_000),
            }
        )


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    raise RequestFailure(404, "there is nothing at this path; /docs and /openapi.json say what there is")


def create_app(settings: Settings, load: Callable[[Settings], ServedModel] = load_model) -> Application:
    """Return the application of a server; its lifespan loads the model, or starts the workers.

    Args:
        settings: What the server is told.
        load: Returns the model, where it is in this process.
    """
    lifecycle = Lifecycle(settings.max_queue * settings.workers, settings.max_held)
    return Application(settings, lifecycle, Metrics(), load)
