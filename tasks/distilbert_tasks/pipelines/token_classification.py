"""Token classification: the entities of a text, by token, by word or in groups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from distilbert_common.errors import InputError
from distilbert_common.user_warnings import warn_user
from distilbert_tasks.pipelines.base import Pipeline
from distilbert_tasks.pipelines.encoded import Encoded
from distilbert_tasks.pipelines.entities import STRATEGIES, Entity, Token, entities_of, without_overlaps
from distilbert_tasks.pipelines.inputs import Form, read_examples, require_text
from distilbert_tasks.pipelines.scores import Floats, softmax

__all__ = ["TokenClassificationPipeline"]


@dataclass(frozen=True)
class TokenClassificationOptions:
    """The options of one call.

    Attributes:
        strategy: One of `STRATEGIES`.
        ignore_labels: Labels whose entities are left out.
        stride: How many tokens the windows of a long text share; None cuts the text off.
        delimiter: What stands between words, where examples are lists of words; None where they are texts.
    """

    strategy: str = "none"
    ignore_labels: tuple[str, ...] = ("O",)
    stride: int | None = None
    delimiter: str | None = None


@dataclass(frozen=True)
class Window:
    """A part of a text that the model sees at once.

    Attributes:
        ids: Its tokens.
        offsets: Start and end of each in the text.
        is_special: 1 for tokens that are not of the text.
    """

    ids: Sequence[int]
    offsets: Sequence[tuple[int, int]]
    is_special: Sequence[int]


class TokenClassificationPipeline(Pipeline):
    """Labels tokens: `pipeline("token-classification")`, also called "ner"."""

    task: ClassVar[str] = "token-classification"
    head: ClassVar[str] = "ForTokenClassification"
    is_per_token: ClassVar[bool] = True

    def __call__(self, inputs: Any, **options: Any) -> Any:
        """Find the entities of texts.

        Args:
            inputs: A text, a list, a column or a generator; lists of words with `is_split_into_words=True`.
            **options: `aggregation_strategy`, "none" for tokens as they are, "simple" to join those of one kind,
                "first", "average" or "max" to label whole words first; `ignore_labels`, by default ["O"]; `stride`, how
                many tokens the windows of a long text share, which is cut off otherwise; `is_split_into_words` and
                `delimiter`, what stands between words, by default a space; `batch_size`.

        Returns:
            For each text a list of entities: `{"entity": …, "score": …, "index": …, "word": …, "start": …, "end": …}`
            with "none", else `entity_group` in place of `entity` and no index.

        Raises:
            InputError: An example or an option cannot be used.
        """
        if isinstance(inputs, (list, tuple)) and not inputs:
            raise InputError("there is no text; give at least one")
        if options.get("is_split_into_words", self._defaults.get("is_split_into_words")):
            is_one_sentence = isinstance(inputs, (list, tuple)) and not all(
                isinstance(one, (list, tuple)) for one in inputs
            )
            if is_one_sentence:
                return self._run([inputs], Form.LIST, options)
            return self._run(*read_examples(inputs), options)
        return super().__call__(inputs, **options)

    def _parse(
        self,
        *,
        aggregation_strategy: str | None = None,
        ignore_labels: Iterable[str] = ("O",),
        stride: int | None = None,
        is_split_into_words: bool = False,
        delimiter: str | None = None,
        grouped_entities: bool | None = None,
        ignore_subwords: bool | None = None,
    ) -> TokenClassificationOptions:
        if grouped_entities is not None or ignore_subwords is not None:
            aggregation_strategy = _replaced_strategy(bool(grouped_entities), bool(ignore_subwords))
        strategy = (aggregation_strategy or "none").lower()
        if strategy not in STRATEGIES:
            expected = ", ".join(STRATEGIES)
            raise InputError(f"aggregation_strategy is {aggregation_strategy!r}; expected one of {expected}")
        if stride is not None and aggregation_strategy is not None and strategy == "none":
            raise InputError("stride joins the entities of windows, and aggregation_strategy is 'none'; choose another")
        window = self.tokenizer.model_max_length
        if stride is not None and stride >= window:
            raise InputError(f"stride is {stride}; expected less than the {window} tokens of a window")
        between = (" " if delimiter is None else delimiter) if is_split_into_words else None
        return TokenClassificationOptions(strategy, tuple(ignore_labels), stride, between)

    def _encode(self, examples: Sequence[Any], options: TokenClassificationOptions) -> list[Encoded]:
        splits = options.delimiter is not None
        texts = [_words(example) if splits else require_text(example, "an example") for example in examples]
        overflow = {} if options.stride is None else {"return_overflowing_tokens": True, "stride": options.stride}
        batch = self.tokenizer(
            texts, truncation=True, is_split_into_words=splits, return_offsets_mapping=True,
            return_special_tokens_mask=True, **overflow,
        )  # fmt: skip
        windows: list[list[Window]] = [[] for _ in texts]
        for row, example in enumerate(batch.get("overflow_to_sample_mapping", range(len(texts)))):
            offsets = batch["offset_mapping"][row]
            if options.delimiter is not None:
                offsets = _in_sentence(offsets, batch.word_ids(row), texts[example], options.delimiter)
            windows[example].append(Window(batch["input_ids"][row], offsets, batch["special_tokens_mask"][row]))
        sentences = texts if options.delimiter is None else [options.delimiter.join(words) for words in texts]
        by_sentence = zip(sentences, windows, strict=True)
        return [
            Encoded([window.ids for window in text_windows], (sentence, text_windows))
            for sentence, text_windows in by_sentence
        ]

    def _decode(self, encoded: Encoded, outputs: Sequence[Any], options: TokenClassificationOptions) -> list[Entity]:
        sentence, windows = encoded.details
        labels, join = self.config.id2label, self.tokenizer.convert_tokens_to_string
        entities: list[Entity] = []
        for window, output in zip(windows, outputs, strict=True):
            tokens = self._tokens(window, softmax(output["logits"]), sentence)
            for entity in entities_of(tokens, options.strategy, labels, join):
                if entity.get("entity", entity.get("entity_group")) not in options.ignore_labels:
                    entities.append(entity)
        return without_overlaps(entities) if len(windows) > 1 else entities

    def _tokens(self, window: Window, scores: Floats, sentence: str) -> list[Token]:
        """Return the tokens of a window that are of the text."""
        tokens = []
        pieces = self.tokenizer.convert_ids_to_tokens(window.ids)
        for index, (piece, (start, end)) in enumerate(zip(pieces, window.offsets, strict=True)):
            if window.is_special[index]:
                continue
            text = sentence[start:end]
            continues = len(piece) != len(text)  # a piece that goes on with a word has a prefix
            if window.ids[index] == self.tokenizer.unk_token_id:
                piece, continues = text, False
            tokens.append(Token(piece, scores[index], start, end, index, continues))
        return tokens


def _replaced_strategy(grouped_entities: bool, ignore_subwords: bool) -> str:
    """Return the strategy that two older options stand for; it is said that they are old."""
    strategy = ("first" if ignore_subwords else "simple") if grouped_entities else "none"
    message = f"grouped_entities and ignore_subwords are deprecated; pass aggregation_strategy={strategy!r}"
    warn_user(message, FutureWarning)
    return strategy


def _words(example: Any) -> list[str]:
    """Require a list of words."""
    if not isinstance(example, (list, tuple)):
        raise InputError(f"an example is {example!r:.80}; with is_split_into_words=True, expected a list of words")
    return [require_text(word, "a word") for word in example]


def _in_sentence(
    offsets: Sequence[tuple[int, int]], word_ids: Sequence[int | None], words: Sequence[str], delimiter: str
) -> list[tuple[int, int]]:
    """Return offsets in words as offsets in the sentence that the words are joined to."""
    starts = [0]
    for word in words:
        starts.append(starts[-1] + len(word) + len(delimiter))
    shifts = (0 if word is None else starts[word] for word in word_ids)
    return [(start + shift, end + shift) for (start, end), shift in zip(offsets, shifts, strict=True)]
