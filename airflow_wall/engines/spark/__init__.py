"""Spark, the engine of a cluster with `engine: spark`."""
