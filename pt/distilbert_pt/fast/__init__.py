"""What is only there to be fast: without it every number is the same up to rounding."""
