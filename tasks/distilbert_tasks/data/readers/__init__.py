"""Readers: one for each format, records out."""

from distilbert_tasks.data.readers.arrow import is_table, read_dataset, read_table
from distilbert_tasks.data.readers.files import SUFFIXES, is_plain_text, read_file
from distilbert_tasks.data.readers.opening import COMPRESSED, plain_name

__all__ = [
    "COMPRESSED",
    "SUFFIXES",
    "is_plain_text",
    "is_table",
    "plain_name",
    "read_dataset",
    "read_file",
    "read_table",
]
