"""Zero-shot classification: labels that a model of entailment never saw, each as a hypothesis about the text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from distilbert_common.errors import InputError
from distilbert_common.user_warnings import warn_user
from distilbert_tasks.pipelines.base import Pipeline
from distilbert_tasks.pipelines.encoded import Encoded, token_lists
from distilbert_tasks.pipelines.inputs import require_text
from distilbert_tasks.pipelines.scores import Floats, softmax

__all__ = ["ZeroShotClassificationPipeline"]

TEMPLATE = "This example is {}."
_ADVICE = "a label or hypothesis is too long beside the text; shorten it"


@dataclass(frozen=True)
class ZeroShotOptions:
    """The options of one call.

    Attributes:
        labels: The labels to choose from.
        template: The hypothesis, with {} where the label stands.
        multi_label: Whether each label is judged for itself.
    """

    labels: tuple[str, ...] = ()
    template: str = TEMPLATE
    multi_label: bool = False


class ZeroShotClassificationPipeline(Pipeline):
    """Classifies texts by labels given in the call: `pipeline("zero-shot-classification")`.

    The model is a sequence classifier for entailment; its config names the label that begins with "entail".
    """

    task: ClassVar[str] = "zero-shot-classification"
    head: ClassVar[str] = "ForSequenceClassification"
    too_long_advice: ClassVar[str] = _ADVICE

    def __init__(self, engine: Any, tokenizer: Any, **options: Any) -> None:
        super().__init__(engine, tokenizer, **options)
        if self.entailment_id == -1:
            warn_user(
                f"no label of the model begins with 'entail' (they are {', '.join(self.config.label2id)}), so the last "
                "one counts as entailment; name the right one in config.label2id"
            )

    @property
    def entailment_id(self) -> int:
        """The class id of entailment; -1 where the config names none."""
        ids = (index for label, index in self.config.label2id.items() if str(label).lower().startswith("entail"))
        return next(ids, -1)

    def __call__(self, inputs: Any, candidate_labels: str | Iterable[str] | None = None, **options: Any) -> Any:
        """Classify texts.

        Args:
            inputs: A text, a list, a column or a generator.
            candidate_labels: The labels, as a list or with commas between.
            **options: `hypothesis_template`, by default "This example is {}."; `multi_label`, whether each label is
                judged for itself; `batch_size`.

        Returns:
            `{"sequence": …, "labels": […], "scores": […]}` for each text, the likeliest label first.

        Raises:
            InputError: There are no labels or no text, or the template has no {}.
        """
        if candidate_labels is not None:
            options["candidate_labels"] = candidate_labels
        return super().__call__(inputs, **options)

    def _parse(
        self,
        *,
        candidate_labels: str | Iterable[str] = (),
        hypothesis_template: str = TEMPLATE,
        multi_label: bool = False,
        multi_class: bool | None = None,
    ) -> ZeroShotOptions:
        if isinstance(candidate_labels, str):
            candidate_labels = [label.strip() for label in candidate_labels.split(",") if label.strip()]
        if multi_class is not None:
            warn_user("multi_class is deprecated; pass multi_label", FutureWarning)
            multi_label = multi_class
        labels = tuple(candidate_labels)
        if labels and hypothesis_template.format(labels[0]) == hypothesis_template:
            raise InputError(
                f"hypothesis_template is {hypothesis_template!r}, which has no place for a label; put {{}} into it"
            )
        return ZeroShotOptions(labels, hypothesis_template, multi_label)

    def _encode(self, examples: Sequence[Any], options: ZeroShotOptions) -> list[Encoded]:
        texts = [require_text(example, "an example") for example in examples]
        if not options.labels or not all(texts):
            missing = "candidate_labels" if not options.labels else "the text"
            raise InputError(f"{missing} is empty; give at least one label, and texts that are not empty")
        hypotheses = [options.template.format(label) for label in options.labels]
        pairs = [[text, hypothesis] for text in texts for hypothesis in hypotheses]
        lists, count = token_lists(self.tokenizer(pairs, truncation="only_first")), len(hypotheses)
        return [Encoded(lists[i * count : (i + 1) * count], text) for i, text in enumerate(texts)]

    def _decode(self, encoded: Encoded, outputs: Sequence[Any], options: ZeroShotOptions) -> dict[str, Any]:
        logits = np.stack([output["logits"] for output in outputs])  # (labels, classes)
        scores = self._scores(logits, options.multi_label)
        order = np.argsort(scores)[::-1]
        return {
            "sequence": encoded.details,
            "labels": [options.labels[index] for index in order],
            "scores": scores[order].tolist(),
        }

    def _scores(self, logits: Floats, multi_label: bool) -> Floats:
        """(labels, classes) -> (labels,): of entailment among all labels, or against contradiction for each."""
        entailment = self.entailment_id
        if multi_label or len(logits) == 1:
            contradiction = -1 if entailment == 0 else 0
            return softmax(logits[:, [contradiction, entailment]])[:, 1]
        return softmax(logits[:, entailment])
