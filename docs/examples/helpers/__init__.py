"""Python of the examples."""
