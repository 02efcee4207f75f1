"""Validation of a data set: every row is checked, and every answer is derived again without `qa/`."""
