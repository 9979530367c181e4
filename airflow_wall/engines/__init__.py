"""Engines that jobs compute with: DuckDB in the process, or a Spark cluster. One package per engine."""
