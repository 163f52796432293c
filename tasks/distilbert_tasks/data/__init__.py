"""Data sets: what users have, as columns that each task knows."""
