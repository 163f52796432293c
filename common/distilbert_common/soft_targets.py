"""What a teacher predicts, and the losses against it, as every family has them.

They are means of KL(teacher, student), both softened by a temperature. Each is times the temperature's square, so that
its gradients keep their size, and counts what the task's own loss does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

__all__ = ["ChunkedLosses", "Inputs", "ProjectedTargets", "SoftTargets", "TopTargets"]

Inputs = Mapping[str, Any]
"""The arguments of a model, by name."""


class SoftTargets(Protocol):
    """The module `soft_targets` of a family: `distilbert_pt.soft_targets` and its like.

    Student's and teacher's logits have one shape: (batch, num_labels), (batch, seq, num_labels) of tokens, or (batch,
    num_segments, num_labels) of packed rows, whose mask says which segments there are.
    """

    def has_segment(self, logits: Any, segment_ids: Any) -> Any:
        """Return the mask of packed rows, bool (batch, num_segments), of segment ids (batch, seq)."""

    def label_divergence(self, student_logits: Any, teacher_logits: Any, mask: Any | None, temperature: float) -> Any:
        """Return the mean divergence of labels each of which is there or not, where the mask is True: a scalar."""

    def class_divergence(
        self, student_logits: Any, teacher_logits: Any, labels: Any, mask: Any | None, temperature: float,
        class_weights: Sequence[float] | None,
    ) -> Any:  # fmt: skip
        """Return the mean divergence of classes, a scalar.

        Args:
            student_logits: (…, num_labels).
            teacher_logits: (…, num_labels).
            labels: (…) integers; -100 where nothing counts.
            mask: Where labels count; None for everywhere.
            temperature: What logits are divided by.
            class_weights: What each class counts, by the label; None for one each.
        """

    def position_divergence(self, student: Any, teacher: Any, inputs: Inputs, temperature: float) -> Any:
        """Return the mean of the divergences of start and end over the sequences, a scalar.

        Args:
            student: An output with `start_logits` and `end_logits` (batch, seq).
            teacher: Another one.
            inputs: The arguments of both; positions run over each segment, or over what the mask attends to.
            temperature: What logits are divided by.
        """

    def top_divergence(self, student_logits: Any, indices: Any, teacher_logits: Any, temperature: float) -> Any:
        """Return KL(teacher, student) of each token (batch, seq) on the support of the teacher's most likely tokens.

        The teacher's probability is divided among these tokens anew; the student's is that among all tokens. With all
        tokens among them it is `losses.kl_divergence`.

        Args:
            student_logits: (batch, seq, vocab).
            indices: (batch, seq, k) integers in the vocabulary.
            teacher_logits: (batch, seq, k), the teacher's logits of these.
            temperature: What logits are divided by.
        """


class ProjectedTargets(NamedTuple):
    """A teacher's predictions, by what it projects to the vocabulary.

    The families' own classes compare a chunk of them with a student's log probabilities (chunk, vocab). In Keras and
    Flax `compare` takes the chunk of each of `per_token`, and returns KL(teacher, student) of each token (chunk,), and
    the student's minus the teacher's probabilities (chunk, vocab).

    Attributes:
        x: (tokens, teacher's dim).
        weight: (vocab, teacher's dim).
        bias: (vocab,).
    """

    x: Any
    weight: Any
    bias: Any

    @property
    def per_token(self) -> tuple[Any, ...]:
        """What there is for each token: arrays (tokens, …)."""
        return (self.x,)


class TopTargets(NamedTuple):
    """A teacher's predictions, by the logits of its most likely tokens, among which its probability is divided.

    Attributes:
        indices: (tokens, k) integers in the vocabulary.
        logits: (tokens, k).
    """

    indices: Any
    logits: Any

    @property
    def per_token(self) -> tuple[Any, ...]:
        """What there is for each token: arrays (tokens, …)."""
        return self.indices, self.logits


class ChunkedLosses(NamedTuple):
    """What the chunked loss of masked LM returns: sums over tokens.

    Attributes:
        total: Of the divergences, and of the cross-entropies times their weight; the others have no gradients.
        divergence: Of KL(teacher, student) times the temperature's square.
        cross_entropy: Of the cross-entropies with labels.
    """

    total: Any
    divergence: Any
    cross_entropy: Any
