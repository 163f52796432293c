"""A teacher that is asked ahead of time: what it gives for each step is stored, and the student learns without it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distilbert_common.distillation import cached_parts, check_top_k
from distilbert_common.errors import InputError
from distilbert_common.training import Arrays, DistillationOptions
from distilbert_tasks.corpus import FloatType, TeacherCache, ask_teacher, batch_facts
from distilbert_tasks.distillation.task_teacher import teacher_facts
from distilbert_tasks.model_files import ModelFiles
from distilbert_tasks.session import Session

__all__ = ["AheadOptions", "ask_ahead"]


@dataclass(frozen=True, kw_only=True)
class AheadOptions:
    """How a teacher is asked ahead of time.

    Attributes:
        folder: Where its answers are, or are to be; runs of any framework share them.
        epochs: For how many epochs it is asked; a longer run repeats these, order and masks too.
        top_k: How many tokens it tells for each position, the most likely ones. Its probability is divided among them
            anew, while the student's is that among all tokens.
        logits_type: What their logits are stored in, "float16" or "float32".
        hidden_type: What hidden states are stored in, likewise.
    """

    folder: str | Path
    epochs: int = 1
    top_k: int = 32
    logits_type: FloatType = "float32"
    hidden_type: FloatType = "float16"

    def check(self, teacher: ModelFiles, distillation: DistillationOptions) -> None:
        """Require something that a teacher can be asked for.

        Args:
            teacher: The teacher.
            distillation: How the student learns from it.

        Raises:
            InputError: It has fewer tokens, or no epoch is asked for, or no term of the loss needs it.
        """
        if not cached_parts(distillation):
            raise InputError("alpha_ce and alpha_cos are 0: no term of the loss needs a teacher; ask for no cache")
        check_top_k(teacher.head, teacher.config.vocab_size, self.top_k)
        if self.epochs < 1:
            raise InputError(f"cache_epochs is {self.epochs}; a teacher is asked for at least 1 epoch")

    @property
    def facts(self) -> dict[str, Any]:
        """What the record of a run says of it."""
        types = {"logits_type": self.logits_type, "hidden_type": self.hidden_type}
        return {"cache_epochs": self.epochs, "top_k": self.top_k, **types}

    def open(self, session: Session, teacher: ModelFiles, distillation: DistillationOptions) -> TeacherCache:
        """Open the answers for a run, or begin them.

        Args:
            session: The run.
            teacher: The teacher.
            distillation: How the student learns from it.

        Raises:
            InputError: The folder holds the answers for another run.
            OutputExistsError: It holds something else.
        """
        data, texts = session.record.data["train"], session.record.features
        facts = {
            "corpus": data["fingerprint"],
            "rows": data["rows"],  # with the seed they say which rows of the corpus are trained on
            **{name: texts[name] for name in ("mask_probability", "mask_smoothing")},
            "teacher": teacher_facts(teacher)["weights"],
            "teacher_precision": distillation.teacher_precision,
            "top_k": self.top_k,
            "parts": cached_parts(distillation),
            **batch_facts(session.batch_options),
        }
        batches = session.batches
        steps = min(batches.steps(session.options), self.epochs * batches.steps_per_epoch)
        return TeacherCache.open(self.folder, facts, steps, logits_type=self.logits_type, hidden_type=self.hidden_type)


def ask_ahead(
    teacher: ModelFiles, session: Session, distillation: DistillationOptions, options: AheadOptions
) -> TeacherCache:
    """Return what a teacher gives for the steps of a run, which is asked first where its answers are missing.

    Args:
        teacher: The teacher.
        session: The run.
        distillation: How the student learns from it.
        options: How the teacher is asked.

    Raises:
        InputError: The folder holds the answers for another run.
        OutputExistsError: It holds something else.
    """
    cache, batch_options = options.open(session, teacher, distillation), session.batch_options
    if cache.missing(batch_options.rank, batch_options.world):
        engines = session.engines
        model = engines.load_model(teacher.head, teacher.path, dtype=distillation.teacher_precision)
        engine, parts = engines.Engine(model, None, session.device), cached_parts(distillation)

    def answer(inputs: Mapping[str, Any]) -> Arrays:
        outputs = engine.teacher_outputs(inputs, options.top_k)
        return {name: outputs[name] for name in parts}

    ask_teacher(cache, answer, session.prepared.features["train"], batch_options, session.on_progress)
    return cache
