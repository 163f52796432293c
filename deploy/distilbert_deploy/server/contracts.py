"""The JSON of requests and answers: Hugging Face's inference API, and Vertex AI's instances and predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from distilbert_common.errors import InputError
from distilbert_deploy.server.schemas import check
from distilbert_deploy.server.tasks import MAX_LABELS, TaskContract

__all__ = ["Call", "Form", "answer", "read_call"]


class Form(Enum):
    """How examples came, and results go back."""

    SINGLE = "one example"
    LIST = "a list"
    INSTANCES = "instances"


@dataclass(frozen=True)
class Call:
    """A request, read.

    Attributes:
        examples: What the pipeline takes.
        parameters: Those of the request, checked.
        form: How results go back.
    """

    examples: Sequence[Any]
    parameters: Mapping[str, Any]
    form: Form


def read_call(body: Any, contract: TaskContract, max_items: int) -> Call:
    """Read the JSON of a request.

    Args:
        body: `{"inputs": …, "parameters": {…}}`, where inputs are one example or a list; `{"instances": […],
            "parameters": {…}}`; or the inputs alone.
        contract: What the task takes.
        max_items: How many examples there may be.

    Raises:
        InputError: It is none of these, or a value cannot be used.
    """
    values, form, parameters = _parts(body, contract)
    if not values:
        raise InputError("there is no example; give at least one")
    if len(values) > max_items:
        raise InputError(f"there are {len(values)} examples; send at most {max_items} at once")
    examples = [_example(value, contract, number) for number, value in enumerate(values)]
    return Call(examples, _checked_parameters(parameters, contract), form)


def answer(call: Call, results: Sequence[Any], is_wrapped: bool) -> Any:
    """Return the JSON of an answer.

    Args:
        call: The request.
        results: That of each example.
        is_wrapped: Whether the result of one example that is sent alone is in a list, as text classification has it.
    """
    if call.form is Form.INSTANCES:
        return {"predictions": list(results)}
    if call.form is Form.LIST:
        return list(results)
    return [results[0]] if is_wrapped and isinstance(results[0], dict) else results[0]


def _parts(body: Any, contract: TaskContract) -> tuple[Sequence[Any], Form, Any]:
    """Return examples, their form, and parameters."""
    if not isinstance(body, Mapping) or not {"inputs", "instances"} & set(body):
        return *_one_or_list(body), None
    if "inputs" in body and "instances" in body:
        raise InputError("the body has inputs and instances; send one of them")
    name = "instances" if "instances" in body else "inputs"
    unknown = sorted(set(body) - {name, "parameters", "options"})  # options are those of Hugging Face's own service
    if unknown:
        raise InputError(f"the body has {unknown[0]!r:.60}; expected {name} and parameters")
    if name == "inputs":
        return *_one_or_list(body["inputs"]), body.get("parameters")
    if not isinstance(body["instances"], list):
        raise InputError("instances are no list; send a list of examples")
    values = [_unwrapped(value, contract) for value in body["instances"]]
    return values, Form.INSTANCES, body.get("parameters")


def _one_or_list(value: Any) -> tuple[Sequence[Any], Form]:
    return (value, Form.LIST) if isinstance(value, list) else ([value], Form.SINGLE)


def _unwrapped(value: Any, contract: TaskContract) -> Any:
    """Return an instance without the object that some clients put around each."""
    is_wrapped = isinstance(value, Mapping) and set(value) == {"inputs"} and "inputs" not in contract.fields
    return value["inputs"] if is_wrapped else value


def _example(value: Any, contract: TaskContract, number: int) -> Any:
    """Return an example as the pipeline takes it.

    Raises:
        InputError: It has the wrong type, lacks a field or has one too many, or a text is empty or no Unicode.
    """
    name = f"example {number}"
    if isinstance(value, str) and contract.takes_text:
        return _text(value, name)
    fields = ", ".join(contract.fields)
    if not isinstance(value, Mapping):
        expected = f"a text, or an object with {fields}" if contract.takes_text else f"an object with {fields}"
        raise InputError(f"{name} is {_kind(value)}; expected {expected}")
    unknown = sorted(set(value) - set(contract.fields))
    if unknown:
        raise InputError(f'{name} has a field {unknown[0]!r:.60}; expected {fields}, or {{"inputs": …}} around all')
    for field in contract.required:
        if field not in value:
            raise InputError(f"{name} has no {field}; expected {fields}")
    return _record(value, contract, name)


def _record(value: Mapping[str, Any], contract: TaskContract, name: str) -> Any:
    record = {}
    for field, item in value.items():
        check(item, contract.fields[field], f"{name}, {field},")
        texts = item if isinstance(item, list) else [item]
        may_be_empty = field not in contract.required
        for text in texts:
            _text(text, f"{name}, {field},", may_be_empty)
        record[field] = item
    return record["text"] if set(record) == {"text"} else record


def _text(value: str, name: str, may_be_empty: bool = False) -> str:
    """Require a text that is not empty and can be written as UTF-8.

    Raises:
        InputError: It is empty, or holds half of a surrogate pair.
    """
    if not may_be_empty and not value.strip():
        raise InputError(f"{name} is empty; give a text")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InputError(
                f"{name} has half of a surrogate pair, which is no character; send valid Unicode"
            ) from None
    return value


def _checked_parameters(parameters: Any, contract: TaskContract) -> dict[str, Any]:
    """Return the parameters of a request.

    Raises:
        InputError: There is no such parameter, or its value cannot be used.
    """
    if parameters is None:
        return {}
    if not isinstance(parameters, Mapping):
        raise InputError(f"parameters are {_kind(parameters)}; expected an object")
    for name, value in parameters.items():
        if name not in contract.parameters:
            raise InputError(f"there is no parameter {name!r:.60}; expected {', '.join(contract.parameters)}")
        check(value, contract.parameters[name], name)
        for text in value if isinstance(value, list) else [value] * isinstance(value, str):
            _text(text, name)
    labels = parameters.get("candidate_labels")
    if isinstance(labels, str) and labels.count(",") >= MAX_LABELS:
        raise InputError(f"there are too many candidate_labels; give at most {MAX_LABELS}")
    _check_template(parameters.get("hypothesis_template", "{}"))
    return dict(parameters)


def _check_template(template: str) -> None:
    """Require that a template holds one pair of braces: others would be instructions of Python's `format`."""
    if template.count("{}") != 1 or any(brace in template.replace("{}", "") for brace in "{}"):
        raise InputError("hypothesis_template must have {} once, in the place of the label, and no other braces")


def _kind(value: Any) -> str:
    """Name the type of a JSON value."""
    names = {
        str: "a text",
        bool: "true or false",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "an object",
    }
    return names.get(type(value), "null")
