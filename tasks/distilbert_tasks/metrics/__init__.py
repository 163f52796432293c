"""Metrics of each task, and what is decoded before them."""
