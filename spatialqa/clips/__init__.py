"""Sets of labelled dry clips."""
