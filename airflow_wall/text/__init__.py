"""The bounded YAML reader: bytes to values with positions."""
