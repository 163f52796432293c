"""Readers: one for each format, records out."""

from distilbert_tasks.data.readers.arrow import read_dataset
from distilbert_tasks.data.readers.files import SUFFIXES, is_plain_text, read_file
from distilbert_tasks.data.readers.opening import COMPRESSED, plain_name

__all__ = ["COMPRESSED", "SUFFIXES", "is_plain_text", "plain_name", "read_dataset", "read_file"]
