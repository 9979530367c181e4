"""Checks: what data and predictions must be, in YAML, and the report of what they were."""
