"""How DAGs reach Airflow."""
