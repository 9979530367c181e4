"""The bounded YAML reader, and the kinds of values."""
