"""What `compile`, labels and sample weights say of each output: every form that Keras documents, brought into one.

That form is an ordered dict by output name. A model with one output takes and gives the value itself.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from distilbert_common.errors import InputError

__all__ = ["Outputs", "PerOutput"]

OWN_LOSS = ("auto", "auto_with_warning", "passthrough")
"""What transformers' `compile` called the model's own loss."""

PerOutput = OrderedDict[str, Any]


class Outputs:
    """The outputs that a loss takes, and the labels that belong to them.

    Args:
        names: The names of the outputs, such as "start_logits".
        label_names: The names of the arguments with their labels, such as "start_positions"; none for the bare model.
        with_loss: The names of those that the loss takes; all when None.
        token_labels: Whether labels are one for each token.
    """

    def __init__(
        self,
        names: Sequence[str],
        label_names: Sequence[str],
        with_loss: Sequence[str] | None = None,
        token_labels: bool = False,
    ) -> None:
        self.names, self.with_loss, self.token_labels = tuple(names), tuple(with_loss or names), token_labels
        self.aliases = {**dict(zip(label_names, names, strict=False)), **{name: name for name in names}}

    def renamed(self, values: Mapping[str, Any], what: str) -> PerOutput:
        """Return values by output name, in the outputs' order, of a mapping by output or by label name.

        Raises:
            InputError: A name is neither.
        """
        unknown = [name for name in values if name not in self.aliases]
        if unknown:
            expected = ", ".join(self.aliases)
            raise InputError(f"{what} names {unknown[0]!r}; expected some of {expected}")
        by_name = {self.aliases[name]: value for name, value in values.items()}
        return OrderedDict((name, by_name[name]) for name in self.names if name in by_name)

    def losses(self, loss: Any) -> Any:
        """Return the losses that there are, by output; None for the model's own loss."""
        if loss is None or (isinstance(loss, str) and loss in OWN_LOSS):
            return None
        if isinstance(loss, Mapping):
            loss = self.renamed(loss, "loss")
        elif isinstance(loss, (list, tuple)):
            loss = self.listed(loss if len(loss) > 1 else loss * len(self.names), "loss")
        else:
            loss = self.listed([loss] * len(self.names), "loss")
        loss = OrderedDict((name, value) for name, value in loss.items() if value is not None)
        if not loss:
            raise InputError("loss is None for every output; leave it out for the model's own loss")
        return loss if len(self.names) > 1 else next(iter(loss.values()))

    def loss_weights(self, weights: Any, losses: Any) -> Any:
        """Return the weight of each of the losses; 1 for one that is not named."""
        if weights is None or losses is None:
            return None
        if isinstance(weights, Mapping):
            weights = self.renamed(weights, "loss_weights")
        elif isinstance(weights, (list, tuple)):
            weights = self.listed(weights, "loss_weights")
        else:
            weights = self.listed([weights] * len(self.names), "loss_weights")
        if len(self.names) == 1:
            return weights.get(self.names[0], 1.0)
        return OrderedDict((name, weights.get(name, 1.0)) for name in losses)

    def metrics(self, metrics: Any) -> Any:
        """Return a list of metrics for each output that has some; a single metric, or a plain list, is for all."""
        if metrics is None:
            return None
        if isinstance(metrics, Mapping):
            metrics = self.renamed(metrics, "metrics")
        elif len(self.names) > 1 and is_per_output(metrics, len(self.names)):
            metrics = self.listed(metrics, "metrics")
        else:
            metrics = OrderedDict(
                (name, [copied(metric, i) for metric in as_list(metrics)]) for i, name in enumerate(self.names)
            )
        metrics = OrderedDict((name, as_list(of)) for name, of in metrics.items() if of)
        return metrics if len(self.names) > 1 else metrics.get(self.names[0], [])

    def listed(self, values: Sequence[Any], what: str) -> PerOutput:
        """Return values by output name of a list with one for each output.

        Raises:
            InputError: There are more or fewer.
        """
        if len(values) != len(self.names):
            raise InputError(f"{what} has {len(values)} entries; expected one for each of {', '.join(self.names)}")
        return OrderedDict(zip(self.names, values, strict=True))

    def values(self, values: Any, what: str) -> PerOutput:
        """Return labels, logits or weights by output name.

        Args:
            values: A mapping by output or label name; a list with one value for each output, or for each that the loss
                takes; or the value of the only output.
            what: What the values are, for a message.
        """
        if isinstance(values, Mapping):
            return self.renamed(values, what)
        if len(self.names) == 1:
            alone = isinstance(values, (list, tuple)) and len(values) == 1
            return OrderedDict([(self.names[0], values[0] if alone else values)])
        values = values if isinstance(values, (list, tuple)) else (values,)
        if len(values) == len(self.with_loss):
            return OrderedDict(zip(self.with_loss, values, strict=True))
        return self.listed(values, what)


def is_per_output(metrics: Any, outputs: int) -> bool:
    """Whether metrics are a list with an entry for each output, by Keras' rule: a list of that length."""
    return isinstance(metrics, (list, tuple)) and len(metrics) == outputs


def as_list(values: Any) -> list[Any]:
    """Return a list of one value, or of several."""
    return list(values) if isinstance(values, (list, tuple)) else [values]


def copied(metric: Any, number: int) -> Any:
    """Return a metric for one more output: the object itself for the first, a copy without its counts for others."""
    again = number > 0 and isinstance(metric, keras.metrics.Metric)
    return type(metric).from_config(metric.get_config()) if again else metric
