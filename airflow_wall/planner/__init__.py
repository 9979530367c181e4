"""Turn Specs into Plans: the tasks of a DAG, their arguments and their order. Imports no Airflow."""
