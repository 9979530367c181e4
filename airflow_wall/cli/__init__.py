"""The command `airflow-wall`: one file per verb."""
