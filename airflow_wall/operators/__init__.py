"""The steps as Airflow operators, for pipelines in YAML and for hand-written DAGs."""
