"""Scores of masked language modeling."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from distilbert_common.constants import IGNORE_INDEX
from distilbert_common.errors import InputError
from distilbert_tasks.metrics.losses import label_losses
from distilbert_tasks.metrics.scores import Scores, check_finite

__all__ = ["masked_token_scores", "score_masked_tokens"]


def masked_token_scores(logits: ArrayLike, labels: ArrayLike) -> dict[str, Any]:
    """Add up what the scores of a batch depend on, so that its logits need not be kept.

    Args:
        logits: (…, vocab).
        labels: (…,) the ids of the masked tokens, -100 elsewhere.

    Returns:
        `loss`, `correct` and `tokens`, each a sum over the masked tokens, and `predicted`, the likeliest token at each
        of them, (masked,).
    """
    ids = np.asarray(labels)
    masked = ids != IGNORE_INDEX
    scores, ids = np.asarray(logits)[masked], ids[masked]  # (masked, vocab), (masked,)
    check_finite("logits", scores)
    predicted = scores.argmax(axis=-1)  # (masked,)
    return {
        "loss": float(label_losses(scores, ids).sum()),
        "correct": float((predicted == ids).sum()),
        "tokens": float(len(ids)),
        "predicted": predicted,
    }


def score_masked_tokens(loss: ArrayLike, tokens: ArrayLike, correct: ArrayLike | None = None) -> Scores:
    """Score masked tokens, all weighted alike.

    Args:
        loss: The sums of the loss, one of each batch or row.
        tokens: As many numbers of masked tokens.
        correct: As many numbers of tokens predicted rightly.

    Returns:
        The mean loss, its exponential (`perplexity`), and the share predicted rightly (`accuracy`).

    Raises:
        InputError: No token is masked.
    """
    total = float(np.sum(tokens))
    if not total:
        raise InputError("no token is masked, which leaves nothing to score; give more text, or mask more of it")
    mean = float(np.sum(loss)) / total
    metrics = {"loss": mean, "perplexity": float(np.exp(mean))}
    return Scores(metrics if correct is None else {**metrics, "accuracy": float(np.sum(correct)) / total})
