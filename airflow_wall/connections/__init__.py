"""Airflow connections without Airflow: their parts, their extras, and the SQL databases they name."""
