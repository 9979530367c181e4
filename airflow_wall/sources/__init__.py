"""Data outside the lake: files and SQL tables, how they are listed, claimed by a slice and read."""
