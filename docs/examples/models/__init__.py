"""Modules of the example pipelines."""
