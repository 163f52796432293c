"""Which columns of a data set are what a task needs: by well-known names, or as the user says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from distilbert_common.errors import InputError

__all__ = ["NAMES", "Chosen", "Role", "choose_columns"]

Chosen = dict[str, tuple[str, ...]]
"""The columns of each role."""


@dataclass(frozen=True)
class Role:
    """What a task needs of a data set.

    Attributes:
        names: Groups of column names that are known to have it, the surest tier first; a role has all of a group.
        is_label: Whether it is what a model learns, which data to predict need not have.
        is_optional: Whether a data set may lack it.
    """

    names: tuple[tuple[tuple[str, ...], ...], ...]
    is_label: bool = False
    is_optional: bool = False


def _singles(*names: str) -> tuple[tuple[str, ...], ...]:
    return tuple((name,) for name in names)


_PAIRS = (
    ("text", "text_pair"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("sentence1", "sentence2"),
    ("sentence_1", "sentence_2"),
    ("text1", "text2"),
    ("text_a", "text_b"),
    ("question", "sentence"),
    ("query", "passage"),
    ("query", "document"),
)
_TEXTS = _singles(
    "text", "sentence", "review", "content", "review_body", "review_text", "comment", "comment_text", "tweet", "body",
    "utterance", "message", "query", "question", "document", "headline",
)  # fmt: skip
_LABELS = (_singles("label", "labels"), _singles("category", "intent", "class", "target", "sentiment", "emotion",
    "topic", "score", "rating", "stars", "label_text", "coarse_label", "similarity_score"))  # fmt: skip

NAMES: dict[str, dict[str, Role]] = {
    "text-classification": {
        "text": Role((_PAIRS + _TEXTS,)),
        "label": Role(_LABELS, is_label=True),
    },
    "token-classification": {
        "tokens": Role((_singles("tokens", "words"),)),
        "tags": Role(
            (_singles("ner_tags", "tags", "labels"), _singles("pos_tags", "upos", "chunk_tags", "label", "ner")),
            is_label=True,
        ),
    },
    "question-answering": {
        "id": Role((_singles("id", "qid", "example_id"),), is_optional=True),
        "question": Role((_singles("question"),)),
        "context": Role((_singles("context", "paragraph", "passage"),)),
        "answers": Role((_singles("answers"), _singles("answer")), is_label=True),
    },
    "multiple-choice": {
        "prompt": Role(
            (
                (
                    ("sent1", "sent2"),
                    ("startphrase",),
                    ("ctx",),
                    ("prompt",),
                    ("question",),
                    ("premise",),
                    ("FalseSent",),
                ),
            ),
            is_optional=True,
        ),
        "choices": Role(
            (
                (
                    ("choices",),
                    ("ending0", "ending1"),
                    ("endings",),
                    ("choice1", "choice2"),
                    ("sent0", "sent1"),
                    ("option1", "option2"),
                    ("sol1", "sol2"),
                    ("OptionA", "OptionB"),
                    ("answerA", "answerB"),
                ),
            )
        ),
        "label": Role((*_LABELS, _singles("answer", "answerKey", "gold")), is_label=True),
    },
    "fill-mask": {"text": Role((_TEXTS,))},
}
"""What each task needs, by its own names."""


def choose_columns(
    task: str, available: Sequence[str], given: Mapping[str, str | Sequence[str]] | None, labeled: bool, source: str
) -> Chosen:
    """Return the columns of each role of a task.

    Args:
        task: The name of the task.
        available: The columns that there are.
        given: Those that the user names, by role.
        labeled: Whether labels are needed.
        source: The name of the file or data set.

    Raises:
        InputError: A column is not there, or several could be meant.
    """
    chosen: Chosen = {
        role: (names,) if isinstance(names, str) else tuple(names) for role, names in (given or {}).items()
    }
    _check_given(task, chosen, available, source)
    taken = {name for names in chosen.values() for name in names}
    for role, wants in NAMES[task].items():
        if wants.is_label and not labeled:
            chosen.pop(role, None)
            continue
        if role in chosen:
            continue
        names = _look_for(role, wants, [name for name in available if name not in taken], source)
        if names:
            chosen[role] = names
            taken.update(names)
        elif not wants.is_optional:
            raise InputError(
                f"{source}: no column is known to be the {role} of {task}; it has {_listed(available)}; name one with "
                f'columns={{"{role}": "…"}}'
            )
    return chosen


def _check_given(task: str, given: Mapping[str, tuple[str, ...]], available: Sequence[str], source: str) -> None:
    for role, names in given.items():
        if role not in NAMES[task] and not (task == "text-classification" and role == "text_pair"):
            raise InputError(f"columns names {role!r}; {task} has {', '.join(NAMES[task])}")
        for name in names:
            if name not in available:
                raise InputError(f"{source}: there is no column {name!r} for {role}; it has {_listed(available)}")


def _look_for(role: str, wants: Role, available: Sequence[str], source: str) -> tuple[str, ...]:
    """Return the columns known to have a role; of two groups where one is part of the other, the larger."""
    for tier in wants.names:
        groups = [group for group in tier if all(name in available for name in group)]
        groups = [one for one in groups if not any(set(one) < set(other) for other in groups)]
        if len(groups) > 1:
            options = " or ".join(" and ".join(map(repr, group)) for group in groups)
            raise InputError(
                f'{source}: {options} could be the {role}; choose with columns={{"{role}": "{groups[0][0]}"}}'
            )
        if groups:
            return groups[0]
    return ()


def _listed(names: Sequence[str]) -> str:
    return "the columns " + ", ".join(map(repr, names)) if names else "no columns"
