"""Prediction: examples from files or a stream in, rows with answers out, some at a time."""

from distilbert_tasks.prediction.inputs import INPUT_FORMATS, read_rows, rows_of_stream, rows_of_texts
from distilbert_tasks.prediction.outputs import OUTPUT_FORMATS, write_csv, write_jsonl, write_rows

__all__ = [
    "INPUT_FORMATS",
    "OUTPUT_FORMATS",
    "read_rows",
    "rows_of_stream",
    "rows_of_texts",
    "write_csv",
    "write_jsonl",
    "write_rows",
]
