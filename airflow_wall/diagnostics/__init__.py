"""Word every error of a user: where it is, what was expected, what came and how to fix it."""
