"""Features of each task, without a framework."""
