"""The server that is written first: a web framework around transformers' pipeline, a request at a time.

FastAPI where it is installed, else Starlette, on which FastAPI is built; both run such a function in a thread.

Usage: python benchmarks/serving_naive.py MODEL
"""

from __future__ import annotations

import json
import socket
import sys
from importlib.util import find_spec
from typing import Any

import uvicorn
from transformers import pipeline


def main() -> None:
    """Serve at a free port, which is printed to standard error."""
    classifier = pipeline("text-classification", model=sys.argv[1], device=-1)
    classifier("Ready?")
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print(f"http://127.0.0.1:{listener.getsockname()[1]}\n'ready'", file=sys.stderr, flush=True)
    app = fastapi_app(classifier) if find_spec("fastapi") else starlette_app(classifier)
    config = uvicorn.Config(app, log_level="warning", access_log=False)
    uvicorn.Server(config).run([listener])


def fastapi_app(classifier: Any) -> Any:
    """Return the application in FastAPI."""
    from fastapi import Body, FastAPI

    app = FastAPI()

    @app.post("/predict")
    def predict(body: dict[str, Any] = Body()) -> Any:  # noqa: B008 - FastAPI's way
        return classifier(body["inputs"], truncation=True)

    return app


def starlette_app(classifier: Any) -> Any:
    """Return the same in Starlette."""
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import Response
    from starlette.routing import Route

    async def predict(request: Any) -> Response:
        body = await request.json()
        answer = await run_in_threadpool(classifier, body["inputs"], truncation=True)
        return Response(json.dumps(answer), media_type="application/json")

    return Starlette(routes=[Route("/predict", predict, methods=["POST"])])


if __name__ == "__main__":
    main()
