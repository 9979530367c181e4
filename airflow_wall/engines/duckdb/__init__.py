"""DuckDB, the engine that runs in the process of a job."""
