"""Checks of data and predictions, declared in YAML, and the report of their results."""
