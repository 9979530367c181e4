"""Text to Spec."""
