"""The model behind the server: a request to token lists, token lists to outputs, outputs to the JSON of an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distilbert_common.errors import InputError
from distilbert_deploy.server.contracts import Call, answer, read_call
from distilbert_deploy.server.costs import check_cost, check_outputs
from distilbert_deploy.server.failures import RequestFailure
from distilbert_deploy.server.formats import READERS, WRITERS, Payload
from distilbert_deploy.server.options import pipeline_options
from distilbert_deploy.server.settings import Settings
from distilbert_deploy.server.tasks import CONTRACTS
from distilbert_tasks.pipelines import Pipeline
from distilbert_tasks.pipelines.encoded import Encoded

__all__ = ["Prepared", "ServedModel"]


@dataclass(frozen=True)
class Prepared:
    """A request, ready to be computed.

    Attributes:
        call: The request.
        options: What the pipeline's decoding is told.
        accept: The content type of its answer.
        encoded: Its examples, tokenized.
        token_lists: What the model sees of them.
    """

    call: Call
    options: Any
    accept: str
    encoded: Sequence[Encoded]
    token_lists: Sequence[Sequence[int]]

    @property
    def tokens(self) -> int:
        """How many tokens the model computes for it."""
        return sum(map(len, self.token_lists))


class ServedModel:
    """A pipeline in the steps that a server takes: `prepare` and `write_answer` in any thread, `compute` in one.

    Attributes:
        pipeline: The pipeline.
        settings: Those of the server.
        contract: What requests of the task hold.
        max_length: How many tokens of an example are read.
    """

    def __init__(self, pipeline: Pipeline, settings: Settings) -> None:
        self.pipeline, self.settings = pipeline, settings
        self.contract = CONTRACTS[pipeline.task]
        positions = int(pipeline.config.max_position_embeddings)
        self.max_length = min(positions, pipeline.tokenizer.model_max_length, settings.max_length or positions)
        pipeline.tokenizer.model_max_length = self.max_length
        pipeline.tokenizer(["Ready."])  # what is built at the first call is built here, and not by two threads at once

    def prepare(self, payload: Payload) -> Prepared:
        """Read and tokenize a request.

        Args:
            payload: Its body.

        Raises:
            InputError: An example or a parameter cannot be used.
            RequestFailure: It is not of its type, or too much for one request.
        """
        most = self.settings.max_items
        call = read_call(READERS[payload.kind](payload.body, self.contract, most), self.contract, most)
        task, settings = self.pipeline.task, self.settings
        pipeline_settings = pipeline_options(task, call.parameters, self.max_length, settings.truncate)
        check_cost(task, call.examples, pipeline_settings, self.max_length, settings.max_tokens)
        options = self.pipeline.parse_options(pipeline_settings)
        encoded = self.pipeline.encode(call.examples, options)
        prepared = Prepared(
            call, options, payload.accept, encoded, [tokens for one in encoded for tokens in one.token_lists]
        )
        self._check(prepared, pipeline_settings)
        return prepared

    def _check(self, prepared: Prepared, pipeline_settings: Mapping[str, Any]) -> None:
        """Require that no example is too long, and that all together are not too much."""
        longest = max(map(len, prepared.token_lists))
        if longest > self.max_length:
            raise InputError(
                f"an example is {longest} tokens long, and {self.max_length} are read; shorten it, or send "
                '"parameters": {"truncation": true}'
            )
        if prepared.tokens > self.settings.max_tokens:
            raise RequestFailure(
                413,
                f"the request makes {prepared.tokens} tokens; one may have {self.settings.max_tokens}: send fewer or "
                "shorter examples at once",
            )
        check_outputs(self.pipeline, prepared.token_lists, pipeline_settings)

    def compute(self, token_lists: Sequence[Sequence[int]]) -> list[Any]:
        """Return the model's outputs for token lists, packed into batches."""
        return self.pipeline.compute(token_lists)

    def write_answer(self, prepared: Prepared, outputs: Sequence[Any]) -> bytes:
        """Return the answer to a request from the outputs for its token lists."""
        results, start = [], 0
        for one in prepared.encoded:
            end = start + len(one.token_lists)
            results.append(self.pipeline.decode(one, outputs[start:end], prepared.options))
            start = end
        is_wrapped = self.pipeline.task == "text-classification"
        return WRITERS[prepared.accept](answer(prepared.call, results, is_wrapped), results)

    @property
    def facts(self) -> dict[str, Any]:
        """What `/info` tells of the model."""
        config, pipeline = self.pipeline.config, self.pipeline
        return {
            "model": self.settings.model,
            "task": pipeline.task,
            "backend": pipeline.framework,
            "class": type(pipeline.model).__name__,
            "labels": [config.id2label[index] for index in range(config.num_labels)]
            if _has_labels(pipeline.task)
            else None,
            "max_length": self.max_length,
            "dim": int(config.dim),
            "layers": int(config.n_layers),
            "vocab_size": int(config.vocab_size),
        }


def _has_labels(task: str) -> bool:
    return task in ("text-classification", "token-classification")
