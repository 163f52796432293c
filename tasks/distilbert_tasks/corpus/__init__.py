"""Corpora: texts tokenized once into files that are mapped into memory, masked as DistilBERT's authors did."""

from distilbert_tasks.corpus.build import build_corpus
from distilbert_tasks.corpus.corpus import Corpus
from distilbert_tasks.corpus.options import CorpusOptions
from distilbert_tasks.corpus.shards import Statistics

__all__ = ["Corpus", "CorpusOptions", "Statistics", "build_corpus"]
