"""The names that columns are known by, task by task."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["NAMES", "Group", "Role"]

Group = tuple[str, ...]
"""Columns that have a role together."""


@dataclass(frozen=True)
class Role:
    """What a task needs of a data set.

    Attributes:
        tiers: Groups of names, in lower case, that are known for it: those of a tier are equally sure, and a later tier
            counts where a data set has none of the tiers before.
        is_label: Whether it is what a model learns, which data to predict need not have.
        is_optional: Whether a data set may lack it.
        is_numbered: Whether more columns belong to a group that are numbered or lettered on.
    """

    tiers: tuple[tuple[Group, ...], ...]
    is_label: bool = False
    is_optional: bool = False
    is_numbered: bool = False


def _tiers(*tiers: str) -> tuple[tuple[Group, ...], ...]:
    """Read groups of names: "+" joins those of one group."""
    return tuple(tuple(tuple(group.split("+")) for group in tier.split()) for tier in tiers)


_TEXT = (
    "text sentence review content review_body review_text comment comment_text tweet body utterance message query "
    "question document headline"
)
_PAIR = (
    "text+text_pair premise+hypothesis question1+question2 sentence1+sentence2 sentence_1+sentence_2 text1+text2 "
    "text_1+text_2 text_a+text_b sentence_a+sentence_b question+sentence query+passage query+document"
)
_LABEL = "label labels", "category intent class target sentiment emotion topic score rating stars gold_label", (
    "label_text coarse_label similarity_score relatedness_score"
)  # fmt: skip

NAMES: dict[str, dict[str, Role]] = {
    "text-classification": {
        "text": Role(_tiers(f"{_PAIR} {_TEXT}")),
        "label": Role(_tiers(*_LABEL), is_label=True),
    },
    "token-classification": {
        "tokens": Role(_tiers("tokens words", "text sentence")),
        "tags": Role(
            _tiers("ner_tags tags labels", "label pos_tags upos chunk_tags ner word_labels", "tags_str"), is_label=True
        ),
    },
    "question-answering": {
        "id": Role(_tiers("id qid question_id example_id"), is_optional=True),
        "question": Role(_tiers("question")),
        "context": Role(_tiers("context", "passage paragraph")),
        "answers": Role(
            _tiers("answers", "answer_text+answer_start answer+answer_start text+answer_start", "answer"), is_label=True
        ),
    },
    "multiple-choice": {
        "prompt": Role(
            _tiers(
                "sent1+sent2 article+question context+question ctx prompt falsesent",
                "premise question_stem goal startphrase query",
                "question sentence context",
            ),
            is_optional=True,
        ),
        "choices": Role(
            _tiers(
                "choices endings options ending0+ending1 choice0+choice1 choice1+choice2 option1+option2 sol1+sol2 "
                "optiona+optionb answera+answerb a+b",
                "sent0+sent1 sentence0+sentence1 sentence1+sentence2",
            ),
            is_numbered=True,
        ),
        "label": Role(_tiers("label labels", "answer answerkey gold target correct_answer"), is_label=True),
    },
    "fill-mask": {"text": Role(_tiers(_TEXT))},
}
"""What each task needs, by its own names."""
