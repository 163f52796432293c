"""Readers: one for each format, records out."""
