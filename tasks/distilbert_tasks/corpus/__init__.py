"""Corpora: texts tokenized once into files that are mapped into memory, masked as DistilBERT's authors did."""

from distilbert_tasks.corpus.asking import ask_teacher
from distilbert_tasks.corpus.build import build_corpus
from distilbert_tasks.corpus.cache_facts import batch_facts
from distilbert_tasks.corpus.corpus import Corpus
from distilbert_tasks.corpus.masking import CountMasking
from distilbert_tasks.corpus.options import CorpusOptions
from distilbert_tasks.corpus.shards import Statistics
from distilbert_tasks.corpus.teacher_cache import FloatType, TeacherCache

__all__ = [
    "Corpus",
    "CorpusOptions",
    "CountMasking",
    "FloatType",
    "Statistics",
    "TeacherCache",
    "ask_teacher",
    "batch_facts",
    "build_corpus",
]
