"""The description of a server in OpenAPI 3.1, made of the same schemas that requests are checked by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from distilbert_deploy.server.failures import ERROR_TYPES
from distilbert_deploy.server.formats import CSV, LINES, NPY, WRITERS
from distilbert_deploy.server.settings import Settings
from distilbert_deploy.server.tasks import TaskContract

__all__ = ["openapi"]

_SENTENCES = {
    400: "The body is empty, no UTF-8 or no JSON.",
    401: "The token is missing or wrong.",
    408: "The body came too slowly.",
    413: "The body, or what it asks for, is too much for one request.",
    415: "The body is of no type that is read, or compressed otherwise than by gzip.",
    422: "An example or a parameter cannot be used.",
    429: "Too many requests wait; Retry-After says when to come again.",
    500: "The server failed.",
    503: "No model is ready, the worker that had the request died, or the server is about to stop.",
    504: "The answer took too long.",
}
_OTHER_TYPES = {
    LINES: "An example on each line.",
    CSV: "An example in each row, under a header with the names of its fields; inputs for a text alone.",
    NPY: "An array of texts, as numpy.save writes it.",
}


def openapi(
    contract: TaskContract, facts: Mapping[str, Any], predict_paths: Sequence[str], settings: Settings
) -> dict[str, Any]:
    """Return the description.

    Args:
        contract: What requests of the task hold.
        facts: Those of the model.
        predict_paths: Where predictions are.
        settings: Those of the server.
    """
    secured: dict[str, Any] = {"security": [{"bearer": []}]} if settings.token else {}
    schemas = {"Error": _error_schema(), "Example": dict(contract.example_schema)}
    components: dict[str, Any] = {"schemas": schemas}
    if settings.token:
        components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    paths: dict[str, Any] = {path: {"post": _predict(contract, settings) | secured} for path in predict_paths}
    paths |= {
        "/health": {"get": _plain("Whether the process answers.")},
        "/ready": {"get": _plain("Whether requests are taken: 200, or 503.")},
        "/ping": {"get": _plain("The same, for SageMaker.")},
        "/info": {"get": _plain("The model and the settings.") | secured},
        "/metrics": {"get": _plain("Metrics for Prometheus.") | secured},
    }
    title = f"{facts['model']}: {facts['task']}"
    info = {"title": title, "version": "1", "description": f"Each result is {contract.result}."}
    return {"openapi": "3.1.0", "info": info, "paths": paths, "components": components}


def _predict(contract: TaskContract, settings: Settings) -> dict[str, Any]:
    example = {"$ref": "#/components/schemas/Example"}
    example_list = {"type": "array", "items": example, "minItems": 1, "maxItems": settings.max_items}
    parameters = {"type": "object", "properties": dict(contract.parameters), "additionalProperties": False}
    hugging_face = _object({"inputs": {"oneOf": [example, example_list]}, "parameters": parameters}, "inputs")
    vertex = _object({"instances": example_list, "parameters": parameters}, "instances")
    sample: dict[str, Any] = {"inputs": contract.sample}
    if contract.sample_parameters:
        sample["parameters"] = dict(contract.sample_parameters)
    content: dict[str, Any] = {"application/json": {"schema": {"oneOf": [hugging_face, vertex]}, "example": sample}}
    for kind, sentence in _OTHER_TYPES.items():
        content[kind] = {"schema": {"type": "string", "description": sentence}}
    statuses = {str(status): _failure(text) for status, text in _SENTENCES.items() if status in ERROR_TYPES}
    result = {
        "description": f"The result of each example: {contract.result}.",
        "content": {kind: {} for kind in WRITERS},
    }
    return {
        "summary": "Predict: one example, or several.",
        "requestBody": {"required": True, "content": content},
        "responses": {"200": result, **statuses},
    }


def _object(properties: Mapping[str, Any], required: str) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "required": [required]}


def _failure(text: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Error"}
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def _plain(summary: str) -> dict[str, Any]:
    return {"summary": summary, "responses": {"200": {"description": "Yes."}}}


def _error_schema() -> dict[str, Any]:
    kinds = {"type": "string", "enum": sorted(set(ERROR_TYPES.values()))}
    properties = {"error": {"type": "string"}, "error_type": kinds}
    return {"type": "object", "properties": properties, "required": ["error", "error_type"]}
