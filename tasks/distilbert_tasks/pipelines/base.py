"""What all pipelines share: examples are read, tokenized, computed in packed batches, and decoded, in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter, signature
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from distilbert_common.errors import InputError, TokenizerError
from distilbert_tasks.engines import compiles_each_shape
from distilbert_tasks.pipelines.encoded import Encoded
from distilbert_tasks.pipelines.inputs import Form, read_examples
from distilbert_tasks.pipelines.runner import Outputs, Runner

__all__ = ["BATCH_SIZE", "TOKENS_PER_BATCH", "Pipeline", "TokenizerOptions"]

BATCH_SIZE = 512
TOKENS_PER_BATCH = 4096
"""So many tokens keep a CPU busy and fit its cache; more of them make no call faster."""


@dataclass(frozen=True, kw_only=True)
class TokenizerOptions:
    """The options of one call, of a task whose tokenizer may be told something.

    Attributes:
        tokenizer: What it is told.
    """

    tokenizer: Mapping[str, Any]


class Pipeline:
    """A model and a tokenizer that turn examples into answers, as transformers' pipelines do.

    A subclass says how examples become token lists (`_encode`) and how outputs become a result (`_decode`), and which
    options there are. A list gives a list; a generator, or another stream, gives an iterator that reads `batch_size`
    examples ahead, so that short and long texts are computed together, and yields in their order.

    Attributes:
        task: The name of the task.
        framework: "pt", "tf", "flax" or "onnx".
        model: The model.
        tokenizer: The tokenizer.
        batch_size: How many examples are read ahead; 1 gives each result as soon as it can be.
        tokens_per_batch: About how many tokens one call of the model computes.
    """

    task: ClassVar[str]
    head: ClassVar[str]
    """The end of the model's class name."""
    is_per_token: ClassVar[bool] = False
    """Whether the model gives outputs for each token."""
    too_long_advice: ClassVar[str] = "pass truncation=True, or shorten it"

    def __init__(
        self, engine: Any, tokenizer: Any, *, framework: str, batch_size: int | None = None,
        tokens_per_batch: int | None = None, **options: Any,
    ) -> None:  # fmt: skip
        """Use `pipeline`, which finds engine and tokenizer.

        Args:
            engine: The engine of a family, holding the model.
            tokenizer: A DistilBERT tokenizer.
            framework: "pt", "tf", "flax" or "onnx".
            batch_size: How many examples are read ahead; 512 by default.
            tokens_per_batch: About how many tokens one call of the model computes; 4,096 by default.
            **options: The options of calls that do not give them.
        """
        self.framework, self.model, self.tokenizer = framework, engine.model, tokenizer
        self.batch_size = _at_least_one("batch_size", BATCH_SIZE if batch_size is None else batch_size)
        self.config = engine.model.config
        tokens = TOKENS_PER_BATCH if tokens_per_batch is None else tokens_per_batch
        self.tokens_per_batch = self._token_budget(_at_least_one("tokens_per_batch", tokens))
        self._runner = Runner(
            engine,
            self.task,
            tokens_per_batch=self.tokens_per_batch,
            is_per_token=self.is_per_token,
            few_shapes=compiles_each_shape(framework),
        )
        self._defaults, self._known = options, known_options(self._parse)
        self.parse_options({})  # bad ones are refused here, and not by the first call

    def __call__(self, inputs: Any, **options: Any) -> Any:
        """Return the result of one example, or those of several.

        Args:
            inputs: An example, a list of them, a column of a data set, or a generator.
            **options: Those of the task, which replace the pipeline's own; `batch_size`.

        Raises:
            InputError: An example or an option cannot be used.
        """
        examples, form = read_examples(inputs)
        return self._run(examples, form, options)

    def predict(self, inputs: Any) -> Any:
        """Do as a call does: the name that scikit-learn has for it."""
        return self(inputs)

    def transform(self, inputs: Any) -> Any:
        """Do as a call does: the name that scikit-learn has for it."""
        return self(inputs)

    def save_pretrained(self, save_directory: str | Path, **options: Any) -> None:
        """Write model and tokenizer, from which `pipeline` makes such a one again; options are the model's."""
        self.model.save_pretrained(save_directory, **options)
        self.tokenizer.save_pretrained(save_directory)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(model={type(self.model).__name__}, framework={self.framework!r})"

    # A call in its steps, for those that compute the examples of several calls together, as a server does.

    def parse_options(self, options: Mapping[str, Any]) -> Any:
        """Return the options of a call, checked, with the pipeline's own where it does not give them.

        Raises:
            InputError: An option cannot be used.
            TypeError: There is no such option.
        """
        check_options(self._known, options)
        return self._parse(**{**self._defaults, **options})

    def encode(self, examples: Sequence[Any], options: Any) -> list[Encoded]:
        """Tokenize examples; any thread may do it.

        Args:
            examples: What a call takes a list of.
            options: What `parse_options` returned.

        Raises:
            InputError: An example cannot be used, or is too long.
        """
        try:
            encoded = self._encode(examples, options)
        except TokenizerError as error:
            raise InputError(f"{self.task}: {error}") from error
        self._check_lengths([tokens for one in encoded for tokens in one.token_lists])
        return encoded

    def compute(self, token_lists: Sequence[Sequence[int]]) -> list[Any]:
        """Return what decoding needs of the model's outputs for each token list; one thread at a time may do it."""
        return self._runner.run(token_lists, lambda index, outputs: self._read(token_lists[index], outputs))

    def decode(self, encoded: Encoded, outputs: Sequence[Any], options: Any) -> Any:
        """Return the result of one example; any thread may do it.

        Args:
            encoded: The example.
            outputs: What `compute` returned for its token lists.
            options: What `parse_options` returned.
        """
        return self._decode(encoded, outputs, options)

    # What a task says.

    def _parse(self, *args: Any, **options: Any) -> Any:
        """Return the options of a call, checked."""
        raise NotImplementedError

    def _encode(self, examples: Sequence[Any], options: Any) -> list[Encoded]:
        """Tokenize some examples."""
        raise NotImplementedError

    def _read(self, tokens: Sequence[int], outputs: Outputs) -> Any:
        """Return what decoding needs of the outputs of one token list, which are views of a batch's."""
        return {name: np.array(values) for name, values in outputs.items()}

    def _decode(self, encoded: Encoded, outputs: Sequence[Any], options: Any) -> Any:
        """Return the result of one example; `outputs` is what `_read` returned for each of its token lists."""
        raise NotImplementedError

    def _token_budget(self, tokens: int) -> int:
        """Return how many tokens one call may have; fewer where each has many outputs."""
        return tokens

    # What all do.

    def _run(self, examples: Iterable[Any], form: Form, options: Mapping[str, Any]) -> Any:
        """Return results in the form that examples came in."""
        task_options = dict(options)
        batch_size = task_options.pop("batch_size", None)
        task_options.pop("num_workers", None)  # texts are tokenized in threads of the tokenizer's own
        window = self.batch_size if batch_size is None else _at_least_one("batch_size", batch_size)
        results = self._stream(examples, window, self.parse_options(task_options))
        if form is Form.STREAM:
            return results
        return next(results) if form is Form.SINGLE else list(results)

    def _stream(self, examples: Iterable[Any], window: int, options: Any) -> Iterator[Any]:
        iterator = iter(examples)
        while batch := list(islice(iterator, window)):
            yield from self._results(batch, options)

    def _results(self, examples: Sequence[Any], options: Any) -> Iterator[Any]:
        """Yield the result of each example, all of them computed together."""
        encoded = self.encode(examples, options)
        outputs = iter(self.compute([tokens for one in encoded for tokens in one.token_lists]))
        for one in encoded:
            yield self.decode(one, list(islice(outputs, len(one.token_lists))), options)

    def _check_lengths(self, lists: Sequence[Sequence[int]]) -> None:
        longest, most = max(map(len, lists), default=0), self.config.max_position_embeddings
        if longest > most:
            raise InputError(
                f"an input is {longest} tokens long, and the model takes {most} (max_position_embeddings); "
                f"{self.too_long_advice}"
            )
        if not all(map(len, lists)):
            raise InputError("an input has no tokens; leave out empty texts, or let special tokens be added")


def known_options(parse: Callable[..., Any]) -> list[str] | None:
    """Return which options a task has: its parameters by name; None where it passes others on."""
    parameters = signature(parse).parameters.values()
    if any(one.kind is Parameter.VAR_KEYWORD for one in parameters):
        return None
    return [one.name for one in parameters if one.kind is Parameter.KEYWORD_ONLY]


def check_options(known: Sequence[str] | None, options: Mapping[str, Any]) -> None:
    """Require options that a task has; None for any.

    Raises:
        TypeError: There is no such option; the message names those that there are.
    """
    unknown = [] if known is None else [name for name in options if name not in known]
    if known is not None and unknown:
        raise TypeError(f"a call has no option {', '.join(unknown)}; it has {', '.join(known)}, batch_size")


def _at_least_one(name: str, number: Any) -> int:
    """Require a whole number of at least 1."""
    if not isinstance(number, (int, np.integer)) or isinstance(number, bool) or number < 1:
        raise InputError(f"{name} is {number!r}; expected a whole number of at least 1")
    return int(number)
