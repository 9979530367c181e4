"""Releases: scores staged in several targets become visible together, or not at all."""
