"""The ways in which DAGs reach Airflow: bundle, importer, and `load_dags`."""
