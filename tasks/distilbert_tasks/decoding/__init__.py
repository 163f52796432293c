"""From outputs of a model to what a user reads: answers in a context, labels of words."""

from distilbert_tasks.decoding.spans import Answer, Span, SpanOptions, decode_answers
from distilbert_tasks.decoding.tags import decode_tags

__all__ = ["Answer", "Span", "SpanOptions", "decode_answers", "decode_tags"]
