"""Spec to Plan to DAG."""
