"""Pipelines: texts in, answers out, with the names, arguments and results of transformers."""
