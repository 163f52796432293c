"""The method of DistilBERT's authors as it was published (Sanh et al., arXiv 1910.01108), in transformers' classes.

Batches of five rows of about one length, padded; dynamic masking by token counts; logits of both models over the whole
vocabulary at every token that is no padding; gradients summed over the batches of a step; clipping, and AdamW.
"""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"

import random
from collections.abc import Iterator
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from transformers import DistilBertForMaskedLM

__all__ = ["OriginalDistillation"]

ROWS, BIN = 5, 4
"""Rows in a batch, and by how many tokens their lengths may differ."""
TEMPERATURE, ALPHA_CE, ALPHA_MLM, ALPHA_COS = 2.0, 5.0, 2.0, 1.0
MASKED, SMOOTHING = 0.15, 0.7


class OriginalDistillation:
    """One run.

    Args:
        teacher: The folder of the teacher.
        student: That of the student.
        corpus: The token lists, their counts and special tokens.
    """

    def __init__(self, teacher: Path, student: Path, corpus: Any) -> None:
        self.teacher = DistilBertForMaskedLM.from_pretrained(teacher).eval().requires_grad_(False)
        self.student = DistilBertForMaskedLM.from_pretrained(student).train()
        self.optimizer = torch.optim.AdamW(
            self.student.parameters(), lr=1e-6, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.0
        )
        self.corpus, vocabulary = corpus, corpus.description.vocabulary
        weights = np.maximum(corpus.counts, 1) ** -SMOOTHING
        weights[list(vocabulary.special_ids)] = 0.0
        self.weights, self.mask_id = torch.from_numpy(weights), vocabulary.mask_token_id
        self.batches = self._batches()

    def step(self, rows: int) -> int:
        """Take a step of so many rows, and return how many tokens it had."""
        count, tokens = rows // ROWS, 0
        for _ in range(count):
            tokens += self._accumulate(next(self.batches), count)
        torch.nn.utils.clip_grad_norm_(self.student.parameters(), 5.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return tokens

    def _batches(self) -> Iterator[list[int]]:
        """Yield rows of about one length, in an order drawn anew in each epoch."""
        chosen = random.Random(0)
        while True:
            by_length: dict[int, list[int]] = {}
            for row, length in enumerate(self.corpus.input_ids.sizes):
                by_length.setdefault(int(length) // BIN, []).append(row)
            for rows in by_length.values():
                chosen.shuffle(rows)
            batches = [rows[i : i + ROWS] for rows in by_length.values() for i in range(0, len(rows), ROWS)]
            chosen.shuffle(batches)
            yield from (batch for batch in batches if len(batch) == ROWS)

    def _accumulate(self, rows: list[int], count: int) -> int:
        """Add the gradients of a batch, one of so many of a step, and return how many tokens it had."""
        ids, mask = self._padded(rows)
        inputs, labels = self._masked(ids, mask)
        student = self.student(input_ids=inputs, attention_mask=mask, output_hidden_states=True)
        with torch.no_grad():
            teacher = self.teacher(input_ids=inputs, attention_mask=mask, output_hidden_states=True)
        is_token = mask.bool()
        own, expected = student.logits[is_token], teacher.logits[is_token]  # (tokens, vocab)
        divergence = F.kl_div(
            F.log_softmax(own / TEMPERATURE, dim=-1), F.softmax(expected / TEMPERATURE, dim=-1), reduction="batchmean"
        )
        cross_entropy = F.cross_entropy(student.logits.flatten(0, 1), labels.flatten(), ignore_index=-100)
        states = [output.hidden_states[-1][is_token] for output in (student, teacher)]  # (tokens, dim)
        cosine = F.cosine_embedding_loss(*states, torch.ones(len(states[0])))
        loss = ALPHA_CE * divergence * TEMPERATURE**2 + ALPHA_MLM * cross_entropy + ALPHA_COS * cosine
        (loss / count).backward()
        return int(mask.sum())

    def _padded(self, rows: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ids and mask (batch, seq) of rows of the corpus."""
        lists = [torch.from_numpy(np.asarray(self.corpus[row], np.int64)) for row in rows]
        ids = torch.nn.utils.rnn.pad_sequence(lists, batch_first=True)
        mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(one) for one in lists], batch_first=True)
        return ids, mask

    def _masked(self, ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ids with masks and the labels: 80 % [MASK], 10 % random, 10 % as they are."""
        count = ceil(MASKED * int(mask.sum()))
        chosen = torch.multinomial((self.weights[ids] * mask).flatten(), count)
        labels = torch.full_like(ids, -100).flatten()
        labels[chosen] = ids.flatten()[chosen]
        drawn = torch.rand(count)
        random_ids = torch.randint(len(self.weights), (count,))
        masked = ids.flatten().clone()
        replaced = torch.where(drawn >= 0.2, torch.full_like(chosen, self.mask_id), random_ids)
        masked[chosen] = torch.where(drawn < 0.1, masked[chosen], replaced)
        return masked.view_as(ids), labels.view_as(ids)
