"""The training loop, which knows no framework."""
